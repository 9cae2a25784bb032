//! The check `exec` with commands, good and bad.

mod looking;

use looking::{Watch, faults, once, probe, said};
use seaworthy_core::health::State;
use seaworthy_health::probe::exec::Exec;
use seaworthy_testkit::wait;
use serde_json::{Value, json};

fn shell(script: &str, mut more: Value) -> Exec {
    more["command"] = json!(["sh", "-c", script]);
    probe(more)
}

#[tokio::test]
async fn celery_workers_are_counted_as_in_the_example() {
    let options = json!({"parse": "json_object_count", "as": "workers", "min": 1});
    let two = r#"echo '{"w1@h":{"ok":"pong"},"w2@h":{"ok":"pong"}}'"#;
    let outcome = once(&shell(two, options.clone())).await;
    assert_eq!(outcome.state, State::Ok);
    assert_eq!(outcome.metadata["workers"], 2);
    assert_eq!(outcome.message, "2 workers");
    let outcome = once(&shell("echo {}", options)).await;
    assert_eq!(outcome.state, State::Fail);
    assert_eq!(outcome.message, "0 workers");
}

#[tokio::test]
async fn the_exit_code_decides() {
    for (script, state, message) in [
        ("exit 0", State::Ok, "the command ended with exit code 0"),
        ("exit 1", State::Fail, "the command ended with exit code 1"),
        ("exit 3", State::Fail, "the command ended with exit code 3"),
        (
            "kill -9 $$",
            State::Fail,
            "the command was ended by signal 9",
        ),
        ("yes", State::Fail, "the command prints more than 64 KiB"),
        // Closed: a command that reads gets the end at once.
        ("cat", State::Ok, "the command ended with exit code 0"),
    ] {
        assert_eq!(
            said(&shell(script, json!({}))).await,
            (state, message.to_owned()),
            "{script}"
        );
    }
}

#[tokio::test]
async fn a_command_that_cannot_be_started_says_so() {
    let none = Exec::new(["no-such-program-here"]);
    let outcome = once(&none).await;
    assert_eq!(outcome.state, State::Fail);
    assert_eq!(
        outcome.message,
        "the command `no-such-program-here` does not exist"
    );
    let nowhere = shell("true", json!({"directory": "/no/such/folder"}));
    assert_eq!(
        said(&nowhere).await.1,
        "the folder of the command does not exist"
    );
    let folder = Exec::new(["/tmp"]);
    assert_eq!(said(&folder).await.1, "the command `/tmp` may not be run");
}

#[tokio::test]
async fn what_it_prints_is_judged_and_not_shown() {
    let number = json!({"parse": "number", "as": "depth", "max": 10});
    assert_eq!(
        said(&shell("echo 11", number.clone())).await,
        (State::Fail, "11 depth".to_owned())
    );
    assert_eq!(said(&shell("echo 9.5", number.clone())).await.0, State::Ok);
    let (_, message) = said(&shell("echo hunter2", number)).await;
    assert_eq!(message, "the command does not print a number");
    let inside = json!({"parse": "json", "pointer": "/a/0", "equals": true});
    assert_eq!(
        said(&shell(r#"echo '{"a":[true]}'"#, inside.clone()))
            .await
            .0,
        State::Ok
    );
    assert_eq!(said(&shell("echo '{}'", inside)).await.0, State::Fail);
    let entries = json!({"parse": "json_object_count"});
    assert_eq!(said(&shell("echo 7", entries)).await.0, State::Fail);
}

#[tokio::test]
async fn of_our_environment_it_gets_what_is_named() {
    // `cargo test` sets this one.
    let asks = r#"test -z "$CARGO_PKG_NAME""#;
    assert_eq!(said(&shell(asks, json!({}))).await.0, State::Ok);
    let named = shell(asks, json!({"pass_env": ["CARGO_PKG_NAME"]}));
    assert_eq!(said(&named).await.0, State::Fail);
}

#[tokio::test]
async fn a_timeout_kills_the_whole_group_and_the_check_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let script = "test -e go && exit 0; sleep 300 & echo $! >> pids; echo $$ >> pids; wait";
    let options = json!({"directory": folder.path()});
    let watch = Watch::new(&shell(script, options));
    let component = watch.until(State::TimedOut).await;
    assert_eq!(component.message, "timed out after 0.5s");
    let read = || std::fs::read_to_string(folder.path().join("pids")).unwrap_or_default();
    let both = || read().lines().count() >= 2;
    wait::holds("both processes", wait::PATIENCE, both)
        .await
        .unwrap();
    std::fs::write(folder.path().join("go"), "").unwrap();
    watch.until(State::Ok).await;
    wait::holds("the end of all that was started", wait::PATIENCE, || {
        read().lines().all(|pid| {
            // An orphan may wait to be reaped by whoever has taken it.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        })
    })
    .await
    .unwrap();
}

#[test]
fn wrong_options_are_told() {
    assert_eq!(faults(&Exec::new(Vec::<String>::new())), ["command"]);
    assert_eq!(faults(&shell("x", json!({"min": 1}))), ["parse"]);
    assert_eq!(
        faults(&shell("x", json!({"pass_env": ["A=b"]}))),
        ["pass_env"]
    );
}
