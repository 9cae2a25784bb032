//! `seaworthy schema`, and whether what is answered is what the schemas say.

use std::path::Path;

use seaworthy_testkit::client;
use seaworthy_testkit::process::{Ended, Seaworthy};
use seaworthy_testkit::{Result, root};
use serde_json::Value;

use crate::front::Front;

async fn validate(name: &str, file: &Path) -> Result<Ended> {
    let file = file.to_string_lossy().into_owned();
    Seaworthy::verb(["--json", "schema", "validate", name, &file]).await
}

#[tokio::test]
async fn every_view_in_every_format_is_valid() -> Result<()> {
    let formats = ["full", "scry", "kronos", "house", "soma", "harvester"];
    let views = ["live", "ready", "startup", "detailed", "summary"];
    let mut yaml = "health: {checks: [{kind: tcp, name: gone, addr: \"127.0.0.1:1\", critical: false}]}\nendpoints:\n".to_owned();
    for (format, view) in pairs(&formats, &views) {
        let path = format!("/{format}/{view}");
        yaml += &format!("  - {{path: {path}, view: {view}, format: {format}}}\n");
    }
    let front = Front::configured(&yaml).await?;
    front.seaworthy.wait_event("check.changed").await?;
    let folder = tempfile::tempdir()?;
    for (format, view) in pairs(&formats, &views) {
        let to = front.seaworthy.public();
        let answer = client::get(to, &format!("/{format}/{view}?detailed=true")).await?;
        let file = folder.path().join(format!("{format}-{view}.json"));
        std::fs::write(&file, &answer.body)?;
        let name = match format {
            "full" => "health".to_owned(),
            other => format!("health-{other}"),
        };
        let ended = validate(&name, &file).await?;
        assert_eq!(ended.code(), 0, "{}: {}", ended.stdout, answer.text());
    }
    let headers = [("Accept", "application/health+json")];
    let to = front.seaworthy.public();
    let draft = client::send(to, "GET", "/full/detailed", &headers, b"").await?;
    let file = folder.path().join("draft.json");
    std::fs::write(&file, &draft.body)?;
    assert_eq!(validate("health-draft", &file).await?.code(), 0);
    Ok(())
}

fn pairs<'a>(
    left: &'a [&'a str],
    right: &'a [&'a str],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let all = left.iter();
    all.flat_map(|left| right.iter().map(|right| (*left, *right)))
}

#[tokio::test]
async fn faults_are_named_with_their_place_and_end_with_1() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("health.json");
    std::fs::write(&file, r#"{"status": "fine", "service": "x"}"#)?;
    let ended = validate("health", &file).await?;
    assert_eq!(ended.code(), 1);
    let report: Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(report["ok"], false);
    assert_eq!(
        report["problems"].as_array().map(Vec::len),
        Some(2),
        "{report}"
    );
    std::fs::write(&file, r#"{"status": "alive"}"#)?;
    let words = ["schema", "validate", "health", &*file.to_string_lossy()];
    let ended = Seaworthy::verb(words).await?;
    assert!(
        ended.stderr.contains("it is a `health-soma` document"),
        "{}",
        ended.stderr
    );
    for words in [
        &["schema", "show", "healht"][..],
        &["schema", "validate", "health", "/no/such/file"],
        &["schema", "validate", "health"],
    ] {
        let ended = Seaworthy::verb(words).await?;
        assert_eq!(ended.code(), 2, "{words:?}: {}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn the_schemas_of_the_repository_are_those_of_the_binary() -> Result<()> {
    let list = Seaworthy::verb(["schema", "list", "--json"]).await?;
    let list: Value = serde_json::from_str(&list.stdout)?;
    let all = list.as_array().cloned().unwrap_or_default();
    assert!(all.len() > 6, "{list}");
    for one in all {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let shown = Seaworthy::verb(["schema", "show", &text("name")]).await?;
        let kept = std::fs::read_to_string(root().join(text("file")))?;
        assert_eq!(shown.stdout, kept, "run `cargo xtask reference`");
    }
    Ok(())
}
