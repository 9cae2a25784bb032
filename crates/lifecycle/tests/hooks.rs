//! Hooks with real processes, servers and directories.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use seaworthy_core::address::Address;
use seaworthy_lifecycle::hooks::{Action, Context, Done, Hook, Request};
use seaworthy_lifecycle::patience::{Hurry, Patience};
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_lifecycle::spawn::Program;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::Instant;

fn hook(action: Action) -> Hook {
    Hook {
        name: "test".to_owned(),
        action,
        timeout: None,
        ignore_errors: false,
    }
}

fn shell(script: &str) -> Action {
    Action::Exec(Program {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        ..Program::default()
    })
}

fn patience(hurry: &Hurry) -> Patience {
    hurry.patience(Instant::now() + Duration::from_secs(20))
}

async fn run(hook: &Hook, app: Option<Address>) -> Done {
    let reaper = Reaper::start(false).unwrap();
    let context = Context {
        reaper: &reaper,
        app,
    };
    hook.run(&context, &patience(&Hurry::new())).await
}

#[tokio::test]
async fn a_command_succeeds_with_code_0_and_says_so_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("done");
    let touch = hook(shell(&format!("touch {}", file.display())));
    assert_eq!(run(&touch, None).await.error, None);
    assert!(file.exists());
    let done = run(&hook(shell("exit 3")), None).await;
    assert_eq!(
        done.error.as_deref(),
        Some("`sh -c 'exit 3'` ended with exit code 3")
    );
    assert!(done.failed());
    let lenient = Hook {
        ignore_errors: true,
        ..hook(shell("exit 3"))
    };
    assert!(!run(&lenient, None).await.failed());
    let missing = Program {
        program: "no-such-command".into(),
        ..Program::default()
    };
    let done = run(&hook(Action::Exec(missing)), None).await;
    assert!(done.error.unwrap().contains("was not found in PATH"));
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 999 & echo $! > {}; wait", file.display());
    let impatient = Hook {
        timeout: Some(Duration::from_millis(300)),
        ..hook(shell(&script))
    };
    let done = run(&impatient, None).await;
    assert!(done.timed_out && done.took < Duration::from_secs(10));
    let grandchild: i32 = std::fs::read_to_string(&file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let begun = Instant::now();
    while running(grandchild) {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether it lives; a zombie that its new parent has not reaped yet does not.
fn running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[tokio::test]
async fn somebody_in_a_hurry_ends_it() {
    let reaper = Reaper::start(false).unwrap();
    let context = Context {
        reaper: &reaper,
        app: None,
    };
    let hurry = Hurry::new();
    let patience = patience(&hurry);
    let slow = hook(shell("sleep 999"));
    let (done, ()) = tokio::join!(slow.run(&context, &patience), async { hurry.press() });
    assert_eq!(done.error.as_deref(), Some("somebody was in a hurry"));
    assert!(done.took < Duration::from_secs(10));
}

/// Answers one request with `answer` and gives its head.
async fn answer(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    answer: &str,
) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_request_goes_where_the_url_says_and_wants_a_2xx() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/unload?now=1", listener.local_addr().unwrap());
    let call = hook(Action::Http(Request::new("POST", &url).unwrap()));
    let serve = |text: &'static str| async {
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream, text).await
    };
    let (done, head) = tokio::join!(
        run(&call, None),
        serve("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
    );
    assert_eq!(done.error, None);
    assert!(
        head.starts_with("POST /unload?now=1 HTTP/1.1\r\nHost: 127.0.0.1:"),
        "{head}"
    );
    let (done, _) = tokio::join!(run(&call, None), serve("HTTP/1.1 500 Oh\r\n\r\n"));
    assert!(done.error.unwrap().contains("was answered with 500"));
    drop(listener);
    let error = run(&call, None).await.error.unwrap();
    assert!(error.contains(&url) && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_path_alone_goes_to_the_app() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let call = hook(Action::Http(
        Request::new("get", "/internal/unload").unwrap(),
    ));
    let (done, head) = tokio::join!(run(&call, Some(Address::Unix(path))), async {
        let (stream, _) = listener.accept().await.unwrap();
        answer(
            stream,
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        )
        .await
    });
    assert_eq!(done.error, None);
    assert!(
        head.starts_with("GET /internal/unload HTTP/1.1\r\n"),
        "{head}"
    );
    let error = run(&call, None).await.error.unwrap();
    assert!(error.contains("which is not running"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let call = Hook {
        timeout: Some(Duration::from_millis(100)),
        ..hook(Action::Http(Request::new("POST", &url).unwrap()))
    };
    let done = run(&call, None).await;
    assert!(done.timed_out && done.took >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_directory_is_removed_and_a_dangerous_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("cache");
    std::fs::create_dir_all(tree.join("a")).unwrap();
    let remove = |path: &Path| hook(Action::RemoveTree(path.to_owned()));
    assert_eq!(run(&remove(&tree), None).await.error, None);
    assert!(!tree.exists());
    assert_eq!(run(&remove(&tree), None).await.error, None);
    let error = run(&remove(&PathBuf::from("/")), None).await.error.unwrap();
    assert!(error.contains("two levels"), "{error}");
}
