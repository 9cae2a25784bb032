//! Watches how the service does after a change, and says when it does worse than before.
//!
//! It compares the share of failed requests and the mean time of requests with those of the time before the change, and looks
//! whether the service is still ready. With few requests nothing is said of them: a handful proves nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use seaworthy_core::canary::Tally;
use seaworthy_telemetry::metrics::Totals;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);
/// So many looks make up the time before a change: half a minute.
const BEFORE: usize = 120;
/// Not ready for so many looks in a row is no coincidence with a check that was due.
const UNREADY: u32 = 4;
/// What is known at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::run) struct Sample {
    pub(in crate::run) totals: Totals,
    pub(in crate::run) ready: bool,
}

/// What became of a change that was watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::run) enum Judgement {
    /// It did no harm within its time.
    Good,
    /// It did, and this is what shows it.
    Worse(String),
}

#[derive(Debug)]
struct Window {
    until: Instant,
    errors: f64,
    before: Tally,
    from: Sample,
    unready: u32,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(in crate::run) struct Verify {
    samples: VecDeque<Sample>,
    window: Option<Window>,
    ticks: Interval,
}

impl Default for Verify {
    fn default() -> Self {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            samples: VecDeque::with_capacity(BEFORE),
            window: None,
            ticks,
        }
    }
}

impl Verify {
    /// Watches from now on for so long; more than this share of failures beyond that of before is too many.
    pub(in crate::run) fn begin(&mut self, now: Instant, window: Duration, errors: f64) {
        let from = self.samples.back().copied().unwrap_or_default();
        let first = self.samples.front().copied().unwrap_or(from);
        self.window = Some(Window {
            until: now + window,
            errors,
            before: tally(from.totals).since(tally(first.totals)),
            from,
            unready: 0,
        });
    }

    /// Watches no longer, and says whether it did.
    pub(in crate::run) fn end(&mut self) -> bool {
        self.window.take().is_some()
    }

    /// Waits for a judgement. May be cancelled and asked again.
    pub(in crate::run) async fn next(&mut self, sample: impl Fn() -> Sample) -> Judgement {
        loop {
            self.ticks.tick().await;
            if let Some(judgement) = self.look(Instant::now(), sample()) {
                return judgement;
            }
        }
    }

    fn look(&mut self, now: Instant, sample: Sample) -> Option<Judgement> {
        if self.samples.len() == BEFORE {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        let window = self.window.as_mut()?;
        let judgement = match window.worse(sample) {
            Some(reason) => Judgement::Worse(reason),
            None if now >= window.until => Judgement::Good,
            None => return None,
        };
        self.window = None;
        Some(judgement)
    }
}

impl Window {
    fn worse(&mut self, now: Sample) -> Option<String> {
        self.unready = if self.from.ready && !now.ready {
            self.unready + 1
        } else {
            0
        };
        if self.unready >= UNREADY {
            return Some("the service is not ready any more".to_owned());
        }
        let after = tally(now.totals).since(tally(self.from.totals));
        after.worse_than(self.before, self.errors, "before")
    }
}

fn tally(totals: Totals) -> Tally {
    Tally {
        requests: totals.requests,
        failed: totals.failed,
        seconds: Duration::from_nanos(totals.nanos).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(requests: u64, failed: u64, each_ms: u64) -> Sample {
        Sample {
            totals: Totals {
                requests,
                failed,
                nanos: requests * each_ms * 1_000_000,
            },
            ready: true,
        }
    }

    /// A service of 100 requests of 10 ms, changed a moment ago.
    async fn changed() -> (Verify, Instant) {
        let (mut verify, now) = (Verify::default(), Instant::now());
        assert_eq!(verify.look(now, sample(0, 0, 10)), None);
        assert_eq!(verify.look(now, sample(100, 1, 10)), None);
        verify.begin(now, Duration::from_secs(30), 0.05);
        (verify, now)
    }

    #[tokio::test]
    async fn what_does_no_harm_is_good_when_its_time_is_over() {
        let (mut verify, now) = changed().await;
        assert_eq!(verify.look(now, sample(200, 2, 10)), None);
        let end = now + Duration::from_secs(30);
        assert_eq!(verify.look(end, sample(300, 5, 10)), Some(Judgement::Good));
        assert_eq!(
            verify.look(end, sample(400, 99, 10)),
            None,
            "nobody watches any more"
        );
    }

    #[tokio::test]
    async fn more_failures_slower_answers_and_no_readiness_are_worse() {
        let (mut verify, now) = changed().await;
        assert_eq!(verify.look(now, sample(110, 9, 10)), None, "too few to say");
        let told = verify.look(now, sample(130, 16, 10));
        assert_eq!(
            told,
            Some(Judgement::Worse(
                "50 % of requests fail, and 1 % before".to_owned()
            ))
        );
        let (mut verify, now) = changed().await;
        let slow = sample(200, 1, 200);
        assert!(
            matches!(verify.look(now, slow), Some(Judgement::Worse(why)) if why.contains("ms before"))
        );
        let (mut verify, now) = changed().await;
        let unready = Sample {
            ready: false,
            ..sample(100, 1, 10)
        };
        assert!((0..3).all(|_| verify.look(now, unready).is_none()));
        assert!(matches!(
            verify.look(now, unready),
            Some(Judgement::Worse(_))
        ));
    }

    #[tokio::test]
    async fn where_nothing_is_known_of_before_only_most_of_them_count() {
        let quiet = || async {
            let (mut verify, now) = (Verify::default(), Instant::now());
            verify.look(now, sample(0, 0, 10));
            verify.look(now, sample(3, 3, 10));
            verify.begin(now, Duration::from_secs(30), 0.05);
            (verify, now)
        };
        let (mut verify, now) = quiet().await;
        assert_eq!(verify.look(now, sample(103, 13, 10)), None);
        let (mut verify, now) = quiet().await;
        let told = verify.look(now, sample(103, 63, 10));
        assert!(matches!(told, Some(Judgement::Worse(why)) if why.contains("too few")));
    }

    #[tokio::test]
    async fn what_failed_before_is_not_held_against_a_change() {
        let (mut verify, now) = (Verify::default(), Instant::now());
        verify.look(now, sample(0, 0, 10));
        verify.look(now, sample(100, 60, 10));
        verify.begin(now, Duration::from_secs(30), 0.05);
        assert_eq!(verify.look(now, sample(200, 122, 10)), None);
        assert!(verify.end() && !verify.end());
    }
}
