//! The supervisor with real processes.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use seaworthy_core::address::Address;
use seaworthy_core::backoff::{Policy, Rules};
use seaworthy_lifecycle::journal::Journal;
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_lifecycle::signals::Name;
use seaworthy_lifecycle::spawn::Program;
use seaworthy_lifecycle::supervise::{Launch, Settings, State, Supervisor};

const LONG: Duration = Duration::from_secs(20);

/// A server that listens on the path in `$AT`, announces itself in `$AT.pid` and ends on TERM with code 0.
const SERVER: &str = r"
import os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
s = socket.socket(socket.AF_UNIX)
s.bind(os.environ['AT'])
s.listen(64)
while True:
    c, _ = s.accept()
    c.close()
";

fn python(script: &str) -> Program {
    Program {
        program: "python3".into(),
        args: vec!["-c".into(), script.into()],
        ..Program::default()
    }
}

fn shell(script: &str) -> Program {
    Program {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        ..Program::default()
    }
}

/// Fresh sockets in `dir` for each start of `program`.
fn launcher(
    dir: &Path,
    program: Program,
) -> impl FnMut(usize, u64) -> io::Result<Launch> + Send + 'static {
    let dir = dir.to_owned();
    move |instance, generation| {
        let path = dir.join(format!("{instance}-{generation}.sock"));
        let mut program = program.clone();
        program.env.push(("AT".into(), Some(path.clone().into())));
        Ok(Launch {
            program,
            address: Some(Address::Unix(path)),
        })
    }
}

struct Stage {
    reaper: Reaper,
    journal: Journal,
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        Stage {
            reaper: Reaper::start(true).unwrap(),
            journal: Journal::new(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn run(&self, settings: Settings, program: Program) -> Supervisor {
        let launcher = launcher(self.dir.path(), program);
        Supervisor::start(settings, &self.reaper, &self.journal, launcher)
    }

    fn said(&self, name: &str) -> Vec<String> {
        let entries = self.journal.recent().into_iter();
        entries
            .filter(|entry| entry.event.name == name)
            .map(|entry| entry.event.to_string())
            .collect()
    }
}

async fn until(supervisor: &Supervisor, wanted: impl Fn(&[State]) -> bool) -> Vec<State> {
    let mut states = supervisor.states();
    let found = tokio::time::timeout(LONG, states.wait_for(|states| wanted(states))).await;
    match found {
        Ok(states) => states.unwrap().clone(),
        Err(_) => panic!("still {:?}", supervisor.states().borrow()),
    }
}

async fn ready(supervisor: &Supervisor, at_least: u64) -> Vec<i32> {
    let is_ready =
        |state: &State| matches!(state, State::Ready { generation, .. } if *generation >= at_least);
    let states = until(supervisor, |states| states.iter().all(is_ready)).await;
    states.iter().filter_map(pid).collect()
}

fn pid(state: &State) -> Option<i32> {
    match state {
        State::Ready { pid, .. } => Some(*pid),
        _ => None,
    }
}

fn kill(pid: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn group_alive(pid: i32) -> bool {
    rustix::process::test_kill_process_group(rustix::process::Pid::from_raw(pid).unwrap()).is_ok()
}

fn quick() -> Rules {
    Rules {
        base: Duration::from_millis(10),
        ..Rules::default()
    }
}

#[tokio::test]
async fn starts_is_ready_and_stops() {
    let stage = Stage::new();
    let supervisor = stage.run(
        Settings {
            instances: 2,
            ..Settings::default()
        },
        python(SERVER),
    );
    let pids = ready(&supervisor, 1).await;
    assert_eq!(pids.len(), 2);
    let killed = supervisor.stop(Name::TERM, tokio::time::sleep(LONG)).await;
    assert!(!killed);
    assert_eq!(
        *supervisor.states().borrow(),
        [State::Stopped, State::Stopped]
    );
    assert!(pids.iter().all(|pid| !group_alive(*pid)));
    assert_eq!(supervisor.restarts_total(), 0);
    assert!(stage.said("app.ready")[0].contains("is ready"));
    // Everything that was asked for afterwards is answered.
    assert!(!supervisor.stop(Name::TERM, std::future::pending()).await);
}

#[tokio::test]
async fn a_stable_app_is_restarted_at_once_as_often_as_it_dies() {
    let stage = Stage::new();
    let rules = Rules {
        stable_after: Duration::ZERO,
        base: Duration::from_secs(3600),
        ..Rules::default()
    };
    let supervisor = stage.run(
        Settings {
            rules,
            ..Settings::default()
        },
        python(SERVER),
    );
    for generation in 1..=8 {
        let pids = ready(&supervisor, generation).await;
        kill(pids[0], rustix::process::Signal::KILL);
    }
    ready(&supervisor, 9).await;
    assert_eq!(supervisor.restarts_total(), 8);
    let said = stage.said("app.restarting");
    assert!(
        said[0].contains("was killed by SIGKILL") && said[0].ends_with("starting it again at once"),
        "{said:?}"
    );
    supervisor.stop(Name::TERM, tokio::time::sleep(LONG)).await;
}

#[tokio::test]
async fn early_deaths_back_off_and_the_fifth_ends_it_with_the_apps_code() {
    let stage = Stage::new();
    let starts = Instant::now();
    let supervisor = stage.run(
        Settings {
            rules: quick(),
            ..Settings::default()
        },
        shell("exit 7"),
    );
    assert_eq!(
        tokio::time::timeout(LONG, supervisor.finished()).await,
        Ok(7)
    );
    assert!(starts.elapsed() >= Duration::from_millis(10 + 20 + 40 + 80));
    assert_eq!(supervisor.restarts_total(), 4);
    assert_eq!(*supervisor.states().borrow(), [State::Failed { code: 7 }]);
    assert_eq!(stage.said("app.restarting").len(), 4);
    let said = stage.said("app.gave_up");
    assert!(
        said[0].contains("ended with exit code 7") && said[0].contains("early death 5 of 5"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_stop_during_the_backoff_is_immediate() {
    let stage = Stage::new();
    let rules = Rules {
        base: Duration::from_secs(3600),
        max: Duration::from_secs(3600),
        ..Rules::default()
    };
    let supervisor = stage.run(
        Settings {
            rules,
            ..Settings::default()
        },
        shell("exit 1"),
    );
    until(&supervisor, |states| {
        matches!(states[0], State::Backoff { .. })
    })
    .await;
    assert!(!supervisor.stop(Name::TERM, std::future::pending()).await);
    assert_eq!(*supervisor.states().borrow(), [State::Stopped]);
}

#[tokio::test]
async fn the_policy_never_ends_with_the_apps_own_code() {
    let stage = Stage::new();
    for (script, code) in [("exit 7", 7), ("exit 0", 0), ("kill -TERM $$", 143)] {
        let rules = Rules {
            policy: Policy::Never,
            ..Rules::default()
        };
        let supervisor = stage.run(
            Settings {
                rules,
                ..Settings::default()
            },
            shell(script),
        );
        assert_eq!(
            tokio::time::timeout(LONG, supervisor.finished()).await,
            Ok(code),
            "{script}"
        );
        assert_eq!(*supervisor.states().borrow(), [State::Ended { code }]);
    }
}

#[tokio::test]
async fn a_command_that_does_not_exist_ends_at_once_and_says_how_to_mend_it() {
    let stage = Stage::new();
    let missing = Program {
        program: "uvicron".into(),
        ..Program::default()
    };
    let supervisor = stage.run(Settings::default(), missing);
    assert_eq!(supervisor.finished().await, 2);
    let said = stage.said("app.not_started");
    assert!(
        said[0].contains("`uvicron` was not found in PATH. Install it"),
        "{said:?}"
    );
}

#[tokio::test]
async fn an_app_that_ignores_term_is_killed_with_its_group() {
    let stage = Stage::new();
    let deaf = SERVER.replace("lambda *_: os._exit(0)", "signal.SIG_IGN");
    let supervisor = stage.run(Settings::default(), python(&deaf));
    let pids = ready(&supervisor, 1).await;
    let begun = Instant::now();
    let patience = Duration::from_millis(200);
    assert!(
        supervisor
            .stop(Name::TERM, tokio::time::sleep(patience))
            .await
    );
    assert!(begun.elapsed() >= patience && begun.elapsed() < LONG);
    assert!(!group_alive(pids[0]));
}

#[tokio::test]
async fn a_server_behind_a_shell_finishes_although_the_shell_dies_at_once() {
    let stage = Stage::new();
    let done = stage.dir.path().join("done");
    let slow = SERVER.replace(
        "lambda *_: os._exit(0)",
        &format!(
            "lambda *_: (__import__('time').sleep(0.3), open({done:?}, 'w').close(), os._exit(0))"
        ),
    );
    let program = Program {
        args: vec!["-c".into(), "python3 -c \"$0\"; true".into(), slow.into()],
        ..shell("")
    };
    let supervisor = stage.run(Settings::default(), program);
    ready(&supervisor, 1).await;
    assert!(!supervisor.stop(Name::TERM, tokio::time::sleep(LONG)).await);
    assert!(done.exists());
}

#[tokio::test]
async fn when_the_app_dies_nothing_it_started_is_left() {
    let stage = Stage::new();
    let file = stage.dir.path().join("grandchild");
    let parent = format!(
        "import os, subprocess\np = subprocess.Popen(['sleep', '999'])\nopen({file:?}, 'w').write(str(p.pid))\n{SERVER}"
    );
    let rules = Rules {
        stable_after: Duration::ZERO,
        ..Rules::default()
    };
    let supervisor = stage.run(
        Settings {
            rules,
            ..Settings::default()
        },
        python(&parent),
    );
    let pids = ready(&supervisor, 1).await;
    let grandchild: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    kill(pids[0], rustix::process::Signal::KILL);
    ready(&supervisor, 2).await;
    assert!(!group_alive(pids[0]));
    assert!(
        !Path::new(&format!("/proc/{grandchild}")).exists(),
        "{grandchild} is left"
    );
    supervisor.stop(Name::TERM, tokio::time::sleep(LONG)).await;
}

#[tokio::test]
async fn signals_reach_the_whole_group() {
    let stage = Stage::new();
    let mark = stage.dir.path().join("usr1");
    let script = SERVER.replace(
        "s = socket",
        &format!(
            "signal.signal(signal.SIGUSR1, lambda *_: open({mark:?}, 'w').close())\ns = socket"
        ),
    );
    let program = Program {
        args: vec![
            "-c".into(),
            "trap '' USR1; python3 -c \"$0\"; true".into(),
            script.into(),
        ],
        ..shell("")
    };
    let supervisor = stage.run(Settings::default(), program);
    ready(&supervisor, 1).await;
    supervisor.signal(Name::USR1).await;
    let waited = Instant::now();
    while !mark.exists() {
        assert!(waited.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    supervisor.stop(Name::TERM, tokio::time::sleep(LONG)).await;
}

#[tokio::test]
async fn an_app_that_listens_elsewhere_is_named_and_killed() {
    let stage = Stage::new();
    let elsewhere = r"
import socket, time
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(1)
time.sleep(999)
";
    let settings = Settings {
        startup_timeout: Duration::from_secs(2),
        ..Settings::default()
    };
    let supervisor = stage.run(settings, python(elsewhere));
    assert_eq!(
        tokio::time::timeout(LONG, supervisor.finished()).await,
        Ok(2)
    );
    let said = stage.said("app.never_listened");
    assert!(
        said[0].contains("its processes listen on 127.0.0.1:"),
        "{said:?}"
    );
    assert!(
        said[0].contains("set app.connect: \"127.0.0.1:"),
        "{said:?}"
    );
}

#[tokio::test]
async fn an_app_that_never_listens_is_killed_at_the_deadline() {
    let stage = Stage::new();
    let settings = Settings {
        startup_timeout: Duration::from_millis(300),
        ..Settings::default()
    };
    let supervisor = stage.run(settings, shell("sleep 999 & sleep 999"));
    assert_eq!(
        tokio::time::timeout(LONG, supervisor.finished()).await,
        Ok(1)
    );
    let said = stage.said("app.never_listened");
    assert!(said[0].contains("app.startup.timeout"), "{said:?}");
}

#[tokio::test]
async fn an_address_that_somebody_else_serves_is_refused() {
    let stage = Stage::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(other.local_addr().unwrap());
    let launcher = move |_, _| {
        Ok(Launch {
            program: shell("sleep 999"),
            address: Some(address.clone()),
        })
    };
    let supervisor =
        Supervisor::start(Settings::default(), &stage.reaper, &stage.journal, launcher);
    assert_eq!(supervisor.finished().await, 2);
    let said = stage.said("app.not_started");
    assert!(
        said[0].contains("another process already listens on 127.0.0.1:"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_restart_replaces_one_instance_after_the_other() {
    let stage = Stage::new();
    let supervisor = stage.run(
        Settings {
            instances: 2,
            ..Settings::default()
        },
        python(SERVER),
    );
    let before = ready(&supervisor, 1).await;
    let least = Arc::new(AtomicU64::new(u64::MAX));
    let seen = Arc::clone(&least);
    let mut states = supervisor.states();
    let watcher = tokio::spawn(async move {
        while states.changed().await.is_ok() {
            let ready = states
                .borrow_and_update()
                .iter()
                .filter(|s| pid(s).is_some())
                .count();
            seen.fetch_min(ready.try_into().unwrap(), Ordering::Relaxed);
        }
    });
    supervisor.restart(Name::TERM, LONG).await;
    let after = ready(&supervisor, 2).await;
    assert!(before.iter().all(|pid| !after.contains(pid)));
    assert_eq!(least.load(Ordering::Relaxed), 1);
    watcher.abort();
    supervisor.stop(Name::TERM, tokio::time::sleep(LONG)).await;
}

#[tokio::test]
async fn while_held_the_dead_stay_dead() {
    let stage = Stage::new();
    let rules = Rules {
        stable_after: Duration::ZERO,
        ..Rules::default()
    };
    let supervisor = stage.run(
        Settings {
            rules,
            ..Settings::default()
        },
        python(SERVER),
    );
    let pids = ready(&supervisor, 1).await;
    supervisor.hold().await;
    kill(pids[0], rustix::process::Signal::KILL);
    until(&supervisor, |states| states[0] == State::Stopped).await;
    assert_eq!(supervisor.restarts_total(), 0);
}

#[tokio::test]
async fn every_start_gets_its_own_instance_and_generation() {
    let stage = Stage::new();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&calls);
    let mut inner = launcher(stage.dir.path(), python(SERVER));
    let rules = Rules {
        stable_after: Duration::ZERO,
        ..Rules::default()
    };
    let settings = Settings {
        instances: 2,
        rules,
        ..Settings::default()
    };
    let supervisor = Supervisor::start(
        settings,
        &stage.reaper,
        &stage.journal,
        move |instance, generation| {
            heard.lock().unwrap().push((instance, generation));
            inner(instance, generation)
        },
    );
    let pids = ready(&supervisor, 1).await;
    kill(pids[1], rustix::process::Signal::KILL);
    until(&supervisor, |states| {
        matches!(states[1], State::Ready { generation: 2, .. })
    })
    .await;
    assert_eq!(*calls.lock().unwrap(), [(0, 1), (1, 1), (1, 2)]);
    supervisor.stop(Name::TERM, tokio::time::sleep(LONG)).await;
}

/// Ends 300 ms after TERM.
fn slow_to_stop() -> Program {
    python(&SERVER.replace(
        "lambda *_: os._exit(0)",
        "lambda *_: (__import__('time').sleep(0.3), os._exit(0))",
    ))
}

#[tokio::test]
async fn a_stop_during_a_restart_ends_it_without_a_new_start() {
    let stage = Stage::new();
    let supervisor = stage.run(Settings::default(), slow_to_stop());
    ready(&supervisor, 1).await;
    let (killed, ()) = tokio::join!(
        async {
            until(&supervisor, |states| {
                matches!(states[0], State::Starting { generation: 2 })
            })
            .await;
            supervisor.stop(Name::TERM, tokio::time::sleep(LONG)).await
        },
        supervisor.restart(Name::TERM, LONG),
    );
    assert!(!killed);
    assert_eq!(*supervisor.states().borrow(), [State::Stopped]);
    assert_eq!(supervisor.restarts_total(), 0);
}

#[tokio::test]
async fn an_app_that_does_not_listen_yet_can_be_stopped() {
    let stage = Stage::new();
    let supervisor = stage.run(Settings::default(), shell("exec sleep 999"));
    assert!(!supervisor.stop(Name::TERM, tokio::time::sleep(LONG)).await);
    assert_eq!(*supervisor.states().borrow(), [State::Stopped]);
    assert_eq!(stage.said("app.ready"), Vec::<String>::new());
}

#[tokio::test]
async fn without_its_supervisor_the_app_does_not_live_on() {
    let stage = Stage::new();
    let supervisor = stage.run(Settings::default(), python(SERVER));
    let pids = ready(&supervisor, 1).await;
    let mut states = supervisor.states();
    drop(supervisor);
    let stopped = states.wait_for(|states| states[0] == State::Stopped);
    tokio::time::timeout(LONG, stopped).await.unwrap().unwrap();
    assert!(!group_alive(pids[0]));
}
