//! A secret that was made for us and ends unless it is renewed.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use super::login::Token;
use super::{Failure, Vault};

/// What was read and renews its lease.
pub(super) struct Held {
    pub(super) id: String,
    pub(super) value: String,
    /// When it is over unless it is renewed.
    pub(super) ends: Option<Instant>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    /// Renews it; nothing when it has to be read anew. A server that fails for a moment takes nothing away: read anew, each
    /// try would make another user of a database while the one before is still there.
    pub(super) async fn renew(
        &mut self,
        vault: &Vault,
        token: &Token,
        within: Duration,
    ) -> Result<Option<Duration>, Failure> {
        if self.ends.is_some_and(|ends| ends <= Instant::now()) {
            return Ok(None);
        }
        let question = json!({"lease_id": self.id});
        let asked = vault.ask(
            Method::PUT,
            "sys/leases/renew",
            Some(question),
            Some(&token.value),
            within,
        );
        match asked.await {
            Ok(document) => {
                let lease = document.lease;
                self.ends = lease.and_then(|lease| Instant::now().checked_add(lease));
                Ok(lease)
            }
            Err(failure) if failure.is_final() => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}
