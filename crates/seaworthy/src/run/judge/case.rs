//! What is known of one life of one instance.

use std::time::{Duration, Instant};

use seaworthy_core::health::{Progress, Stall, Verdict};
use seaworthy_http::upstream::Signs;
use seaworthy_lifecycle::vitals::Vitals;

/// What is said of an app that is stalled.
const STALLED: &str = "gets nowhere with its requests";

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) struct Case {
    /// When it was first seen.
    pub(super) since: Instant,
    /// It has worked at some time.
    pub(super) worked: bool,
    /// What is wrong with it, as the rest of a sentence about it.
    pub(super) stalled: Option<String>,
    /// What has been told of that.
    pub(super) told: Option<Verdict>,
    progress: Option<Progress>,
    /// For how long requests have waited.
    ages: Vec<Duration>,
    /// CPU time that it had used when it began to look bad, and when that was.
    cpu: Option<(Instant, Duration)>,
}

impl Case {
    /// A life that begins now; it may get nowhere for `limit`, if that is judged.
    pub(super) fn new(now: Instant, limit: Option<Duration>) -> Self {
        Self {
            since: now,
            worked: false,
            stalled: None,
            told: None,
            progress: limit.map(Progress::new),
            ages: Vec::new(),
            cpu: None,
        }
    }

    /// Lets it get nowhere for `limit` from now on.
    pub(super) fn allow(&mut self, limit: Option<Duration>) {
        match (limit, &mut self.progress) {
            (Some(limit), Some(progress)) => progress.allow(limit),
            (limit, progress) => *progress = limit.map(Progress::new),
        }
    }

    /// Takes in what was seen of its requests, and what is wrong with it by its own checks.
    pub(super) fn look(&mut self, now: Instant, signs: Signs, failing: Option<&str>) {
        self.ages = signs.ages;
        if let Some(progress) = &mut self.progress {
            progress.look(now, signs.seen);
            self.worked |= progress.ever();
        }
        let stall = self.progress.as_ref().and_then(Progress::stall);
        self.stalled = match (failing, stall) {
            (Some(why), _) => Some(format!("is not well ({why})")),
            (None, Some(_)) => Some(STALLED.to_owned()),
            (None, None) => None,
        };
    }

    /// Remembers the CPU time that `used` gives, once in each pause and well before it counts as a stall.
    pub(super) fn sample(
        &mut self,
        now: Instant,
        limit: Duration,
        used: impl FnOnce() -> Duration,
    ) {
        match self.pause() {
            Some(pause) if pause.lasted >= limit / 2 => {
                self.cpu.get_or_insert_with(|| (now, used()));
            }
            Some(_) => {}
            None => self.cpu = None,
        }
    }

    fn pause(&self) -> Option<Stall> {
        self.progress.as_ref().and_then(Progress::pause)
    }

    /// What shows that it is stalled: its requests, and what its processes are doing.
    pub(super) fn evidence(&self, now: Instant, processes: &[Vitals]) -> String {
        let mut parts = Vec::new();
        if let Some(pause) = self.pause() {
            let lasted = pause.lasted.as_secs();
            parts.push(format!("nothing was answered well for {lasted} s"));
            if !self.ages.is_empty() {
                let ages: Vec<String> = self
                    .ages
                    .iter()
                    .map(|age| age.as_secs().to_string())
                    .collect();
                let wait = match pause.waiting {
                    1 => "1 request waits".to_owned(),
                    waiting => format!("{waiting} requests wait"),
                };
                parts.push(format!("{wait}, for {} s", ages.join(", ")));
            } else if pause.waiting > 0 {
                parts.push("it does not answer when it is asked itself".to_owned());
            }
            if pause.failures > 0 {
                parts.push(format!("{} failed", pause.failures));
            }
        }
        parts.extend(processes.iter().map(ToString::to_string));
        let used: Duration = processes.iter().map(|one| one.cpu).sum();
        if let Some((since, before)) = self.cpu.filter(|_| !processes.is_empty()) {
            let (used, time) = (
                used.saturating_sub(before),
                now.saturating_duration_since(since),
            );
            parts.push(format!(
                "{:.2} s of CPU in the last {} s",
                used.as_secs_f64(),
                time.as_secs()
            ));
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_core::health::Seen;

    const LIMIT: Duration = Duration::from_secs(2);

    fn waiting(ages: &[u64]) -> Signs {
        Signs {
            seen: Seen {
                waiting: 3,
                ..Seen::default()
            },
            ages: ages.iter().map(|age| Duration::from_secs(*age)).collect(),
        }
    }

    #[test]
    fn the_evidence_says_who_waits_what_runs_and_what_it_used() {
        let start = Instant::now();
        let mut case = Case::new(start, Some(LIMIT));
        let at = |second| start + Duration::from_secs(second);
        for second in 0..=2 {
            case.look(at(second), waiting(&[second, 1]), None);
            case.sample(at(second), LIMIT, || Duration::from_millis(500));
        }
        assert_eq!(case.stalled.as_deref(), Some(STALLED));
        let process = Vitals {
            pid: 9,
            name: "python3".to_owned(),
            state: "sleeping",
            cpu: Duration::from_millis(750),
            threads: 4,
            sleeps_in: Some("ep_poll".to_owned()),
            is_python: true,
        };
        assert_eq!(
            case.evidence(at(2), &[process]),
            "nothing was answered well for 2 s; 3 requests wait, for 2, 1 s; \
             pid 9 python3: sleeping in ep_poll, 4 threads; 0.25 s of CPU in the last 1 s"
        );
    }

    #[test]
    fn a_failing_check_of_its_own_needs_no_requests() {
        let now = Instant::now();
        let mut case = Case::new(now, None);
        case.look(now, Signs::default(), Some("worker: silent"));
        let wrong = case.stalled.as_deref();
        assert_eq!(wrong, Some("is not well (worker: silent)"));
        case.look(now, Signs::default(), None);
        assert_eq!(case.stalled, None);
    }
}
