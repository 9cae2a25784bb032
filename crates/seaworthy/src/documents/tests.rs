use std::fs;
use std::path::Path;

use seaworthy_core::address::Address;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn config(folder: &Path, notify: serde_json::Value) -> Config {
    let value =
        json!({"documents": [{"name": "adapters", "glob": "adapters/*.yaml", "notify": notify}]});
    let mut config: Config = serde_json::from_value(value).unwrap();
    config.folder = folder.to_owned();
    config
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("adapters")).unwrap();
    for name in ["csv", "pdf"] {
        fs::write(
            folder.path().join(format!("adapters/{name}.yaml")),
            format!("name: {name}"),
        )
        .unwrap();
    }
    folder
}

#[test]
fn a_change_is_seen_when_it_is_committed_and_told_of_once() {
    let folder = folder();
    let config = config(folder.path(), json!({"signal": "HUP"}));
    let documents = Documents::default();
    let first = documents.commit(Documents::prepare(&config, None).unwrap());
    assert_eq!(first.notices.len(), 1);
    let same = Documents::prepare(&config, Some(&documents)).unwrap();
    assert!(same.notices.is_empty());
    fs::write(folder.path().join("adapters/csv.yaml"), "name: other").unwrap();
    let prepared = Documents::prepare(&config, Some(&documents)).unwrap();
    let value = |documents: &Documents| documents.get("adapters", "csv").unwrap().0;
    assert_eq!(value(&documents), json!({"name": "csv"}));
    let committed = documents.commit(prepared);
    assert_eq!(value(&documents), json!({"name": "other"}));
    assert_eq!(committed.notices[0].changed, ["csv"]);
    assert_eq!(
        serde_json::to_value(&committed.changes).unwrap(),
        json!({"adapters": {"csv": {"changed": true}, "pdf": {"changed": false}}})
    );
}

#[test]
fn nobody_is_told_of_documents_that_the_folder_does_not_show() {
    let folder = folder();
    let mut config = config(folder.path(), json!({"signal": "HUP"}));
    config.documents[0].render = Some("out".into());
    let documents = Documents::default();
    let prepared = Documents::prepare(&config, None).unwrap();
    let data = folder.path().join("out/..data");
    fs::create_dir(&data).unwrap();
    assert!(documents.commit(prepared).notices.is_empty());
    fs::remove_dir(&data).unwrap();
    fs::write(folder.path().join("adapters/csv.yaml"), "name: other").unwrap();
    let prepared = Documents::prepare(&config, Some(&documents)).unwrap();
    assert_eq!(documents.commit(prepared).notices.len(), 1);
}

#[tokio::test]
async fn the_app_is_told_by_a_request_or_by_a_signal() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    let app = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 1024];
        while !request.ends_with(b"}") {
            let read = stream.read(&mut piece).await.unwrap();
            request.extend_from_slice(&piece[..read]);
        }
        let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    let folder = folder();
    let told = |notify| {
        let config = config(folder.path(), notify);
        Documents::default()
            .commit(Documents::prepare(&config, None).unwrap())
            .notices
    };
    let notices = told(json!({"http": "/reload"}));
    assert_eq!(notices[0].signal(), None);
    notices[0].post(&[address]).await;
    let request = app.await.unwrap();
    assert!(request.starts_with("POST /reload HTTP/1.1"), "{request}");
    assert!(
        request.ends_with(r#"{"set":"adapters","changed":["csv","pdf"]}"#),
        "{request}"
    );
    let notices = told(json!({"signal": "USR1"}));
    let hears = Some(seaworthy_lifecycle::signals::Name::USR1);
    assert_eq!(notices[0].signal(), hears);
    assert!(told(json!("none")).is_empty());
}
