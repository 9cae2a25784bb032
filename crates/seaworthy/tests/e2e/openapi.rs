//! The OpenAPI document of a running instance, held against what it really answers.

use seaworthy_testkit::client::{self, Response};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::{Result, root};
use serde_json::Value;

use crate::front::Front;

/// Begins with `preset` and has one check more.
async fn start(preset: Option<&str>) -> Result<Seaworthy> {
    let seaworthy = crate::presets::preset(preset).await?;
    let body = r#"{"kind": "disk"}"#;
    let added = seaworthy.steer_with("PUT", "/-/checks/x", body).await?;
    assert_eq!(added.status, 201, "{}", added.text());
    Ok(seaworthy)
}

async fn document(seaworthy: &Seaworthy) -> Result<Value> {
    seaworthy.look("/-/openapi.json").await?.json()
}

/// Whether the answer is one of those that are described; the reason when it is none.
fn judge(whole: &Value, operation: &Value, answer: &Response) -> std::result::Result<(), String> {
    let responses = &operation["responses"];
    let code = answer.status.to_string();
    let described = responses.get(&code).or(responses.get("default"));
    let described = described.ok_or_else(|| format!("{code} is not described"))?;
    let media_type = answer.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default();
    let schema = described["content"][media_type].get("schema");
    let mut schema = schema
        .cloned()
        .ok_or_else(|| format!("{media_type} is not described"))?;
    schema["components"] = whole["components"].clone();
    let value = if media_type.ends_with("json") {
        answer.json().map_err(|error| error.to_string())?
    } else {
        answer.text().into()
    };
    let validator = jsonschema::draft202012::new(&schema).map_err(|error| error.to_string())?;
    let found = validator.iter_errors(&value);
    let found: Vec<String> = found
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    match found.as_slice() {
        [] => Ok(()),
        faults => Err(faults.join("; ")),
    }
}

#[tokio::test]
async fn every_path_of_every_preset_answers_as_described() -> Result<()> {
    let presets = ["scry", "kronos", "house", "soma", "harvester"];
    for preset in std::iter::once(None).chain(presets.map(Some)) {
        let seaworthy = start(preset).await?;
        let whole = document(&seaworthy).await?;
        let paths = whole["paths"].as_object().cloned().unwrap_or_default();
        assert!(paths.contains_key("/health/live") && paths.contains_key("/-/checks/{name}"));
        let mut asked = 0;
        for (path, item) in paths {
            let Some(operation) = item.get("get") else {
                continue;
            };
            if path.contains("{set}") {
                // What a document says is its author's; there is a test of its own.
                continue;
            }
            let path = path.replace("{name}", "x").replace("{number}", "1");
            for server in item["servers"].as_array().into_iter().flatten() {
                let is_public = server["description"] == "public";
                for accept in [
                    "*/*",
                    "application/health+json",
                    "application/openmetrics-text",
                ] {
                    let headers = [("Host", "localhost"), ("Accept", accept)];
                    let answer = if is_public {
                        client::send(seaworthy.public(), "GET", &path, &headers, b"").await?
                    } else {
                        client::send(seaworthy.admin()?, "GET", &path, &headers, b"").await?
                    };
                    assert!(
                        [200, 503].contains(&answer.status),
                        "{path}: {}",
                        answer.status
                    );
                    if let Err(reason) = judge(&whole, operation, &answer) {
                        panic!("{preset:?} {path} {accept}: {reason}\n{}", answer.text());
                    }
                    asked += 1;
                }
            }
        }
        assert!(asked > 30, "{asked}");
    }
    Ok(())
}

#[tokio::test]
async fn the_verb_prints_what_the_instance_answers() -> Result<()> {
    let front = Front::configured("service: {name: shop, version: \"1.2\"}").await?;
    let served = document(&front.seaworthy).await?;
    assert_eq!(served["info"]["version"], "1.2");
    let empty = tempfile::tempdir()?;
    let file = empty.path().join("seaworthy.yaml");
    std::fs::write(&file, "")?;
    let file = file.to_string_lossy();
    let kept = std::fs::read_to_string(root().join("docs/openapi.json"))?;
    let printed = Seaworthy::verb(["openapi", "-c", &file]).await?;
    assert_eq!(printed.stdout, kept, "run `cargo xtask reference`");
    let printed = Seaworthy::verb(["openapi", "-c", &file, "--preset", "kronos"]).await?;
    let printed: Value = serde_json::from_str(&printed.stdout)?;
    assert!(printed["paths"]["/v1/readyz"]["get"].is_object());
    let bad = Seaworthy::verb(["openapi", "-c", &file, "--preset", "cronos"]).await?;
    assert_eq!(bad.code(), 2);
    Ok(())
}

mod real {
    use seaworthy_testkit::server::python;
    use tokio::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_validator_of_others_finds_nothing_wrong() -> Result<()> {
        let folder = tempfile::tempdir()?;
        for preset in [None, Some("scry"), Some("house")] {
            let seaworthy = start(preset).await?;
            let file = folder.path().join("openapi.json");
            std::fs::write(&file, document(&seaworthy).await?.to_string())?;
            let mut validator = Command::new(python("openapi-spec-validator")?);
            let output = validator.arg(&file).output().await?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{preset:?}: {said}");
        }
        Ok(())
    }
}
