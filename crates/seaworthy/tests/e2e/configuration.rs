//! Configuration as its author meets it: what is refused, how it is said, and where a value came from.

use std::path::Path;

use seaworthy_testkit::Result;
use seaworthy_testkit::process::{Ended, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::PATIENCE;
use serde_json::Value;

use crate::front::Front;

async fn config(file: &Path, words: &[&str]) -> Result<Ended> {
    let file = file.to_string_lossy().into_owned();
    let mut all = vec!["-c", &file, "config"];
    all.extend(words);
    Seaworthy::verb(all).await
}

const BAD: &str = "\
listn: {public: 1}
limits: {idel: 5s, max_body: many}
log: {level: loud}
app: {instances: 2.5}
routes: [{match: users}]
";

#[tokio::test]
async fn all_problems_are_told_at_once_with_their_place_and_the_way_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bad.yaml");
    std::fs::write(&file, BAD)?;
    let told = config(&file, &["validate"]).await?;
    assert_eq!((told.code(), told.stdout.as_str()), (2, ""));
    for part in [
        "unknown key `listn`",
        "did you mean `listen`?",
        "bad.yaml:1:1",
        "^^^^^",
        "unknown key `idel`",
        "did you mean `idle`?",
        "bad.yaml:2:10",
        "limits.max_body",
        "bad.yaml:2:30",
        "log.level",
        "bad.yaml:3:14",
        "app.instances",
        "bad.yaml:4:18",
        "routes[0].match",
        "bad.yaml:5:18",
    ] {
        assert!(
            told.stderr.contains(part),
            "{part} is missing in\n{}",
            told.stderr
        );
    }
    assert!(!told.stderr.contains('\u{1b}'), "colours in a file");
    assert!(!told.stderr.contains("panicked") && !told.stderr.contains("stack backtrace"));
    Ok(())
}

#[tokio::test]
async fn machines_get_the_same_problems_as_json() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bad.yaml");
    std::fs::write(&file, BAD)?;
    let told = config(&file, &["validate", "--json"]).await?;
    let report: Value = serde_json::from_str(&told.stdout)?;
    assert_eq!((told.code(), &report["ok"]), (2, &false.into()));
    let first = &report["problems"][0];
    assert_eq!(
        (&first["path"], &first["place"]["line"]),
        (&"listn".into(), &1.into())
    );
    assert_eq!(
        report["problems"].as_array().map(Vec::len),
        Some(6),
        "{report}"
    );
    Ok(())
}

#[tokio::test]
async fn run_refuses_what_validate_refuses() -> Result<()> {
    let ended = Seaworthy::run(App::Mock.command()?)
        .config(BAD)
        .end(PATIENCE)
        .await?;
    assert_eq!(ended.code(), 2);
    for part in [
        "did you mean `listen`?",
        "did you mean `idle`?",
        "routes[0].match",
    ] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    assert!(
        !ended.stderr.contains("app.started"),
        "the app was started: {}",
        ended.stderr
    );
    Ok(())
}

#[tokio::test]
async fn budgets_that_cannot_be_kept_are_refused_with_their_sum() -> Result<()> {
    for (yaml, parts) in [
        (
            "shutdown: {grace: 10s, drain: 40s}",
            &["shutdown.drain", "drain 40s", "grace is 10s"][..],
        ),
        (
            "shutdown: {propagation: 1s, ramp: 2s}",
            &["shutdown.ramp", "does not fit"],
        ),
        ("limits: {total: 1s}", &["limits.total", "1m"]),
        ("shutdown: {grace: 0s}", &["shutdown.grace"]),
    ] {
        let ended = Seaworthy::run(["true"]).config(yaml).end(PATIENCE).await?;
        assert_eq!(ended.code(), 2, "{yaml}");
        for part in parts {
            assert!(
                ended.stderr.contains(part),
                "{part} is missing in\n{}",
                ended.stderr
            );
        }
        assert!(
            !ended.stderr.contains("ns +"),
            "nanoseconds for people: {}",
            ended.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_missing_or_broken_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let missing = config(&folder.path().join("missing.yaml"), &["validate"]).await?;
    assert_eq!(missing.code(), 2);
    assert!(
        missing
            .stderr
            .contains("missing.yaml: there is no such file"),
        "{}",
        missing.stderr
    );
    for (name, text) in [("a.yaml", "a: ["), ("a.toml", "a = "), ("a.json", "{")] {
        let file = folder.path().join(name);
        std::fs::write(&file, text)?;
        let broken = config(&file, &["validate"]).await?;
        assert_eq!(broken.code(), 2);
        assert!(
            broken.stderr.contains(&format!("{name}:1:")),
            "{}",
            broken.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_none_or_too_much_is_said_to_be_that() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let told = config(folder.path(), &["validate"]).await?;
    assert_eq!(told.code(), 2);
    assert!(told.stderr.contains("this is a folder"), "{}", told.stderr);
    let file = folder.path().join("a.yaml");
    // Cut off in the middle of a letter, it is still too large and not badly written.
    std::fs::write(&file, "x-a: ä\n# öööööööö\n".repeat(50 << 16))?;
    let told = config(&file, &["validate"]).await?;
    assert_eq!(told.code(), 2);
    assert!(told.stderr.contains("larger than 4 MiB"), "{}", told.stderr);
    for (text, part) in [
        ("just words", "mapping of keys"),
        ("a:\n\tb: 1", "indent with spaces"),
    ] {
        std::fs::write(&file, text)?;
        let told = config(&file, &["validate"]).await?;
        assert_eq!(told.code(), 2);
        for part in [part, "a.yaml:"] {
            assert!(told.stderr.contains(part), "{part}: {}", told.stderr);
        }
    }
    std::fs::write(&file, "")?;
    let told = config(&file, &["validate"]).await?;
    assert_eq!((told.code(), told.stdout.contains("fine")), (0, true));
    Ok(())
}

#[tokio::test]
async fn what_deserves_a_look_is_told_at_the_start() -> Result<()> {
    let yaml = "app: {env: {PORT: '1'}}";
    let seaworthy = Seaworthy::run(App::Mock.command()?)
        .config(yaml)
        .start()
        .await?;
    let told = seaworthy.wait_event("config.warning").await?;
    assert_eq!(told["setting"], "app.env.PORT");
    for (key, part) in [("place", "seaworthy.yaml:1"), ("help", "app.port_env")] {
        assert!(
            told[key].as_str().is_some_and(|text| text.contains(part)),
            "{told}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn yaml_toml_and_json_mean_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = [
        (
            "a.yaml",
            "service: {name: shop}\nlimits: {max_body: 1MiB, idle: 90s}\nendpoints: [{path: /livez, view: live}]\n",
        ),
        (
            "a.toml",
            "endpoints = [{path = \"/livez\", view = \"live\"}]\n[limits]\nmax_body = \"1024KiB\"\nidle = \"1500ms\"\n[service]\nname = \"shop\"\n",
        ),
        (
            "a.json",
            "{\"limits\": {\"idle\": \"1m30s\", \"max_body\": 1048576}, \"service\": {\"name\": \"shop\"}, \"endpoints\": [{\"path\": \"/livez\", \"view\": \"live\"}]}",
        ),
    ];
    let mut hashes = Vec::new();
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::write(&file, text)?;
        let shown = config(&file, &["show", "--hash"]).await?;
        assert_eq!((shown.code(), shown.stderr.as_str()), (0, ""), "{name}");
        hashes.push(shown.stdout);
    }
    assert_eq!(hashes[0], hashes[2]);
    assert_ne!(
        hashes[0], hashes[1],
        "another time is another configuration"
    );
    let file = folder.path().join("a.toml");
    std::fs::write(&file, files[1].1.replace("1500ms", "90000ms"))?;
    assert_eq!(config(&file, &["show", "--hash"]).await?.stdout, hashes[0]);
    Ok(())
}

#[tokio::test]
async fn each_value_says_where_it_came_from() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("a.yaml");
    std::fs::write(
        &file,
        "environment: production\nlimits: {max_body: 1MiB, idle: 9s}\n",
    )?;
    std::fs::write(
        folder.path().join("seaworthy.production.yaml"),
        "limits: {idle: 8s}\n",
    )?;
    std::fs::write(
        folder.path().join("a.production.yaml"),
        "limits: {idle: 8s}\n",
    )?;
    let words = ["show", "--origin", "--preset", "scry", "--set", "threads=3"];
    let shown = config(&file, &words).await?.stdout;
    let origin = |key: &str| {
        let line = shown
            .lines()
            .find(|line| line.starts_with(&format!("{key}: ")));
        line.unwrap_or_default().to_owned()
    };
    for (key, parts) in [
        ("limits.max_body", &["1MiB", "a.yaml:2"][..]),
        ("limits.idle", &["8s", "production.yaml:1"]),
        ("shutdown.drain", &["2s", "preset scry"]),
        ("threads", &["3", "flag --set"]),
        ("limits.max_headers", &["100", "default"]),
    ] {
        for part in parts {
            assert!(
                origin(key).contains(part),
                "{key}: {part} is missing in {:?}",
                origin(key)
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn variables_and_flags_beat_the_file() -> Result<()> {
    let yaml = "limits: {max_body: 10}\nservice: {name: file}";
    let builder = Seaworthy::build()
        .config(yaml)
        .env("SEAWORTHY__LIMITS__MAX_BODY", "20")
        .env("SEAWORTHY__SERVICE__NAME", "variable")
        .set("service.name", "flag");
    let front = Front::with(builder).await?;
    let to = front.seaworthy.public();
    let fits = seaworthy_testkit::client::send(to, "POST", "/echo", &[], &[b'x'; 20]).await?;
    assert_eq!(fits.status, 200);
    let large = seaworthy_testkit::client::send(to, "POST", "/echo", &[], &[b'x'; 21]).await?;
    assert_eq!(large.status, 413);
    let live = seaworthy_testkit::client::get(to, "/health/live")
        .await?
        .json()?;
    assert_eq!(live["service"], "flag");
    Ok(())
}

#[tokio::test]
async fn a_key_can_be_shown_alone_and_an_unknown_one_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("a.yaml");
    std::fs::write(
        &file,
        "limits: {max_body: 1MiB}\napp: {env: {TOKEN: hunter2}}\n",
    )?;
    assert_eq!(
        config(&file, &["show", "limits.max_body"]).await?.stdout,
        "1MiB\n"
    );
    let all = config(&file, &["show"]).await?;
    assert!(
        all.stdout.contains("max_body: 1MiB") && !all.stdout.contains("hunter2"),
        "{}",
        all.stdout
    );
    let near = config(&file, &["show", "limits.max_bdy"]).await?;
    assert!(
        near.stderr.contains("did you mean `limits.max_body`?"),
        "{}",
        near.stderr
    );
    let unknown = config(&file, &["show", "limits.nope"]).await?;
    assert_eq!((unknown.code(), unknown.stdout.as_str()), (2, ""));
    assert!(unknown.stderr.contains("limits.nope"), "{}", unknown.stderr);
    Ok(())
}

#[tokio::test]
async fn the_schema_describes_every_section() -> Result<()> {
    let schema: Value = serde_json::from_str(&Seaworthy::verb(["config", "schema"]).await?.stdout)?;
    assert_eq!(schema["additionalProperties"], false);
    for section in [
        "service",
        "listen",
        "app",
        "shutdown",
        "endpoints",
        "routes",
        "limits",
        "errors",
        "log",
        "metrics",
        "traces",
        "threads",
    ] {
        let description = &schema["properties"][section]["description"];
        assert!(
            description.as_str().is_some_and(|text| !text.is_empty()),
            "{section}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn usage_errors_end_with_2_and_say_what_to_write() -> Result<()> {
    for words in [
        &["sail"][..],
        &["run", "--set", "x"],
        &["run", "uvicorn"],
        &["config"],
    ] {
        let ended = Seaworthy::verb(words).await?;
        assert_eq!(ended.code(), 2, "{words:?}");
        assert!(
            ended.stderr.contains("--help") || ended.stderr.contains("Usage"),
            "{}",
            ended.stderr
        );
    }
    let ended = Seaworthy::verb(["run", "uvicorn", "app:app"]).await?;
    assert!(
        ended.stderr.contains("seaworthy run -- uvicorn app:app"),
        "{}",
        ended.stderr
    );
    let nothing = Seaworthy::build().end(PATIENCE).await?;
    assert_eq!(nothing.code(), 2);
    assert!(
        nothing.stderr.contains("write the command after `--`"),
        "{}",
        nothing.stderr
    );
    Ok(())
}
