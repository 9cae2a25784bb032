//! The examples as their readers run them.

use std::path::PathBuf;

use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::{Result, root};

fn sidecar() -> PathBuf {
    root().join("examples/sidecar-python")
}

#[tokio::test]
async fn the_file_of_the_sidecar_is_fine() -> Result<()> {
    let file = sidecar().join("seaworthy.yaml");
    let words = ["config".as_ref(), "validate".as_ref(), file.as_os_str()];
    let ended = Seaworthy::verb(words).await?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ended.stderr, "", "a warning in an example");
    Ok(())
}

mod real {
    use seaworthy_testkit::client::{self, Connection};
    use seaworthy_testkit::server::python;
    use seaworthy_testkit::wait::PATIENCE;

    use super::*;

    #[tokio::test]
    async fn the_sidecar_serves_predicts_and_lets_a_prediction_end() -> Result<()> {
        let text = std::fs::read_to_string(sidecar().join("seaworthy.yaml"))?;
        let uvicorn = python("uvicorn")?;
        let bin = uvicorn.parent().expect("a program lies in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut seaworthy = Seaworthy::build()
            .config(&text)
            .current_dir(sidecar())
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("PYTHONDONTWRITEBYTECODE", 1)
            .ready()
            .await?;
        let public = seaworthy.public();
        let root = client::get(public, "/").await?;
        assert_eq!(root.text(), r#"{"client":"127.0.0.1"}"#);
        let metrics = client::get(public, "/metrics").await?.text();
        assert!(
            metrics.contains("http_requests_total") && metrics.contains("\nmodels_loaded 1\n"),
            "{metrics}"
        );
        let mut prediction = Connection::open(public).await?;
        let headers = [("Content-Type", "application/json")];
        let body = br#"{"numbers": [1, 2, 3]}"#;
        prediction
            .send(client::request("POST", "/v1/predict", &headers, body))
            .await?;
        assert_eq!(client::get(public, "/").await?.status, 200);
        seaworthy.terminate()?;
        let answer = prediction.response("POST").await?;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, r#"{"mean":2.0}"#)
        );
        assert!(seaworthy.wait(PATIENCE).await?.success());
        let told = seaworthy.output().stdout();
        assert!(
            told.contains("model loaded") && told.contains("model unloaded"),
            "{told}"
        );
        Ok(())
    }
}
