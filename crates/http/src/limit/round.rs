//! All limits that hold for one request, asked together.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use seaworthy_core::catalogue;
use seaworthy_core::clock::Moment;
use seaworthy_core::quota::Decision;
use smallvec::SmallVec;

use super::fields::Mark;
use super::key::Key;
use super::policy::{Action, Policy};
use super::rules::{Limits, Rules};
use super::store::{Ask, Bucket, Source, Store, Taking, Verdict, Who};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::fallback;

/// What becomes of a request.
pub(super) enum Outcome {
    Pass,
    Refuse(Error),
    Wait(Duration),
}

enum Answer<L> {
    Here(Verdict),
    Later(L),
}

struct Pick<St: Store> {
    policy: Arc<Policy>,
    key: Key,
    ticket: Option<St::Ticket>,
    answer: Answer<St::Later>,
    /// The candidate has given its tokens.
    tried: bool,
}

/// See the [module documentation](self).
pub(super) struct Round<St: Store> {
    picks: SmallVec<[Pick<St>; 2]>,
    cost: u64,
    now: Moment,
    settle: Option<HeaderName>,
    delayed: bool,
    fields: super::Fields,
}

/// A reservation that the answer turns into what was used.
pub(super) struct Settling<St: Store> {
    field: HeaderName,
    buckets: Vec<Bucket<St::Ticket>>,
}

impl<St: Store> Settling<St> {
    pub(super) fn settle(&self, store: &St, headers: &HeaderMap, now: Moment) {
        let used = headers
            .get(&self.field)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().parse().ok());
        if let Some(used) = used {
            for bucket in &self.buckets {
                store.settle(bucket, used, now);
            }
        }
    }
}

impl<St: Store> Round<St> {
    /// Asks all that hold.
    pub(super) fn ask(
        limits: &Limits,
        rules: &Rules,
        store: &St,
        exchange: &Exchange,
        headers: &HeaderMap,
        now: Moment,
    ) -> Self {
        let principal = limits.keys.identify.principal(exchange);
        let tier = principal.and_then(|principal| principal.tier.as_deref());
        let tier = rules.tiers.then(|| limits.tier(tier)).flatten();
        let others = rules
            .policies
            .iter()
            .filter_map(|place| limits.policies.get(*place));
        let mut round = Self {
            picks: SmallVec::new(),
            cost: rules.cost,
            now,
            settle: rules.settle.clone(),
            delayed: false,
            fields: limits.fields,
        };
        let several = rules.policies.len() + usize::from(tier.is_some()) > 1;
        let who = Who {
            keys: &limits.keys,
            exchange,
            headers,
        };
        for policy in tier.into_iter().chain(others) {
            round.ask_one(policy, store, who, several);
        }
        round
    }

    fn ask_one(&mut self, policy: &Arc<Policy>, store: &St, who: Who<'_>, several: bool) {
        if policy.quota().is_none() {
            policy.tally().count();
            return;
        }
        let keyed = &policy.config().keyed;
        let Some(key) = who.keys.key(keyed, who.exchange, who.headers) else {
            return;
        };
        policy.tally().count();
        let ask = Ask {
            policy,
            key,
            who,
            cost: self.cost,
            now: self.now,
        };
        let tried = policy.candidate();
        let tried = tried.map(|tried| tried.buckets.take(key.0, self.cost, self.now).is_taken());
        if tried == Some(false) {
            policy.tally().refuse_by_candidate();
        }
        let may_change = several || self.settle.is_some();
        let ticket = may_change.then(|| store.ticket(&ask));
        self.picks.push(Pick {
            answer: answer(store.take(&ask)),
            policy: policy.clone(),
            key,
            ticket,
            tried: tried == Some(true),
        });
    }

    /// Asks the same limits again.
    pub(super) fn again(
        &mut self,
        store: &St,
        limits: &Limits,
        exchange: &Exchange,
        headers: &HeaderMap,
        now: Moment,
    ) {
        self.now = now;
        let who = Who {
            keys: &limits.keys,
            exchange,
            headers,
        };
        for pick in &mut self.picks {
            pick.answer = answer(store.take(&Ask {
                policy: &pick.policy,
                key: pick.key,
                who,
                cost: self.cost,
                now,
            }));
        }
    }

    /// Whether every answer is there.
    pub(super) fn is_complete(&self) -> bool {
        self.picks
            .iter()
            .all(|pick| matches!(pick.answer, Answer::Here(_)))
    }

    /// Waits for the answers that are not there yet.
    pub(super) fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut complete = true;
        for pick in &mut self.picks {
            if let Answer::Later(later) = &mut pick.answer {
                match Pin::new(later).poll(cx) {
                    Poll::Ready(verdict) => pick.answer = Answer::Here(verdict),
                    Poll::Pending => complete = false,
                }
            }
        }
        if complete {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// What becomes of the request, which has waited for `waited` so far.
    pub(super) fn judge(&mut self, store: &St, waited: Duration) -> Outcome {
        let refused = self.picks.iter().filter(|pick| pick.is_refused());
        let refused: SmallVec<[&Pick<St>; 2]> = refused.collect();
        if refused.is_empty() {
            return Outcome::Pass;
        }
        for pick in &refused {
            // Counted once, however often a request that waits is asked about.
            if pick.action() == Action::Observe && !self.delayed {
                pick.policy.tally().refuse(Action::Observe);
            }
        }
        let against: SmallVec<[&Pick<St>; 2]> = refused
            .into_iter()
            .filter(|pick| pick.action() != Action::Observe)
            .collect();
        if against.is_empty() {
            return Outcome::Pass;
        }
        self.put_back(store);
        if let Some(wait) = patience(&against, waited) {
            if !self.delayed {
                for pick in &against {
                    pick.policy.tally().refuse(pick.action());
                }
            }
            self.delayed = true;
            return Outcome::Wait(wait);
        }
        for pick in &against {
            pick.policy.tally().reject();
        }
        self.untry(&against);
        Outcome::Refuse(self.error(&against))
    }

    /// Gives candidates back what they gave for a request that another limit has refused: with them it would not pass either.
    fn untry(&self, against: &[&Pick<St>]) {
        for pick in &self.picks {
            let is_other = |other: &&Pick<St>| !Arc::ptr_eq(&other.policy, &pick.policy);
            if let Some(tried) = pick.policy.candidate().filter(|_| pick.tried)
                && against.iter().any(is_other)
            {
                tried.buckets.give_back(pick.key.0, self.cost, self.now);
            }
        }
    }

    fn put_back(&self, store: &St) {
        for bucket in self.taken() {
            store.settle(&bucket, 0, self.now);
        }
    }

    /// The buckets that gave something and can be found again.
    fn taken(&self) -> impl Iterator<Item = Bucket<St::Ticket>> {
        self.picks.iter().filter_map(|pick| {
            let taken =
                matches!(&pick.answer, Answer::Here(verdict) if verdict.decision.is_taken());
            let ticket = pick.ticket.clone().filter(|_| taken)?;
            Some(Bucket {
                policy: pick.policy.clone(),
                key: pick.key,
                ticket,
                reserved: self.cost,
            })
        })
    }

    /// What says that the store did not decide, where it did not.
    pub(super) fn announced(&self) -> Option<HeaderValue> {
        let has = |source: Source| {
            self.picks.iter().any(
                |pick| matches!(&pick.answer, Answer::Here(verdict) if verdict.source == source),
            )
        };
        if has(Source::Nobody) {
            return Some(HeaderValue::from_static("rate_limit=none"));
        }
        has(Source::Fallback).then(|| HeaderValue::from_static("rate_limit=local"))
    }

    /// What the answer is marked with, and what it settles.
    pub(super) fn finish(&self) -> (SmallVec<[Mark; 1]>, Option<Settling<St>>) {
        let settling = self.settle.clone().map(|field| Settling {
            field,
            buckets: self.taken().collect(),
        });
        (self.marks(), settling)
    }

    fn marks(&self) -> SmallVec<[Mark; 1]> {
        let shown = self.picks.iter().filter_map(|pick| match &pick.answer {
            Answer::Here(verdict)
                if pick.action() != Action::Observe && verdict.source != Source::Nobody =>
            {
                Some(Mark {
                    policy: pick.policy.clone(),
                    standing: verdict.decision.standing(),
                })
            }
            _ => None,
        });
        shown.collect()
    }

    fn error(&self, against: &[&Pick<St>]) -> Error {
        let scopes: Vec<&str> = against.iter().map(|pick| pick.policy.name()).collect();
        let by_nobody = |pick: &&Pick<St>| matches!(&pick.answer, Answer::Here(verdict) if verdict.source == Source::Nobody);
        if against.iter().all(by_nobody) {
            let error = Error::new(&catalogue::RATE_LIMITER_UNAVAILABLE).with("scopes", scopes);
            return self.announce(error);
        }
        let longest = against.iter().max_by_key(|pick| pick.wait());
        let limit = longest.and_then(|pick| pick.policy.quota());
        let wait = longest.and_then(|pick| pick.wait().filter(|wait| *wait != Duration::MAX));
        let mut error = Error::new(&catalogue::RATE_LIMIT_EXCEEDED)
            .with("limit", limit.map_or(0, |quota| quota.capacity()))
            .with("scopes", scopes);
        if let Some(wait) = wait {
            let millis = wait.as_nanos().div_ceil(1_000_000);
            let millis = u64::try_from(millis).unwrap_or(u64::MAX);
            error = error.with("retry_after_ms", millis).retry_after(wait);
        }
        let mut head = HeaderMap::new();
        let mut marks = self.marks();
        for mark in &mut marks {
            // What the others gave was put back.
            if against
                .iter()
                .all(|pick| !Arc::ptr_eq(&pick.policy, &mark.policy))
            {
                let back = mark.standing.remaining.saturating_add(self.cost);
                let most = mark.policy.quota().map_or(back, |quota| quota.capacity());
                mark.standing.remaining = back.min(most);
            }
        }
        self.fields.write(&marks, None, &mut head);
        for (name, value) in &head {
            error = error.header(name.clone(), value.clone());
        }
        self.announce(error)
    }

    fn announce(&self, error: Error) -> Error {
        match self.announced() {
            Some(announced) => error.header(fallback::FIELD.clone(), announced),
            None => error,
        }
    }
}

impl<St: Store> Pick<St> {
    fn action(&self) -> Action {
        self.policy.config().action
    }

    fn is_refused(&self) -> bool {
        matches!(&self.answer, Answer::Here(verdict) if !verdict.decision.is_taken())
    }

    /// How long until there may be enough; the longest time there is for never.
    fn wait(&self) -> Option<Duration> {
        match &self.answer {
            Answer::Here(Verdict {
                decision: Decision::Refused { retry_after, .. },
                ..
            }) => Some(retry_after.unwrap_or(Duration::MAX)),
            _ => None,
        }
    }
}

fn answer<L>(taking: Taking<L>) -> Answer<L> {
    match taking {
        Taking::Now(verdict) => Answer::Here(verdict),
        Taking::Later(later) => Answer::Later(later),
    }
}

/// How long to wait, if every limit that refused lets requests wait and will be ready in time.
fn patience<St: Store>(against: &[&Pick<St>], waited: Duration) -> Option<Duration> {
    let mut longest = Duration::ZERO;
    for pick in against {
        let Action::Delay(most) = pick.action() else {
            return None;
        };
        let wait = pick
            .wait()
            .unwrap_or(Duration::MAX)
            .max(Duration::from_millis(1));
        if wait > most.saturating_sub(waited) {
            return None;
        }
        longest = longest.max(wait);
    }
    Some(longest)
}
