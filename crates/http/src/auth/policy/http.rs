//! A decision service, asked over HTTP.
//!
//! It is sent the question as JSON, once plain and once as `input`, as Open Policy Agent wants it. It answers
//! `{"allow": true}`, `{"result": true}` or `{"result": {"allow": true}}`, each with a `reason` if it likes. Anything else,
//! a status other than 200 among it, is no decision: what happens then is up to `open`. A service that is lost holds each
//! request up for the timeout; decisions may be remembered for a while, so that it need not be asked about all of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use seaworthy_core::clock::{Clock, Moment};
use seaworthy_core::names::event;
use seaworthy_core::throttle::Throttle;
use serde_json::Value;

use super::{Decision, Question};
use crate::auth::keys::sha256;
use crate::outbound::Client;

/// The largest answer that is read.
pub const MOST: usize = 64 * 1024;
/// So many decisions are remembered.
const REMEMBERED: usize = 10_000;
/// A reason is cut here.
const LONGEST_REASON: usize = 200;

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Remote {
    client: Client,
    timeout: Duration,
    open: bool,
    remember: Duration,
    clock: Clock,
    known: Mutex<HashMap<[u8; 32], (Decision, Moment)>>,
    lines: Mutex<Throttle>,
}

impl Remote {
    /// Asks through `client`, at most for `timeout`. Without a decision everybody may if `open`, else nobody. Decisions are
    /// remembered for `remember`, which may be nothing.
    pub fn new(
        client: Client,
        timeout: Duration,
        open: bool,
        remember: Duration,
        clock: Clock,
    ) -> Self {
        Self {
            client,
            timeout,
            open,
            remember,
            clock,
            known: Mutex::default(),
            lines: Mutex::new(Throttle::new(5, Duration::from_secs(1))),
        }
    }

    pub(super) fn known(&self, question: &Question) -> Option<Decision> {
        if self.remember.is_zero() {
            return None;
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (decision, until) = known.get(&hash(question))?;
        (self.now() < *until).then(|| decision.clone())
    }

    pub(super) async fn ask(&self, question: &Question) -> Decision {
        match self.answer(question).await {
            Ok(decision) => {
                self.keep(question, &decision);
                decision
            }
            Err(why) => {
                self.tell(&why);
                Decision::Failed { open: self.open }
            }
        }
    }

    async fn answer(&self, question: &Question) -> Result<Decision, String> {
        let mut document = question.document();
        document["input"] = question.document();
        let document = Bytes::from(document.to_string());
        let asked = self.client.post(document, self.timeout).await;
        let answer = asked.map_err(|why| why.to_string())?;
        if answer.status != 200 {
            return Err(format!("it answers {}", answer.status));
        }
        let answer: Value =
            serde_json::from_slice(&answer.body).map_err(|_| "its answer is no JSON".to_owned())?;
        read(&answer).ok_or_else(|| "its answer holds no decision".to_owned())
    }

    fn keep(&self, question: &Question, decision: &Decision) {
        if self.remember.is_zero() {
            return;
        }
        let now = self.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            let mut some = known.iter().take(8);
            let goes = some
                .find(|(_, (_, until))| now >= *until)
                .or_else(|| known.iter().next());
            if let Some(goes) = goes.map(|(hash, _)| *hash) {
                known.remove(&goes);
            }
        }
        known.insert(hash(question), (decision.clone(), now.after(self.remember)));
    }

    fn tell(&self, why: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held_back) = lines.pass(Instant::now()) else {
            return;
        };
        tracing::warn!(
            event = event::POLICY_FAILED,
            suppressed = (held_back > 0).then_some(held_back),
            "the policy at {} made no decision, so requests are {}: {why}",
            self.client.shown(),
            if self.open { "let through" } else { "refused" },
        );
    }

    fn now(&self) -> Moment {
        self.clock.at(Instant::now())
    }
}

fn hash(question: &Question) -> [u8; 32] {
    sha256(question.document().to_string().as_bytes())
}

fn read(answer: &Value) -> Option<Decision> {
    let inner = answer.get("result").unwrap_or(answer);
    let allow = inner.as_bool().or_else(|| inner.get("allow")?.as_bool())?;
    if allow {
        return Some(Decision::Allow);
    }
    let reason = inner.get("reason").and_then(Value::as_str);
    Some(Decision::Deny(
        reason.map(|reason| reason.chars().take(LONGEST_REASON).collect()),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_clear_word_is_a_decision() {
        let yes = [
            json!({"allow": true}),
            json!({"result": true}),
            json!({"result": {"allow": true}}),
        ];
        for answer in yes {
            assert_eq!(read(&answer), Some(Decision::Allow), "{answer}");
        }
        let no = [
            json!({"allow": false}),
            json!({"result": false}),
            json!({"result": {"allow": false}}),
        ];
        for answer in no {
            assert_eq!(read(&answer), Some(Decision::Deny(None)), "{answer}");
        }
        let why = json!({"allow": false, "reason": "x".repeat(500)});
        assert_eq!(read(&why), Some(Decision::Deny(Some("x".repeat(200)))));
        // OPA answers `{}` when a rule is undefined: that is nobody's yes.
        let none = [
            json!({}),
            json!({"allow": "true"}),
            json!({"result": 1}),
            json!([true]),
            json!({"result": {}}),
            json!(null),
        ];
        for answer in none {
            assert_eq!(read(&answer), None, "{answer}");
        }
    }
}
