//! What is said about the end of an instance.

use std::time::Duration;

use seaworthy_core::address::Address;
use seaworthy_core::backoff::{Decision, Rules};
use seaworthy_core::event::{Event, Level};
use seaworthy_core::names::event as name;
use seaworthy_core::quantity;

use super::settings::Settings;
use crate::exit::Exit;
use crate::listening::Listening;
use crate::oom;

/// One end of one start that was not asked for.
#[derive(Debug, Clone)]
pub(super) struct Death {
    /// What Seaworthy exits with if this was the last.
    pub(super) code: u8,
    /// Whether it ended with exit code 0.
    pub(super) success: bool,
    /// How long it had been ready, if it was.
    pub(super) ready_for: Option<Duration>,
    /// What happened, to be put behind "the app".
    pub(super) what: String,
    /// What shows it.
    pub(super) evidence: String,
}

impl Death {
    /// A process that ended. `memory` is the counter of the out-of-memory killer with its value before and after, unless
    /// the kill was ours.
    pub(super) fn of_process(
        exit: Exit,
        ready_for: Option<Duration>,
        pid: i32,
        memory: Option<(&oom::Counter, u64, u64)>,
    ) -> Death {
        let mut what = exit.to_string();
        let mut evidence = format!("pid {pid}, ");
        match ready_for {
            Some(time) => evidence.push_str(&format!("ready for {}", about(time))),
            None => evidence.push_str("before it listened"),
        }
        if let Some((counter, before, after)) = memory
            && after > before
        {
            what.push_str(" because memory ran out");
            evidence.push_str(&format!(
                ", {} rose from {before} to {after}",
                counter.name()
            ));
        }
        Death {
            code: exit.code(),
            success: exit.success(),
            ready_for,
            what,
            evidence,
        }
    }

    /// A process that could not be started.
    pub(super) fn unborn(reason: String) -> Death {
        Death {
            code: 1,
            success: false,
            ready_for: None,
            what: "could not be started".to_owned(),
            evidence: reason,
        }
    }

    /// The event that tells of it and of what was decided.
    pub(super) fn event(
        &self,
        who: &str,
        decision: Decision,
        early: usize,
        rules: &Rules,
    ) -> Event {
        let count = || {
            let window = quantity::Duration(rules.window);
            format!("early death {early} of {} within {window}", rules.limit)
        };
        let (event, level, next) = match decision {
            Decision::Restart => (
                name::APP_RESTARTING,
                Level::Warn,
                "starting it again at once".to_owned(),
            ),
            Decision::RestartAfter(wait) => (
                name::APP_RESTARTING,
                Level::Warn,
                format!(
                    "starting it again in {} ({})",
                    quantity::Duration(wait),
                    count()
                ),
            ),
            Decision::End => (
                name::APP_EXITED,
                if self.success {
                    Level::Info
                } else {
                    Level::Error
                },
                format!("no new start, exit code {}", self.code),
            ),
            Decision::GiveUp => (
                name::APP_GAVE_UP,
                Level::Error,
                format!(
                    "giving up: {}, exit code {}. Its own output above should say why; if it says that an address is in use, \
                     it does not listen where it was told to: see app.connect",
                    count(),
                    self.code
                ),
            ),
        };
        Event::new(event, format!("{who} {}", self.what))
            .with_level(level)
            .with_evidence(&self.evidence)
            .with_next(next)
    }
}

/// Tells that an instance has not begun to listen, and where it listens instead. `after` is how long it had.
pub(super) fn not_listening(
    who: &str,
    expected: &Address,
    found: &[Listening],
    settings: &Settings,
    after: Duration,
) -> Event {
    let ours = settings
        .public
        .filter(|public| found.iter().any(|socket| socket.is_on(*public)));
    let elsewhere = found
        .iter()
        .find(|socket| settings.public.is_none_or(|public| !socket.is_on(public)));
    let over = after >= settings.startup_timeout;
    let mut cause = format!("{who} does not listen on {expected} after {}", about(after));
    let mut evidence = "its processes listen on nothing".to_owned();
    if !found.is_empty() {
        let list: Vec<String> = found.iter().map(ToString::to_string).collect();
        evidence = format!("its processes listen on {}", list.join(", "));
    }
    let fix = match (ours, elsewhere) {
        (Some(public), _) => {
            cause = format!("{cause} but on {public}, the port that Seaworthy serves");
            format!("have it listen on {expected} (it gets that as PORT), or serve another port with --listen")
        }
        (None, Some(socket)) => format!(
            "if that is the app, set app.connect: \"{}\"",
            socket.reachable()
        ),
        (None, None) if over => {
            "raise app.startup.timeout if it needs longer; else have it listen there, or set app.connect to where it does"
                .to_owned()
        }
        (None, None) => "still waiting".to_owned(),
    };
    let (event, level) = match (over, found.is_empty()) {
        (true, _) => (name::APP_NEVER_LISTENED, Level::Error),
        (false, false) => (name::APP_LISTENS_ELSEWHERE, Level::Warn),
        (false, true) => (name::APP_STARTING, Level::Info),
    };
    Event::new(event, cause)
        .with_level(level)
        .with_evidence(evidence)
        .with_next(fix)
}

/// A time for people.
pub(super) fn about(time: Duration) -> String {
    match time.as_millis() {
        millis @ 0..1000 => format!("{millis}ms"),
        _ if time.as_secs() < 120 => format!("{:.1}s", time.as_secs_f64()),
        _ => format!("{}m", time.as_secs() / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::Name;

    #[test]
    fn a_death_tells_its_cause_and_what_comes_next() {
        let death = Death::of_process(Exit::Code(3), None, 42, None);
        let wait = Decision::RestartAfter(Duration::from_millis(500));
        assert_eq!(
            death
                .event("the app", wait, 1, &Rules::default())
                .to_string(),
            "the app ended with exit code 3 (pid 42, before it listened); starting it again in 500ms (early death 1 of 5 \
             within 1m)"
        );
        let event = death.event("the app", Decision::GiveUp, 5, &Rules::default());
        assert_eq!((event.name, event.level), ("app.gave_up", Level::Error));
        assert!(event.next.contains("exit code 3") && event.next.contains("app.connect"));
    }

    #[test]
    fn running_out_of_memory_is_told_from_a_crash() {
        let counter = oom::Counter::find();
        let killed = Exit::Signal(Name::KILL);
        let ready = Some(Duration::from_secs(12));
        let Some(counter) = counter else {
            return assert_eq!(killed.code(), 137);
        };
        let death = Death::of_process(killed, ready, 42, Some((&counter, 1, 2)));
        assert_eq!(death.what, "was killed by SIGKILL because memory ran out");
        assert!(death.evidence.contains("ready for 12.0s"));
        assert!(death.evidence.ends_with("rose from 1 to 2"));
        let death = Death::of_process(killed, ready, 42, Some((&counter, 1, 1)));
        assert_eq!(death.what, "was killed by SIGKILL");
        assert_eq!(death.code, 137);
    }

    fn listening(address: &str) -> Listening {
        Listening {
            address: Address::Tcp(address.parse().unwrap()),
            pid: 7,
            process: "python3".to_owned(),
        }
    }

    #[test]
    fn an_app_that_listens_elsewhere_is_named() {
        let settings = Settings {
            public: Some("0.0.0.0:8000".parse().unwrap()),
            ..Settings::default()
        };
        let expected: Address = "127.0.0.1:40001".parse().unwrap();
        let tell = |found: &[Listening], after| {
            not_listening(
                "the app",
                &expected,
                found,
                &settings,
                Duration::from_secs(after),
            )
        };
        let event = tell(&[listening("0.0.0.0:5000")], 60);
        assert_eq!(event.name, "app.never_listened");
        assert_eq!(
            event.to_string(),
            "the app does not listen on 127.0.0.1:40001 after 60.0s (its processes listen on 0.0.0.0:5000 (python3, pid 7)); \
             if that is the app, set app.connect: \"127.0.0.1:5000\""
        );
        let event = tell(&[listening("[::]:8000")], 60);
        assert!(
            event.cause.contains("the port that Seaworthy serves"),
            "{event}"
        );
        let event = tell(&[], 60);
        assert!(event.to_string().contains("app.startup.timeout"), "{event}");
        assert_eq!(
            tell(&[listening("0.0.0.0:5000")], 5).name,
            "app.listens_elsewhere"
        );
        assert_eq!(tell(&[], 5).level, Level::Info);
    }
}
