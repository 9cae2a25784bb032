//! Feature flags: what they are, for whom they are on, and how the app is told.

use std::collections::BTreeMap;

use seaworthy_testkit::process::{Ended, Seaworthy};
use seaworthy_testkit::wait::PATIENCE;
use seaworthy_testkit::{Result, client};
use serde_json::{Value, json};

use crate::front::{Front, fields, values};

const ALL: &str = "\
listen: {trusted_proxies: [loopback]}
auth: {user_header: X-User-ID}
app: {flags: {header: true}}
flags:
  checkout: true
  search: 50%
  old: false
  janitor: {env: NOTIFICATIONS_JANITOR_ENABLED, value: true}
";

/// The names that the app is told of a request with these fields.
async fn told(front: &Front, headers: &[(&str, &str)]) -> Result<Vec<String>> {
    let answer = client::send(
        front.seaworthy.public(),
        "GET",
        "/echo?headers",
        headers,
        b"",
    )
    .await?;
    let fields = fields(&answer.json()?);
    let told = values(&fields, "x-feature-flags");
    Ok(told.into_iter().map(str::to_owned).collect())
}

async fn ctl(front: &Front, words: &[&str]) -> Result<Ended> {
    let state = front.seaworthy.state_dir().display().to_string();
    let mut all = vec!["ctl", "flags", "--state-dir", &state];
    all.extend(words);
    Seaworthy::verb(all).await
}

fn values_of(document: &Value) -> BTreeMap<String, Value> {
    let flags = document["flags"].as_array().cloned().unwrap_or_default();
    let pair = |flag: &Value| {
        (
            flag["name"].as_str().unwrap_or_default().to_owned(),
            flag["value"].clone(),
        )
    };
    flags.iter().map(pair).collect()
}

#[tokio::test]
async fn the_api_and_the_command_line_say_what_each_flag_is() -> Result<()> {
    let front = Front::configured(ALL).await?;
    let document = front.seaworthy.look("/-/flags").await?.json()?;
    let expected = [
        ("checkout", json!(true)),
        ("janitor", json!(true)),
        ("old", json!(false)),
        ("search", json!("50%")),
    ];
    let expected: BTreeMap<_, _> = expected
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    assert_eq!(values_of(&document), expected);
    let said = ctl(&front, &["--json"]).await?;
    assert_eq!(serde_json::from_str::<Value>(&said.stdout)?, document);
    let table = ctl(&front, &[]).await?.stdout;
    assert!(
        table.contains("checkout") && table.contains("50%"),
        "{table}"
    );
    Ok(())
}

#[tokio::test]
async fn the_app_hears_what_is_on_and_a_client_cannot_choose() -> Result<()> {
    let front = Front::configured(ALL).await?;
    for spoofed in ["X-Feature-Flags", "x-feature_flags", "X_Feature_Flags"] {
        let told = told(&front, &[(spoofed, "old,admin")]).await?;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("checkout,janitor"), "{told:?}");
        assert!(
            !told[0].contains("old") && !told[0].contains("admin"),
            "{told:?}"
        );
    }
    let all = client::send(
        front.seaworthy.public(),
        "GET",
        "/echo?headers",
        &[("x_feature_flags", "old")],
        b"",
    )
    .await?;
    assert!(!all.text().contains("x_feature_flags"), "{}", all.text());
    Ok(())
}

#[tokio::test]
async fn a_share_takes_the_same_ones_each_time_and_on_every_replica() -> Result<()> {
    let replicas = [Front::configured(ALL).await?, Front::configured(ALL).await?];
    let (mut on, mut seen) = (0, Vec::new());
    for at in 0..40 {
        let id = format!("user-{at}");
        let first = told(&replicas[0], &[("X-User-ID", &id)]).await?;
        let again = told(&replicas[0], &[("X-User-ID", &id)]).await?;
        let elsewhere = told(&replicas[1], &[("X-User-ID", &id)]).await?;
        assert_eq!((&first, &first), (&again, &elsewhere), "{id}");
        let has = first[0].split(',').any(|name| name == "search");
        on += usize::from(has);
        seen.push((id, has));
    }
    assert!((8..=32).contains(&on), "{on} of 40");
    let (id, has) = &seen[7];
    let asked = ctl(&replicas[0], &["--for", id, "--json"]).await?;
    let document: Value = serde_json::from_str(&asked.stdout)?;
    let search = document["flags"]
        .as_array()
        .and_then(|flags| flags.iter().find(|flag| flag["name"] == "search"));
    assert_eq!(search.map(|flag| &flag["on"]), Some(&json!(has)));
    Ok(())
}

#[tokio::test]
async fn nobody_is_told_who_did_not_ask_to_be() -> Result<()> {
    let front = Front::configured("flags: {checkout: true}").await?;
    assert!(told(&front, &[]).await?.is_empty());
    assert_eq!(
        told(&front, &[("X-Feature-Flags", "mine")]).await?,
        ["mine"]
    );
    Ok(())
}

#[tokio::test]
async fn a_variable_decides_and_one_that_makes_no_sense_leaves_the_safe_value() -> Result<()> {
    for (variable, value) in [
        (Some("false"), json!(false)),
        (Some("on"), json!(true)),
        (Some("10%"), json!("10%")),
        (Some("perhaps"), json!(true)),
        (None, json!(true)),
    ] {
        let mut builder = Seaworthy::build().config(ALL);
        if let Some(variable) = variable {
            builder = builder.env("NOTIFICATIONS_JANITOR_ENABLED", variable);
        }
        let front = Front::with(builder).await?;
        let document = front.seaworthy.look("/-/flags").await?.json()?;
        assert_eq!(values_of(&document)["janitor"], value, "{variable:?}");
        if variable == Some("perhaps") {
            let warned = front.seaworthy.wait_event("config.warning").await?;
            assert!(
                warned["message"]
                    .to_string()
                    .contains("`perhaps` is no flag"),
                "{warned}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_file_for_the_app_has_all_of_them() -> Result<()> {
    let yaml = "flags: {checkout: true, search: 12.5%}\napp: {flags: {file: flags.json}}\n";
    let front = Front::configured(yaml).await?;
    let text = std::fs::read_to_string(front.seaworthy.home().join("flags.json"))?;
    assert_eq!(
        serde_json::from_str::<Value>(&text)?,
        json!({"checkout": true, "search": "12.5%"})
    );
    Ok(())
}

#[tokio::test]
async fn a_reload_flips_a_flag_without_a_restart() -> Result<()> {
    let yaml = "flags: {checkout: false}\napp: {flags: {header: true, file: flags.json}}\n";
    let front = Front::configured(yaml).await?;
    let home = front.seaworthy.home();
    assert_eq!(told(&front, &[]).await?, [""]);
    std::fs::write(home.join("seaworthy.yaml"), yaml.replace("false", "true"))?;
    let report = front.seaworthy.steer("/-/config/reload").await?.json()?;
    assert_eq!(
        (&report["status"], &report["requires_restart"]),
        (&json!("ok"), &json!([])),
        "{report}"
    );
    assert_eq!(told(&front, &[]).await?, ["checkout"]);
    let document = front.seaworthy.look("/-/flags").await?.json()?;
    assert_eq!(values_of(&document)["checkout"], true);
    let text = std::fs::read_to_string(home.join("flags.json"))?;
    assert_eq!(
        serde_json::from_str::<Value>(&text)?,
        json!({"checkout": true})
    );
    Ok(())
}

#[tokio::test]
async fn what_is_no_flag_is_refused_where_it_stands() -> Result<()> {
    for (yaml, part) in [
        ("flags: {a: 25}", "flags.a"),
        ("flags: {a: 125%}", "flags.a"),
        ("flags: {a: {valu: true}}", "flags.a"),
        ("flags: {'a,b': true}", "cannot be the name of a flag"),
        (
            "flags: {a: true}\napp: {flags: {file: none/here.json}}",
            "app.flags.file",
        ),
    ] {
        let ended = Seaworthy::run(["true"]).config(yaml).end(PATIENCE).await?;
        assert_eq!(ended.code(), 2, "{yaml}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(part),
            "{part} is missing in\n{}",
            ended.stderr
        );
    }
    Ok(())
}
