//! What is left in the termination log, where Kubernetes looks for the reason of an end.

use std::net::TcpListener;
use std::path::Path;

use seaworthy_testkit::Result;
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::PATIENCE;
use serde_json::Value;

/// What Kubernetes reads at most.
const MOST: usize = 4096;

fn word(file: &Path) -> Result<Value> {
    let text = std::fs::read(file)?;
    assert!(text.len() <= MOST, "{} bytes", text.len());
    Ok(serde_json::from_slice(&text)?)
}

fn told(word: &Value) -> (&str, u64, &str) {
    let text = |key: &str| word[key].as_str().unwrap_or_default();
    let code = word["exit_code"].as_u64().unwrap_or(u64::MAX);
    (text("reason"), code, text("message"))
}

fn shell(script: &str, log: &Path) -> Builder {
    Seaworthy::run(["sh", "-c", script])
        .set("app.restart.policy", "never")
        .set("shutdown.termination_log", log.display())
}

#[tokio::test]
async fn a_stop_that_was_asked_for_says_by_whom() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    // Longer than what replaces it.
    std::fs::write(&log, "x".repeat(2 * MOST))?;
    let builder =
        Seaworthy::run(App::Mock.command()?).set("shutdown.termination_log", log.display());
    let mut seaworthy = builder.ready().await?;
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    let word = word(&log)?;
    let (reason, code, message) = told(&word);
    assert_eq!((reason, code), ("stopped", 0), "{word}");
    assert!(
        message.contains("SIGTERM") && message.contains("0 cut"),
        "{word}"
    );
    word["at"]
        .as_str()
        .unwrap_or_default()
        .parse::<jiff::Timestamp>()?;
    Ok(())
}

#[tokio::test]
async fn an_app_that_ended_is_told_with_its_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    for (script, code, why) in [
        ("exit 7", 7, "exit code 7"),
        ("kill -9 $$", 137, "SIGKILL"),
        ("exit 0", 0, "exit code 0"),
    ] {
        assert_eq!(shell(script, &log).end(PATIENCE).await?.code(), code);
        let word = word(&log)?;
        let (reason, told_code, message) = told(&word);
        assert_eq!(reason, "app_ended", "{word}");
        assert_eq!(told_code, u64::try_from(code)?, "{word}");
        assert!(message.contains(why), "{why}: {word}");
    }
    Ok(())
}

#[tokio::test]
async fn what_kept_it_from_starting_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let builder = shell("exec sleep 600", &log).listen(taken.local_addr()?);
    assert_eq!(builder.end(PATIENCE).await?.code(), 2);
    let word = word(&log)?;
    let (reason, code, message) = told(&word);
    assert_eq!((reason, code), ("not_started", 2), "{word}");
    let port = taken.local_addr()?.port().to_string();
    assert!(message.contains(&port), "{word}");
    Ok(())
}

#[tokio::test]
async fn a_log_that_cannot_be_written_changes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )?;
    for log in [
        folder.path().to_owned(),
        folder.path().join("no/such/folder"),
        pipe,
        "/dev/full".into(),
    ] {
        let ended = shell("exit 7", &log).end(PATIENCE).await?;
        assert_eq!(ended.code(), 7, "{}: {}", log.display(), ended.stderr);
        let warned = ended.stderr.contains("the last word could not be written");
        assert!(warned, "{}: {}", log.display(), ended.stderr);
    }
    Ok(())
}

/// The binary in a container's view of `/dev`: a few devices, and whatever else is in `folder`.
fn with_devices(folder: &Path, builder: Builder) -> Builder {
    let script = "for name in null zero random urandom; do \
        : > \"$0/$name\" && mount --bind \"/dev/$name\" \"$0/$name\" || exit 99; \
        done; mount --rbind \"$0\" /dev && exec \"$@\"";
    let folder = folder.display().to_string();
    let mut words = vec!["unshare", "--mount"];
    if !rustix::process::geteuid().is_root() {
        words.extend(["--user", "--map-root-user"]);
    }
    words.extend(["sh", "-c", script, &folder]);
    builder.under(words)
}

#[tokio::test]
async fn the_usual_file_is_written_where_there_is_one_and_never_made() -> Result<()> {
    let never = || Seaworthy::run(["sh", "-c", "kill -9 $$"]).set("app.restart.policy", "never");
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("termination-log");
    let ended = with_devices(folder.path(), never()).end(PATIENCE).await?;
    assert_eq!(ended.code(), 137, "{}", ended.stderr);
    assert!(!log.exists());
    assert!(!ended.stderr.contains("last word"), "{}", ended.stderr);

    std::fs::write(&log, "")?;
    let ended = with_devices(folder.path(), never()).end(PATIENCE).await?;
    assert_eq!(ended.code(), 137, "{}", ended.stderr);
    assert_eq!(told(&word(&log)?).0, "app_ended");

    std::fs::write(&log, "")?;
    let off = never().set("shutdown.termination_log", "off");
    with_devices(folder.path(), off).end(PATIENCE).await?;
    assert_eq!(std::fs::read(&log)?, b"");
    Ok(())
}

#[tokio::test]
async fn a_configuration_that_is_refused_is_told_in_the_usual_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("termination-log");
    std::fs::write(&log, "")?;
    let unknown: String = (0..300).map(|n| format!("nonsense{n}: secret\n")).collect();
    let builder = Seaworthy::run(["true"]).config(&unknown);
    let ended = with_devices(folder.path(), builder).end(PATIENCE).await?;
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    let word = word(&log)?;
    let (reason, code, message) = told(&word);
    assert_eq!((reason, code), ("not_started", 2), "{word}");
    assert!(message.contains("nonsense0"), "{word}");
    assert!(
        !message.contains("secret"),
        "lines of the file stay out of it: {word}"
    );
    Ok(())
}
