//! Buckets in a Redis that replicas share.
//!
//! One script decides, by the server's clock, with one key for each call, so it works on a cluster. A key is
//! `rate_limit:{SHA-256 of who it is}:{limit}`, and every key has a time to live: that in which an empty bucket fills, and ten seconds.
//!
//! **When the server is lost** the request that notices is decided here, and so are all that follow, each replica giving its share
//! of the limit. What this process has admitted lately counts against that share from the first moment on. No request waits for a
//! connection, and none takes longer than the budget.
//!
//! **When it is back** the first question for a key tells it what was spent without it; a server that has forgotten the bucket is
//! told what this process knows to be missing as well. Where several replicas gave from a bucket that the server forgot, only what
//! the first of them knows is missing afterwards; the excess is at most one more share for each of the others.
//!
//! **With leases** ([`seaworthy_core::quota::Lease`]) a busy key costs a few questions a second, for an excess that is bounded.

mod link;
mod script;
mod target;

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, hmac};
use redis::aio::MultiplexedConnection;
use seaworthy_core::clock::{Clock, Moment};
use seaworthy_core::quota::{Buckets, Decision, Quota, Standing, Terms};

use link::{Circumstances, Link};
use script::Question;

pub use link::OnChange;
pub use target::Target;

use super::key::Key;
use super::leases::{Leases, Next, Reply};
use super::memory::FREE;
use super::policy::{OnStoreError, Policy};
use super::store::{Ask, Bucket, Source, Store, Taking, Verdict};
use crate::reveal::hex;

/// How a [`Redis`] is used.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it is.
    pub target: Target,
    /// Connections at the most; several threads share one when they are fewer.
    pub connections: usize,
    /// How long a request waits for an answer.
    pub budget: Duration,
    /// What keys begin with.
    pub prefix: String,
    /// A secret that is mixed into the names of clients, so that nobody without it can find them by trying.
    pub pepper: Option<Box<[u8]>>,
    /// Whether busy keys take a slice at a time; `Some` with the replicas that do so.
    pub lease: Option<u32>,
    /// What the moments are of.
    pub clock: Clock,
    /// Told when limits are counted here alone, and when they are shared again.
    pub on_change: OnChange,
}

impl Config {
    /// One connection, 20 ms, `rate_limit`, no pepper, no leases.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            connections: 1,
            budget: Duration::from_millis(20),
            prefix: "rate_limit".to_owned(),
            pepper: None,
            lease: None,
            clock: Clock::new(Instant::now(), 1),
            on_change: OnChange::default(),
        }
    }
}

/// See the [module documentation](self). Clones share everything.
#[derive(Debug, Clone)]
pub struct Redis {
    shared: Arc<Shared>,
    link: usize,
}

#[derive(Debug)]
struct Shared {
    around: Arc<Circumstances>,
    links: Box<[Arc<Link>]>,
    prefix: String,
    pepper: Option<hmac::Key>,
    lease: Option<u32>,
    clock: Clock,
    leased: Mutex<Vec<Weak<Policy>>>,
    tasks: Mutex<Vec<tokio::task::AbortHandle>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        for task in tasks {
            task.abort();
        }
    }
}

impl Redis {
    /// A store without a connection; see [`Redis::attach`].
    pub fn new(config: Config) -> Self {
        let around = Circumstances::new(config.target, config.budget, config.on_change);
        let links = (0..config.connections.max(1)).map(|_| Arc::new(Link::new()));
        Self {
            shared: Arc::new(Shared {
                around: Arc::new(around),
                links: links.collect(),
                prefix: config.prefix,
                pepper: config
                    .pepper
                    .map(|pepper| hmac::Key::new(hmac::HMAC_SHA256, &pepper)),
                lease: config.lease,
                clock: config.clock,
                leased: Mutex::default(),
                tasks: Mutex::default(),
            }),
            link: 0,
        }
    }

    /// The same store, over the connection of the worker of this number.
    #[must_use]
    pub fn of_worker(&self, worker: usize) -> Self {
        Self {
            shared: self.shared.clone(),
            link: worker % self.shared.links.len(),
        }
    }

    /// Has the connection made and kept by a task of this runtime, unless another one does so already, and waits for the first
    /// attempt, at most `patience`. Until there is a connection the store decides alone.
    pub async fn attach(&self, patience: Duration) {
        let link = self.link();
        if !link.kept.swap(true, Ordering::AcqRel) {
            self.shared.around.expect_one();
            self.spawn(link.clone().keep(self.shared.around.clone()));
            if self.link == 0 && self.shared.lease.is_some() {
                self.spawn(end_leases(Arc::downgrade(&self.shared)));
            }
        }
        link.settled(patience).await;
    }

    /// Whether limits are counted here alone, because the server cannot be asked.
    pub fn is_alone(&self) -> bool {
        self.shared.around.is_down()
    }

    /// Fills a bucket, here and on the server. `who` is the text of [`super::Keys::text`].
    pub async fn reset(&self, policy: &Arc<Policy>, key: Key, who: &[u8]) {
        let tables = [policy.local(), policy.owed(), policy.seen()];
        for buckets in tables.into_iter().flatten() {
            buckets.reset(key.0);
        }
        if let Some(leases) = policy.leases() {
            leases.reset(key.0);
        }
        let question = Question {
            need: -(1 << 50),
            ..Question::default()
        };
        let name = self.name(policy, who);
        self.tell(policy, name, question).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(task).abort_handle();
        let mut tasks = self
            .shared
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tasks.push(task);
    }

    fn link(&self) -> &Arc<Link> {
        &self.shared.links[self.link]
    }

    /// The key of a bucket on the server.
    fn name(&self, policy: &Policy, who: &[u8]) -> Arc<str> {
        let hash = match &self.shared.pepper {
            Some(pepper) => hex(hmac::sign(pepper, who).as_ref()),
            None => hex(digest::digest(&digest::SHA256, who).as_ref()),
        };
        let bucket = &policy.config().bucket;
        format!("{}:{hash}:{bucket}", self.shared.prefix).into()
    }

    fn name_of(&self, ask: &Ask<'_>) -> Arc<str> {
        let keyed = &ask.policy.config().keyed;
        let who = ask.who.keys.text(keyed, ask.who.exchange, ask.who.headers);
        self.name(ask.policy, &who.unwrap_or_default())
    }

    fn leases<'a>(&self, policy: &'a Arc<Policy>) -> Option<&'a Leases> {
        let replicas = self.shared.lease?;
        let quota = policy.quota()?;
        Some(policy.lease(|| {
            let mut leased = self
                .shared
                .leased
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            leased.retain(|policy| policy.strong_count() > 0);
            leased.push(Arc::downgrade(policy));
            Leases::new(Terms::of(quota, replicas))
        }))
    }

    /// Asks the server. `None` when it cannot be asked, which has been noted.
    async fn ask(&self, quota: &Quota, name: &str, question: Question) -> Option<Reply> {
        let around = &self.shared.around;
        let link = self.link();
        let connection: Arc<MultiplexedConnection> = link.connection()?;
        let mut handle = (*connection).clone();
        let asked = script::ask(&mut handle, &around.script, name, quota, question);
        match tokio::time::timeout(around.budget, asked).await {
            Ok(Ok(reply)) => {
                link.was_well();
                Some(reply)
            }
            Ok(Err(error)) => {
                link.failed(&connection, around, &error);
                None
            }
            Err(_) => {
                link.was_late(&connection, around);
                None
            }
        }
    }

    /// Asks with what the server does not know yet.
    async fn ask_with_debts(&self, one: &One, need: u64, want: u64) -> Option<Reply> {
        let quota = one.policy.quota()?;
        let mut debt = one.debt();
        let question = Question {
            need: whole(need),
            want: whole(want),
            owed: debt.owed,
            lost: one.lost(),
        };
        let reply = self.ask(quota, &one.name, question).await;
        if reply.is_some() {
            debt.owed = 0;
        }
        reply
    }

    /// Tells the server something without anybody waiting for what it says.
    async fn tell(&self, policy: &Policy, name: Arc<str>, question: Question) -> bool {
        let Some(quota) = policy.quota() else {
            return false;
        };
        self.ask(quota, &name, question).await.is_some()
    }

    async fn decide(self, one: One) -> Verdict {
        match self.ask_with_debts(&one, one.cost, one.cost).await {
            Some(reply) => one.counted(reply.decision(one.cost)),
            None => one.alone(),
        }
    }

    async fn decide_by_lease(self, one: One, mut next: Next) -> Verdict {
        let deadline = Instant::now() + self.shared.around.budget;
        let Some(leases) = self.leases(&one.policy) else {
            return self.decide(one).await;
        };
        loop {
            match next {
                Next::Decided(decision) => return one.counted(decision),
                Next::Without => return self.clone().decide(one).await,
                Next::Ask { need, want } => {
                    let mut asking = Asking {
                        leases,
                        key: one.key,
                        answered: false,
                    };
                    let Some(reply) = self.ask_with_debts(&one, need, want).await else {
                        return one.alone();
                    };
                    asking.answered = true;
                    let wanted = (one.cost, need);
                    let decision = leases.granted(one.key.0, &one.name, wanted, &reply, one.now);
                    if let Some(decision) = decision {
                        return one.counted(decision);
                    }
                    if Instant::now() >= deadline {
                        return one.alone();
                    }
                    next = leases.spend(one.key.0, one.cost, one.now);
                }
                Next::Wait(asking) => {
                    let mut answered = pin!(asking.notified());
                    // Before another look: an answer between the two must not be missed.
                    answered.as_mut().enable();
                    if leases.is_asking(one.key.0, &asking) {
                        let left = deadline.saturating_duration_since(Instant::now());
                        if tokio::time::timeout(left, answered).await.is_err() {
                            return one.alone();
                        }
                    }
                    next = leases.spend(one.key.0, one.cost, one.now);
                }
            }
        }
    }
}

/// A question to the server that all others wait for. Dropped without an answer, it lets somebody else ask.
struct Asking<'a> {
    leases: &'a Leases,
    key: Key,
    answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.leases.unanswered(self.key.0);
        }
    }
}

/// One question, without the request that it is asked for.
struct One {
    policy: Arc<Policy>,
    key: Key,
    name: Arc<str>,
    cost: u64,
    now: Moment,
}

impl One {
    /// Takes over what was spent while nobody could be asked.
    fn debt(&self) -> Debt<'_> {
        let mut owed = 0;
        if let Some(debts) = self.policy.owed().filter(|debts| !debts.is_empty()) {
            owed = debts.missing(self.key.0, self.now);
            if owed > 0 && !debts.reset(self.key.0) {
                owed = 0;
            }
        }
        Debt { one: self, owed }
    }

    /// What this process knows to be missing from the bucket.
    fn lost(&self) -> u64 {
        let seen = self.policy.seen();
        seen.map_or(0, |seen| seen.missing(self.key.0, self.now))
    }

    fn counted(&self, decision: Decision) -> Verdict {
        count(&self.policy, self.key, self.cost, self.now, decision)
    }

    fn alone(&self) -> Verdict {
        alone(&self.policy, self.key, self.cost, self.now)
    }
}

/// Tokens that the server has to be told of. Dropped before that, as when the client has left, they are owed still.
struct Debt<'a> {
    one: &'a One,
    owed: u64,
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        if let Some(debts) = self.one.policy.owed() {
            debts.charge(self.one.key.0, self.owed, self.one.now);
        }
    }
}

/// Notes a decision of the store, so that this process knows how things stand should the store be lost.
fn count(policy: &Policy, key: Key, cost: u64, now: Moment, decision: Decision) -> Verdict {
    if decision.is_taken() {
        for buckets in [policy.local(), policy.seen()].into_iter().flatten() {
            drain(buckets, key, cost, now);
        }
    }
    Verdict::of_store(decision)
}

/// Takes as much as there is: the store has more than this process may give alone, and none of that is owed.
fn drain(buckets: &Buckets, key: Key, cost: u64, now: Moment) {
    if let Decision::Refused { standing, .. } = buckets.take(key.0, cost, now) {
        buckets.take(key.0, standing.remaining, now);
    }
}

/// Decides without the store.
fn alone(policy: &Policy, key: Key, cost: u64, now: Moment) -> Verdict {
    let nobody = |decision| Verdict {
        decision,
        source: Source::Nobody,
    };
    match policy.config().on_store_error {
        OnStoreError::Allow => nobody(FREE),
        OnStoreError::Deny => nobody(Decision::Refused {
            standing: Standing {
                remaining: 0,
                full_in: Duration::ZERO,
            },
            retry_after: Some(Duration::from_secs(1)),
        }),
        OnStoreError::Local => {
            let local = policy.local();
            let decision = local.map_or(FREE, |local| local.take(key.0, cost, now));
            if let (Decision::Taken(_), Some(debts)) = (decision, policy.owed()) {
                debts.charge(key.0, cost, now);
            }
            Verdict {
                decision,
                source: Source::Fallback,
            }
        }
    }
}

fn whole(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// The answer of a server.
pub struct Later(Pin<Box<dyn Future<Output = Verdict> + Send>>);

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

impl Future for Later {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        self.0.as_mut().poll(cx)
    }
}

impl Store for Redis {
    // Boxed: beside a round trip that costs nothing, and there is none for what is decided here.
    type Later = Later;
    type Ticket = Arc<str>;

    fn take(&self, ask: &Ask<'_>) -> Taking<Later> {
        let leases = self.leases(ask.policy);
        let next = leases.map(|leases| leases.spend(ask.key.0, ask.cost, ask.now));
        if let Some(Next::Decided(decision)) = next {
            let verdict = count(ask.policy, ask.key, ask.cost, ask.now, decision);
            return Taking::Now(verdict);
        }
        if self.link().connection().is_none() {
            if let (Some(leases), Some(Next::Ask { .. })) = (leases, &next) {
                leases.unanswered(ask.key.0);
            }
            return Taking::Now(alone(ask.policy, ask.key, ask.cost, ask.now));
        }
        let one = One {
            policy: ask.policy.clone(),
            key: ask.key,
            name: self.name_of(ask),
            cost: ask.cost,
            now: ask.now,
        };
        let store = self.clone();
        Taking::Later(Later(match next {
            None => Box::pin(store.decide(one)),
            Some(next) => Box::pin(store.decide_by_lease(one, next)),
        }))
    }

    fn ticket(&self, ask: &Ask<'_>) -> Arc<str> {
        self.name_of(ask)
    }

    fn settle(&self, bucket: &Bucket<Arc<str>>, used: u64, now: Moment) {
        let Bucket { policy, key, .. } = bucket;
        let mut question = Question::default();
        if used > bucket.reserved {
            let more = used - bucket.reserved;
            for buckets in [policy.local(), policy.seen()].into_iter().flatten() {
                drain(buckets, *key, more, now);
            }
            question.owed = more;
        } else {
            let back = bucket.reserved - used;
            for buckets in [policy.local(), policy.seen()].into_iter().flatten() {
                buckets.give_back(key.0, back, now);
            }
            let leased = policy
                .leases()
                .is_some_and(|leases| leases.give_back(key.0, back, now));
            question.need = if leased { 0 } else { -whole(back) };
        }
        if question.need == 0 && question.owed == 0 {
            return;
        }
        let (store, policy, key) = (self.clone(), policy.clone(), *key);
        let ticket = bucket.ticket.clone();
        tokio::spawn(async move {
            if store.tell(&policy, ticket, question).await {
                return;
            }
            if let Some(debts) = policy.owed() {
                let back = u64::try_from(-question.need).unwrap_or(0);
                debts.give_back(key.0, back, now);
                debts.charge(key.0, question.owed, now);
            }
        });
    }
}

/// Gives back what is left of leases that are over.
async fn end_leases(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let leased: Vec<Arc<Policy>> = shared
            .leased
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let store = Redis { shared, link: 0 };
        let now = store.shared.clock.at(Instant::now());
        for policy in leased {
            let over = policy.leases().map(|leases| leases.over(now));
            for (name, left) in over.into_iter().flatten() {
                let question = Question {
                    need: -whole(left),
                    ..Question::default()
                };
                store.tell(&policy, name, question).await;
            }
        }
    }
}
