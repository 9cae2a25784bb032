//! Starts that cannot work: each a clear error with the fix, the right exit code, and no stack trace.

use seaworthy_testkit::Result;
use seaworthy_testkit::address::free;
use seaworthy_testkit::client;
use seaworthy_testkit::process::{Builder, Ended, Seaworthy};
use seaworthy_testkit::server::{App, tool};
use seaworthy_testkit::wait::PATIENCE;

/// Runs to the end and demands the code, the words, and good manners.
async fn ends(builder: Builder, code: i32, words: &[&str]) -> Result<Ended> {
    let ended = builder.end(PATIENCE).await?;
    assert_eq!(ended.code(), code, "{}", ended.stderr);
    for word in words {
        assert!(
            ended.stderr.contains(word),
            "`{word}` is missing in\n{}",
            ended.stderr
        );
    }
    for word in ["panicked", "stack backtrace", "RUST_BACKTRACE"] {
        assert!(!ended.stderr.contains(word), "{}", ended.stderr);
    }
    Ok(ended)
}

/// Early deaths follow each other fast.
fn hasty(builder: Builder) -> Builder {
    builder
        .set("app.restart.base", "10ms")
        .set("app.restart.max", "50ms")
}

#[tokio::test]
async fn a_public_port_that_is_taken_is_named_and_nothing_is_started() -> Result<()> {
    let holder = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = holder.local_addr()?;
    let builder = Seaworthy::run(App::Mock.command()?).listen(taken);
    let ended = ends(builder, 2, &[&format!("{taken} is taken"), "--listen"]).await?;
    assert!(!ended.stderr.contains("app.started"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn an_admin_port_that_was_set_and_is_taken_is_an_error() -> Result<()> {
    let holder = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = holder.local_addr()?;
    let builder = Seaworthy::run(App::Mock.command()?).admin(taken);
    let ended = ends(builder, 2, &[&taken.to_string(), "--admin"]).await?;
    assert!(!ended.stderr.contains("app.started"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named() -> Result<()> {
    ends(
        Seaworthy::run(["no-such-command-here"]),
        2,
        &["no-such-command-here", "PATH"],
    )
    .await?;
    ends(
        Seaworthy::run(["/no/such/file"]),
        2,
        &["/no/such/file", "there is no file"],
    )
    .await?;
    let folder = tempfile::tempdir()?;
    let plain = folder.path().join("plain.txt");
    std::fs::write(&plain, "no program")?;
    let path = plain.to_string_lossy().into_owned();
    ends(Seaworthy::run([path.clone()]), 2, &[&path]).await?;
    Ok(())
}

#[tokio::test]
async fn an_app_that_ends_at_once_is_tried_again_and_its_code_is_ours() -> Result<()> {
    let builder = hasty(Seaworthy::run([
        "sh",
        "-c",
        "echo its last words >&2; exit 7",
    ]));
    let ended = ends(
        builder,
        7,
        &["its last words", "exit code 7", "app.gave_up"],
    )
    .await?;
    let words = ended
        .stderr
        .lines()
        .filter(|line| *line == "its last words");
    assert_eq!(words.count(), 5, "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn an_app_that_was_killed_gives_128_and_the_signal() -> Result<()> {
    let builder = hasty(Seaworthy::run(["sh", "-c", "kill -9 $$"]));
    ends(builder, 137, &["SIGKILL"]).await?;
    Ok(())
}

#[tokio::test]
async fn an_app_that_is_not_to_be_restarted_ends_us() -> Result<()> {
    let never = |code: &str| Seaworthy::run(["sh", "-c", code]).set("app.restart.policy", "never");
    ends(never("exit 7"), 7, &["exit code 7"]).await?;
    ends(never("exit 0"), 0, &[]).await?;
    let on_failure = Seaworthy::run(["true"]).set("app.restart.policy", "on-failure");
    ends(on_failure, 0, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn an_app_that_never_listens_is_given_up() -> Result<()> {
    let builder = Seaworthy::run(["sleep", "600"]).set("app.startup.timeout", "1s");
    ends(builder, 1, &["does not listen on", "after 1"]).await?;
    Ok(())
}

#[tokio::test]
async fn an_app_that_listens_elsewhere_is_found_there() -> Result<()> {
    let elsewhere = free()?;
    let python = tool::find("python3")?.to_string_lossy().into_owned();
    let code = format!(
        "import http.server as h; h.HTTPServer(('127.0.0.1', {}), h.SimpleHTTPRequestHandler).serve_forever()",
        elsewhere.port()
    );
    let builder = Seaworthy::run([python, "-c".to_owned(), code]).set("app.startup.timeout", "3s");
    ends(
        builder,
        2,
        &[&format!("listen on {elsewhere}"), "app.connect"],
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn an_app_that_wants_the_port_we_own_is_told_so() -> Result<()> {
    let ours = free()?;
    let mut command = App::Mock.command()?;
    command.extend(["--listen".to_owned(), ours.to_string()]);
    let builder = hasty(Seaworthy::run(command)).listen(ours);
    let ended = builder.end(PATIENCE).await?;
    // The code of the mock whose address is taken.
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    // The app's own complaint does not say who has the port; one of our lines has to.
    let said = ended
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|record| {
            record["event"]
                .as_str()
                .is_some_and(|event| event.starts_with("app."))
        })
        .any(|record| {
            record["message"]
                .as_str()
                .is_some_and(|text| text.contains(&ours.to_string()) && text.contains("Seaworthy"))
        });
    assert!(said, "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn connecting_to_ourselves_is_refused() -> Result<()> {
    let ours = free()?;
    let builder = Seaworthy::build().listen(ours).connect(ours);
    ends(builder, 2, &["is where Seaworthy itself listens", "^^^"]).await?;
    Ok(())
}

#[tokio::test]
async fn words_that_cannot_work_behind_us_are_refused() -> Result<()> {
    for (command, words) in [
        (
            &["uvicorn", "app:app", "--port", "abc"][..],
            &["--port abc", "write a number"][..],
        ),
        (
            &[
                "uvicorn",
                "app:app",
                "--ssl-keyfile",
                "k",
                "--ssl-certfile",
                "c",
            ],
            &["listen.tls"],
        ),
        (
            &["gunicorn", "app:app", "--daemon"],
            &["background", "remove it"],
        ),
    ] {
        ends(Seaworthy::run(command.iter().copied()), 2, words).await?;
    }
    Ok(())
}

#[tokio::test]
async fn requests_during_the_wait_for_a_restart_are_refused_at_once() -> Result<()> {
    let builder = Seaworthy::run(["false"])
        .set("app.restart.base", "10s")
        .set("app.restart.max", "10s");
    let seaworthy = builder.start().await?;
    seaworthy.wait_event("app.restarting").await?;
    let answer = client::get(seaworthy.public(), "/").await?;
    assert_eq!(
        (answer.status, answer.error_type().as_deref()),
        (503, Some("Restarting"))
    );
    assert!(answer.header("retry-after").is_some());
    assert_eq!(
        client::get(seaworthy.public(), "/health/live")
            .await?
            .status,
        200
    );
    assert_eq!(
        client::get(seaworthy.public(), "/health/ready")
            .await?
            .status,
        503
    );
    Ok(())
}
