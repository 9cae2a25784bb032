//! What went wrong, by service: the app, each way out, each breaker and each check.
//!
//! Only errors come here, so what goes well pays nothing. The names are those of the configuration; should there be more
//! than are kept, as checks can be added at runtime, the others share one.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemars::JsonSchema;
use seaworthy_core::clock::{Clock, Moment};
use seaworthy_core::ledger::{Fault, Standing, Tally, Trend};
use seaworthy_http::rescue::Watch;
use serde::Serialize;

/// More services are not told apart.
const MOST: usize = 256;
/// What those beyond are called.
const OTHERS: &str = "others";

/// What kind of service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The app: answers of 500 and above, its own and those in its place.
    App,
    /// A service that the app calls: answers of 500 and above that the app was given.
    Egress,
    /// What a breaker took for a failure, each try for itself.
    Breaker,
    /// A check that found something broken, or nobody who answers in time.
    Check,
}

type Services = BTreeMap<(Kind, String), Arc<Service>>;

/// See the [module documentation](self). Clones are the same one.
#[derive(Clone, Debug)]
pub struct Errors {
    clock: Clock,
    services: Arc<Mutex<Services>>,
}

/// The errors of one service.
#[derive(Debug)]
pub struct Service {
    clock: Clock,
    tally: Mutex<Tally>,
}

/// The errors of a service, as a worker notes them. Every request holds one, so references are counted by each worker for itself.
#[derive(Clone, Debug)]
pub struct Noted(Rc<Own>);

#[derive(Debug)]
struct Own(Arc<Service>);

impl Noted {
    /// For one worker.
    pub fn new(service: &Arc<Service>) -> Self {
        Self(Rc::new(Own(service.clone())))
    }
}

impl Watch for Noted {
    fn failed(&self, fault: Fault) {
        self.0.0.failed(fault);
    }
}

impl Watch for Service {
    fn failed(&self, fault: Fault) {
        let now = self.clock.at(Instant::now());
        self.tally().note(fault, now);
    }
}

impl Service {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many errors there were, over three times.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct Counts {
    /// Within the last minute.
    #[serde(rename = "1m")]
    pub minute: u64,
    /// Within the last five minutes.
    #[serde(rename = "5m")]
    pub five_minutes: u64,
    /// Within the last hour.
    #[serde(rename = "1h")]
    pub hour: u64,
}

impl Counts {
    fn and(self, [minute, five_minutes, hour]: [u64; 3]) -> Self {
        Self {
            minute: self.minute + minute,
            five_minutes: self.five_minutes + five_minutes,
            hour: self.hour + hour,
        }
    }
}

/// An error.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorDocument {
    /// Its type, which `seaworthy explain` explains, or `http_500` and the like for an answer of the service itself.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was.
    pub at: String,
}

/// The errors of one service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ServiceDocument {
    /// Its name.
    pub service: String,
    /// What kind of service it is.
    pub kind: Kind,
    /// All since the start.
    pub total: u64,
    /// Those of lately; up to five seconds more than the time says.
    pub counts: Counts,
    /// `up`, `flat` or `down`: the last minute against the four before it.
    pub trend: &'static str,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<ErrorDocument>,
}

/// The errors of all services.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorsDocument {
    /// When this was written.
    pub timestamp: String,
    /// Answers of 500 and above that clients were given since the start.
    pub total: u64,
    /// Those of lately.
    pub counts: Counts,
    /// `up`, `flat` or `down`.
    pub trend: &'static str,
    /// The services, the app first. One failure may be told of several: a call that fails by its way out, its breaker and the app.
    pub services: Vec<ServiceDocument>,
}

impl Errors {
    pub(super) fn new(clock: Clock) -> Self {
        let errors = Self {
            clock,
            services: Arc::default(),
        };
        errors.service(Kind::App, "app");
        errors
    }

    /// Where the errors of a service are noted.
    pub fn service(&self, kind: Kind, name: &str) -> Arc<Service> {
        let mut services = self.services();
        let full = services.len() >= MOST;
        let mut key = (kind, name.to_owned());
        if full && !services.contains_key(&key) {
            key.1 = OTHERS.to_owned();
        }
        let service = services.entry(key).or_insert_with(|| {
            Arc::new(Service {
                clock: self.clock,
                tally: Mutex::default(),
            })
        });
        service.clone()
    }

    /// All of them.
    pub fn document(&self) -> ErrorsDocument {
        let now = self.clock.at(Instant::now());
        let services = self.services();
        let standings = services.iter().map(|((kind, name), service)| {
            let standing = service.tally().standing(now);
            (*kind, name.clone(), standing)
        });
        let standings: Vec<(Kind, String, Standing)> = standings.collect();
        drop(services);
        let app = standings.iter().find(|(kind, ..)| *kind == Kind::App);
        let app = app.map(|(.., standing)| *standing);
        ErrorsDocument {
            timestamp: self.wall(now, now),
            total: app.map_or(0, |app| app.total),
            counts: Counts::default().and(app.map_or([0; 3], |app| app.counts)),
            trend: app.map_or(Trend::Flat, |app| app.trend).word(),
            services: standings
                .into_iter()
                .map(|(kind, service, standing)| self.shown(kind, service, &standing, now))
                .collect(),
        }
    }

    fn shown(
        &self,
        kind: Kind,
        service: String,
        standing: &Standing,
        now: Moment,
    ) -> ServiceDocument {
        ServiceDocument {
            service,
            kind,
            total: standing.total,
            counts: Counts::default().and(standing.counts),
            trend: standing.trend.word(),
            last: standing.last.map(|(fault, at)| ErrorDocument {
                kind: fault.to_string(),
                at: self.wall(at, now),
            }),
        }
    }

    /// What the clock on the wall showed at `moment`.
    fn wall(&self, moment: Moment, now: Moment) -> String {
        let ago = self.clock.real(now.since(moment));
        let ago = Duration::from_secs(ago.as_secs());
        let shown = Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::MIN);
        shown.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn services(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_and_fifty_are_fifty_five_and_go_up() {
        let errors = Errors::new(Clock::new(Instant::now(), 1));
        let app = errors.service(Kind::App, "app");
        (0..5).for_each(|_| app.failed(Fault::Status(500)));
        (0..50).for_each(|_| app.failed(Fault::Named("UpstreamTimeout")));
        let shown = errors.document();
        assert_eq!(
            (shown.total, shown.trend, shown.counts.hour),
            (55, "up", 55)
        );
        let last = shown.services[0].last.as_ref().map(|last| &*last.kind);
        assert_eq!(last, Some("UpstreamTimeout"));
    }

    #[test]
    fn nobody_can_fill_the_memory_with_services() {
        let errors = Errors::new(Clock::new(Instant::now(), 1));
        for number in 0..MOST * 2 {
            let service = errors.service(Kind::Check, &number.to_string());
            service.failed(Fault::Named("failed"));
        }
        let shown = errors.document();
        assert_eq!(shown.services.len(), MOST + 1);
        let others = shown.services.iter().find(|one| one.service == OTHERS);
        assert_eq!(others.map(|one| one.total), Some(MOST as u64 + 1));
    }
}
