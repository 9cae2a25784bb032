//! The app's own variables: what is expected of them, what is found, and what keeps an app from starting.

use seaworthy_testkit::process::{Ended, Group, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{self, PATIENCE};
use seaworthy_testkit::{Result, binary, client};
use serde_json::{Value, json};
use tokio::process::Command;

/// The variables of `house`, all as they should be.
const FINE: [(&str, &str); 4] = [
    (
        "DATABASE_URL",
        "postgresql+asyncpg://user:hunter2@localhost/dbname",
    ),
    ("SECRET_KEY", "0123456789abcdef0123456789abcdef"),
    ("BOT_TOKEN", "123456:abcdefghijklmnopqrstuvwxyz-ABCD_1"),
    ("ADMIN_IDS", "1, 2"),
];

/// A verb in an environment that holds `variables` and nothing else of those that are looked at.
async fn verb(words: &[&str], variables: &[(&str, &str)]) -> Result<Ended> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(binary::seaworthy()?);
    command.current_dir(folder.path()).args(words);
    for name in [
        "PORT",
        "API_HOST",
        "API_PORT",
        "API_WORKERS",
        "DB_POOL_SIZE",
        "DB_MAX_OVERFLOW",
    ] {
        command.env_remove(name);
    }
    for (name, _) in FINE {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    Group::start("seaworthy", command)?.ended(PATIENCE).await
}

async fn house(variables: &[(&str, &str)]) -> Result<(i32, Value, Ended)> {
    let ended = verb(&["config", "env", "--preset", "house", "--json"], variables).await?;
    let report = serde_json::from_str(&ended.stdout)?;
    Ok((ended.code(), report, ended))
}

fn entry<'a>(report: &'a Value, key: &str) -> &'a Value {
    let entries = report.as_array().map(Vec::as_slice).unwrap_or_default();
    let found = entries.iter().find(|entry| entry["key"] == key);
    found.unwrap_or(&Value::Null)
}

#[tokio::test]
async fn the_report_has_its_seven_keys_and_shows_no_secret() -> Result<()> {
    let (code, report, ended) = house(&FINE).await?;
    assert_eq!(code, 0, "{report}");
    let first = report[0]
        .as_object()
        .map(|entry| entry.keys().cloned().collect::<Vec<_>>());
    let keys = [
        "key", "value", "type", "required", "default", "valid", "errors",
    ];
    assert_eq!(first, Some(keys.map(str::to_owned).to_vec()));
    assert_eq!(entry(&report, "SECRET_KEY")["value"], "***");
    assert_eq!(entry(&report, "ADMIN_IDS")["value"], json!([1, 2]));
    for (key, default) in [
        ("DB_POOL_SIZE", json!(10)),
        ("DB_MAX_OVERFLOW", json!(20)),
        ("API_HOST", json!("0.0.0.0")),
        ("API_PORT", json!(8000)),
        ("API_WORKERS", json!(4)),
    ] {
        let found = entry(&report, key);
        assert_eq!((&found["default"], &found["value"]), (&default, &default));
    }
    assert_eq!(report.as_array().map(Vec::len), Some(9));
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let table = verb(&["config", "env", "--preset", "house"], &FINE).await?;
    let said = format!("{said}{}{}", table.stdout, table.stderr);
    for secret in ["hunter2", "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz"] {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(
        table.stdout.contains("9 variables: 9 pass, 0 warn, 0 fail"),
        "{}",
        table.stdout
    );
    for group in ["# api", "# bot", "# database"] {
        assert!(table.stdout.contains(group), "{}", table.stdout);
    }
    Ok(())
}

#[tokio::test]
async fn each_error_says_what_was_expected_and_all_are_told_in_one_run() -> Result<()> {
    let variables = [
        ("API_PORT", "abc"),
        ("DB_POOL_SIZE", "ten"),
        ("SECRET_KEY", "0123456789abcdef0123456789abcde"),
        ("ADMIN_IDS", "1,2,x"),
    ];
    let (code, report, ended) = house(&variables).await?;
    assert_eq!(code, 1);
    for (key, error) in [
        ("API_PORT", r#"API_PORT: expected int, got "abc""#),
        ("DB_POOL_SIZE", r#"DB_POOL_SIZE: expected int, got "ten""#),
        (
            "SECRET_KEY",
            "SECRET_KEY: expected at least 32 characters, got 31",
        ),
        ("ADMIN_IDS", r#"ADMIN_IDS[2]: expected int, got "x""#),
        ("DATABASE_URL", "DATABASE_URL: required, but not set"),
        ("BOT_TOKEN", "BOT_TOKEN: required, but not set"),
    ] {
        let found = entry(&report, key);
        assert_eq!(found["errors"], json!([error]));
        assert_eq!(found["valid"], false);
    }
    assert!(!ended.stdout.contains("0123456789abcdef"));
    let table = verb(&["config", "env", "--preset", "house"], &variables).await?;
    let fails = table
        .stdout
        .lines()
        .filter(|line| line.contains("FAIL"))
        .count();
    assert_eq!((table.code(), fails), (1, 6), "{}", table.stdout);
    Ok(())
}

#[tokio::test]
async fn a_token_of_a_strange_form_is_told_and_taken() -> Result<()> {
    let mut variables = FINE.to_vec();
    variables.push(("BOT_TOKEN", "hunter2"));
    let (code, report, ended) = house(&variables).await?;
    assert_eq!(
        (code, &entry(&report, "BOT_TOKEN")["valid"]),
        (0, &json!(true))
    );
    assert!(
        ended
            .stderr
            .contains("warning: BOT_TOKEN: expected a match of"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("hunter2"));
    Ok(())
}

#[tokio::test]
async fn every_word_for_yes_and_no_is_understood() -> Result<()> {
    for (word, value) in [
        ("true", true),
        ("1", true),
        ("YES", true),
        ("on", true),
        ("off", false),
        ("No", false),
    ] {
        let words = ["config", "env", "--json", "--set", "env.DEBUG.type=bool"];
        let ended = verb(&words, &[("DEBUG", word)]).await?;
        let report: Value = serde_json::from_str(&ended.stdout)?;
        assert_eq!(report[0]["value"], value, "{word}");
    }
    Ok(())
}

const SCHEMA: &str = "\
service: {kind: worker}
env:
  LIMIT: {type: int, min: 1}
  MODE: {enum: [dev, prod], default: dev}
  KEY: {type: secret, required: true}
  RATIO: {type: float}
  TAGS: {type: list<str>, default: [a, b]}
";

#[tokio::test]
async fn an_app_whose_variables_do_not_fit_is_never_started() -> Result<()> {
    let ended = Seaworthy::run(["touch", "started"])
        .config(SCHEMA)
        .env("LIMIT", "0")
        .env("RATIO", "much")
        .env("MODE", "test")
        .end(PATIENCE)
        .await?;
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    for part in [
        r#"LIMIT: expected at least 1, got "0""#,
        r#"RATIO: expected float, got "much""#,
        r#"MODE: expected one of dev, prod, got "test""#,
        "KEY: required, but not set",
        "seaworthy.yaml:3:3",
        "seaworthy.yaml:5:3",
    ] {
        assert!(
            ended.stderr.contains(part),
            "{part} is missing in\n{}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("app.started"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn the_app_gets_the_defaults_of_what_is_not_set() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("env");
    let script = format!("env > {0}.new && mv {0}.new {0}; sleep 60", out.display());
    let _worker = Seaworthy::run(["sh", "-c", &script])
        .config(SCHEMA)
        .env("KEY", "hunter2")
        .env("RATIO", " 0.5 ")
        .start()
        .await?;
    let seen = wait::until("the app's variables", PATIENCE, || {
        std::future::ready(std::fs::read_to_string(&out).ok())
    })
    .await?;
    for line in ["MODE=dev", "TAGS=a,b", "KEY=hunter2", "RATIO= 0.5 "] {
        assert!(
            seen.lines().any(|seen| seen == line),
            "{line} is missing in\n{seen}"
        );
    }
    assert!(!seen.contains("LIMIT="), "{seen}");
    Ok(())
}

#[tokio::test]
async fn a_preset_whose_variables_are_missing_warns_and_starts() -> Result<()> {
    let house = Seaworthy::run(App::Mock.command()?)
        .flag("--preset")
        .flag("house")
        .start()
        .await?;
    let warned = wait::until("the warnings", PATIENCE, || {
        let events = house.output().events("config.warning");
        let of = |name: &str| {
            events
                .iter()
                .any(|event| event["setting"] == format!("env.{name}"))
        };
        std::future::ready(
            ["DATABASE_URL", "SECRET_KEY", "BOT_TOKEN"]
                .into_iter()
                .all(of)
                .then_some(()),
        )
    });
    warned.await?;
    wait::until("an answer of the app", PATIENCE, || async {
        let answer = client::get(house.public(), "/echo").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await
}

#[tokio::test]
async fn house_listens_where_its_variables_say_and_nowhere_else() -> Result<()> {
    let holder = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = holder.local_addr()?;
    let port = taken.port().to_string();
    let run = ["run", "--preset", "house", "--admin", "off", "--", "true"];
    let variables = [("API_HOST", "127.0.0.1"), ("API_PORT", port.as_str())];
    let ended = verb(&run, &variables).await?;
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("{taken} is taken")),
        "{}",
        ended.stderr
    );
    let ended = verb(&run, &[("API_HOST", "example.com")]).await?;
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("`example.com` is no address"),
        "{}",
        ended.stderr
    );
    Ok(())
}
