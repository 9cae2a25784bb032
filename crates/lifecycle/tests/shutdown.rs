//! The phases of a stop, with a service of paper and a clock that jumps.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::time::Duration;

use seaworthy_core::address::Address;
use seaworthy_core::budget::{Budget, Ramp, Wishes};
use seaworthy_core::lifecycle::Phase;
use seaworthy_lifecycle::hooks::{Action, Hook};
use seaworthy_lifecycle::journal::Journal;
use seaworthy_lifecycle::patience::{Hurry, Patience};
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_lifecycle::shutdown::{AppEnd, Plan, Steps, Summary, run};
use tokio::time::{Instant, sleep, sleep_until};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A service whose requests are done after `busy` and whose app stops after `app`.
struct Paper {
    begun: Instant,
    requests: u64,
    busy: Duration,
    app: Option<Duration>,
    stuck: Option<&'static str>,
    ramp: Option<Ramp>,
    /// What was called, with the second it was called in.
    log: Vec<(&'static str, u64)>,
}

impl Paper {
    fn new() -> Paper {
        Paper {
            begun: Instant::now(),
            requests: 0,
            busy: Duration::ZERO,
            app: Some(Duration::ZERO),
            stuck: None,
            ramp: None,
            log: Vec::new(),
        }
    }

    async fn note(&mut self, what: &'static str) {
        self.log.push((what, self.begun.elapsed().as_secs()));
        if self.stuck == Some(what) {
            std::future::pending::<()>().await;
        }
    }
}

impl Steps for Paper {
    fn enter(&mut self, phase: Phase) {
        self.log
            .push((phase.word(), self.begun.elapsed().as_secs()));
    }

    async fn mark(&mut self, ramp: Option<Ramp>) {
        self.ramp = ramp;
        self.note("mark").await;
    }

    async fn begin_drain(&mut self) {
        self.note("begin_drain").await;
    }

    fn in_flight(&self) -> u64 {
        if self.begun.elapsed() < self.busy {
            self.requests
        } else {
            0
        }
    }

    async fn end_drain(&mut self) -> u64 {
        self.note("end_drain").await;
        self.in_flight()
    }

    fn app_address(&self) -> Option<Address> {
        None
    }

    async fn stop_app(&mut self, patience: Patience) -> AppEnd {
        self.note("stop_app").await;
        let Some(time) = self.app else {
            return AppEnd::NoApp;
        };
        match patience.wait(sleep(time)).await {
            Some(()) => AppEnd::Stopped,
            None => AppEnd::Killed,
        }
    }

    async fn flush(&mut self) {
        self.note("flush").await;
    }
}

fn plan(wishes: Wishes, propagation: Duration) -> Plan {
    Plan {
        budget: Budget::derive(&wishes, propagation).unwrap(),
        hooks: Vec::new(),
        ramp: Duration::ZERO,
        fail_exit: 0,
        by: "SIGTERM".to_owned(),
        prestopped: None,
    }
}

async fn stop(plan: &Plan, paper: &mut Paper) -> (Summary, Journal) {
    stop_with(plan, paper, &Hurry::new()).await
}

async fn stop_with(plan: &Plan, paper: &mut Paper, hurry: &Hurry) -> (Summary, Journal) {
    let reaper = Reaper::start(false).unwrap();
    let journal = Journal::new();
    let summary = run(plan, paper, hurry, &reaper, &journal).await;
    (summary, journal)
}

/// What follows from the first event of a name.
fn next(journal: &Journal, name: &str) -> String {
    let recent = journal.recent();
    let found = recent.iter().find(|entry| entry.event.name == name);
    found.unwrap().event.next.clone()
}

fn names(journal: &Journal) -> Vec<&'static str> {
    journal
        .recent()
        .iter()
        .map(|entry| entry.event.name)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_idle_service_stops_at_once_and_in_order() {
    let mut paper = Paper::new();
    let (summary, journal) = stop(&plan(Wishes::new(s(30)), s(0)), &mut paper).await;
    assert_eq!(
        names(&journal),
        [
            "shutdown.signal",
            "shutdown.marked",
            "shutdown.drained",
            "shutdown.app",
            "shutdown.complete"
        ]
    );
    let called: Vec<_> = paper.log.iter().map(|(what, _)| *what).collect();
    assert_eq!(
        called,
        [
            "propagating",
            "mark",
            "draining",
            "begin_drain",
            "end_drain",
            "hooks",
            "stopping",
            "stop_app",
            "flushing",
            "flush",
            "stopped"
        ]
    );
    assert!(summary.duration < s(1) && !summary.forced);
    assert_eq!(summary.exit_code(), 0);
    assert_eq!(
        next(&journal, "shutdown.marked"),
        "new requests are refused from now on"
    );
}

#[tokio::test(start_paused = true)]
async fn it_serves_on_for_the_propagation_and_ends_the_drain_with_the_last_request() {
    let mut paper = Paper::new();
    (paper.requests, paper.busy) = (20, s(7));
    let (summary, journal) = stop(&plan(Wishes::new(s(30)), s(5)), &mut paper).await;
    assert_eq!(
        next(&journal, "shutdown.marked"),
        "requests are still served for 5000 ms"
    );
    assert!(paper.log.contains(&("mark", 0)) && paper.log.contains(&("begin_drain", 5)));
    assert!(paper.log.contains(&("end_drain", 7)), "{:?}", paper.log);
    assert_eq!(
        (
            summary.inflight_completed,
            summary.aborted,
            summary.exit_code()
        ),
        (20, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_by_the_end_of_the_drain_is_cut_and_exits_75() {
    let mut paper = Paper::new();
    (paper.requests, paper.busy) = (3, s(60));
    let (summary, journal) = stop(&plan(Wishes::new(s(30)), s(0)), &mut paper).await;
    assert!(paper.log.contains(&("end_drain", 20)), "{:?}", paper.log);
    assert_eq!(
        (
            summary.inflight_completed,
            summary.aborted,
            summary.exit_code()
        ),
        (0, 3, 75)
    );
    let drained = &journal.recent()[2].event;
    assert!(
        drained.to_string().contains("3 requests were cut"),
        "{drained}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_app_without_a_time_of_its_own_gets_what_is_left_and_is_then_killed() {
    let mut paper = Paper::new();
    paper.app = Some(s(99));
    let (summary, _) = stop(&plan(Wishes::new(s(30)), s(0)), &mut paper).await;
    assert!(summary.app_killed && summary.forced && summary.exit_code() == 75);
    assert_eq!(summary.duration.as_secs(), 28);

    let mut paper = Paper::new();
    paper.app = Some(s(99));
    let wishes = Wishes {
        app: Some(s(3)),
        ..Wishes::new(s(30))
    };
    let (summary, _) = stop(&plan(wishes, s(0)), &mut paper).await;
    assert_eq!(summary.duration.as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_step_can_outlast_the_grace_period() {
    for step in ["mark", "begin_drain", "end_drain", "stop_app", "flush"] {
        let mut paper = Paper::new();
        paper.stuck = Some(step);
        let (summary, journal) = stop(&plan(Wishes::new(s(30)), s(5)), &mut paper).await;
        assert!(summary.forced, "{step}");
        assert!(
            summary.duration <= s(30) + Duration::from_millis(110),
            "{step}: {:?}",
            summary.duration
        );
        assert!(paper.log.iter().any(|(what, _)| *what == "flush"), "{step}");
        assert_eq!(names(&journal).last(), Some(&"shutdown.complete"));
    }
}

#[tokio::test(start_paused = true)]
async fn each_press_skips_what_is_left_of_one_phase() {
    let mut paper = Paper::new();
    (paper.requests, paper.busy, paper.app) = (1, s(99), Some(s(99)));
    let hurry = Hurry::new();
    let begun = paper.begun;
    let presses = hurry.clone();
    let plan = plan(Wishes::new(s(60)), s(5));
    let ((summary, _), ()) = tokio::join!(stop_with(&plan, &mut paper, &hurry), async {
        for at in [1, 2, 3] {
            sleep_until(begun + s(at)).await;
            presses.press();
        }
    });
    assert!(paper.log.contains(&("begin_drain", 1)), "{:?}", paper.log);
    assert!(paper.log.contains(&("end_drain", 2)), "{:?}", paper.log);
    assert_eq!(summary.duration.as_secs(), 3);
    assert!(summary.app_killed);
    assert_eq!(summary.aborted, 1);
}

#[tokio::test(start_paused = true)]
async fn time_spent_by_prestop_is_credited_and_never_more_than_the_propagation() {
    let mut paper = Paper::new();
    let mut early = plan(Wishes::new(s(30)), s(5));
    let marked = Instant::now();
    sleep(s(3)).await;
    early.prestopped = Some(marked);
    paper.begun = Instant::now();
    paper.app = Some(s(99));
    let (summary, _) = stop(&early, &mut paper).await;
    assert!(paper.log.contains(&("begin_drain", 2)), "{:?}", paper.log);
    // The platform's patience began with the preStop hook.
    assert_eq!(summary.duration.as_secs(), 25);

    sleep(s(3600)).await;
    let mut paper = Paper::new();
    paper.app = Some(s(99));
    let (summary, _) = stop(&early, &mut paper).await;
    assert!(paper.log.contains(&("begin_drain", 0)), "{:?}", paper.log);
    assert_eq!(summary.duration.as_secs(), 23);
}

#[tokio::test(start_paused = true)]
async fn the_ramp_is_the_last_part_of_the_propagation() {
    let mut paper = Paper::new();
    let mut ramped = plan(Wishes::new(s(30)), s(5));
    ramped.ramp = s(4);
    stop(&ramped, &mut paper).await;
    let ramp = paper.ramp.unwrap();
    assert_eq!(ramp.over, s(4));
    assert_eq!(ramp.from, (paper.begun + s(1)).into_std());
    let mut paper = Paper::new();
    stop(&plan(Wishes::new(s(30)), s(5)), &mut paper).await;
    assert_eq!(paper.ramp, None);
}

fn shell(name: &str, script: String) -> Hook {
    Hook {
        name: name.to_owned(),
        action: Action::Exec(seaworthy_lifecycle::spawn::Program {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            ..Default::default()
        }),
        timeout: None,
        ignore_errors: false,
    }
}

#[tokio::test]
async fn hooks_run_last_first_after_the_drain_and_one_failure_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("order");
    let append = |word: &str| shell(word, format!("echo {word} >> {}", file.display()));
    let mut plan = plan(Wishes::new(s(30)), s(0));
    plan.hooks = vec![
        append("a"),
        shell("bad", "exit 1".to_owned()),
        append("b"),
        append("c"),
    ];
    plan.fail_exit = 9;
    let mut paper = Paper::new();
    let (summary, journal) = stop(&plan, &mut paper).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "c\nb\na\n");
    let order: Vec<_> = summary
        .hooks
        .iter()
        .map(|hook| (hook.name.as_str(), hook.failed()))
        .collect();
    assert_eq!(
        order,
        [("c", false), ("b", false), ("bad", true), ("a", false)]
    );
    assert_eq!(summary.exit_code(), 9);
    assert_eq!(
        names(&journal),
        [
            "shutdown.signal",
            "shutdown.marked",
            "shutdown.drained",
            "shutdown.hook",
            "shutdown.hook",
            "shutdown.hook",
            "shutdown.hook",
            "shutdown.app",
            "shutdown.complete"
        ]
    );
}

#[tokio::test]
async fn a_hook_that_hangs_gets_its_fair_share_and_leaves_the_others_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ran");
    let wishes = Wishes {
        hooks: Some(s(1)),
        ..Wishes::new(s(30))
    };
    let mut plan = plan(wishes, s(0));
    plan.hooks = vec![
        shell("first", format!("touch {}", file.display())),
        shell("hangs", "sleep 99".to_owned()),
    ];
    let (summary, _) = stop(&plan, &mut Paper::new()).await;
    assert!(file.exists());
    assert!(summary.forced && summary.hooks[0].timed_out && !summary.hooks[1].failed());
    assert!(summary.duration >= Duration::from_millis(500) && summary.duration < s(10));
}

#[tokio::test]
async fn in_a_hurry_the_hooks_that_are_left_are_skipped_and_said_to_be() {
    let mut plan = plan(Wishes::new(s(60)), s(0));
    plan.hooks = vec![
        shell("left", "exit 0".to_owned()),
        shell("hangs", "sleep 99".to_owned()),
    ];
    let hurry = Hurry::new();
    let mut paper = Paper::new();
    paper.app = None;
    let presses = hurry.clone();
    let ((summary, journal), ()) = tokio::join!(stop_with(&plan, &mut paper, &hurry), async {
        // The first hook begins at once, as there is nothing to drain.
        sleep(Duration::from_millis(100)).await;
        presses.press();
    });
    assert!(summary.hooks.iter().all(|hook| hook.timed_out));
    let skipped = summary.hooks[1].error.as_deref().unwrap();
    assert_eq!(skipped, "it was skipped: somebody was in a hurry");
    assert!(!names(&journal).contains(&"shutdown.app"));
    assert!(summary.duration < s(20));
}
