//! How many rows there are: whether something is written that should be.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};

use super::kept;
use super::postgres::{Count, session};
use super::{Around, Fault, Probe};
use crate::{Check, Outcome};

/// Runs a query on Postgres that counts, and fails when it counts too few: an audit log that nobody has written into lately is
/// one that does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rows {
    /// Where the database is, as in the kind `postgres`.
    pub url: Dsn,
    /// The query that counts, such as `SELECT count(*) FROM audit_log WHERE created_at > now() - interval '5 minutes'`. It can
    /// only read.
    pub query: String,
    /// With fewer than this it is degraded. By default 1.
    #[serde(default = "one")]
    pub warn_below: u64,
    /// With fewer than this it has failed. By default 0, which never happens.
    #[serde(default)]
    pub fail_below: u64,
    /// The name under which the number is shown. By default `recent_log_count`.
    #[serde(default = "recent_log_count", rename = "as")]
    pub shown_as: String,
    /// A file with the certificates (PEM) that are trusted for TLS. By default those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

fn one() -> u64 {
    1
}

fn recent_log_count() -> String {
    "recent_log_count".to_owned()
}

impl Probe for Rows {
    const KIND: &'static str = "rows";

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, session::SCHEMES, around, faults);
        session::judge(&self.url, faults);
        super::sql::judge_query(&self.query, faults);
        if self.fail_below > self.warn_below {
            let message = format!(
                "`fail_below` is {} and `warn_below` only {}",
                self.fail_below, self.warn_below
            );
            faults.push(Fault::new(
                "fail_below",
                message,
                "let `fail_below` be the smaller one",
            ));
        }
        let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.shown_as.is_empty() || !self.shown_as.bytes().all(is_fine) {
            let message = "names of what is shown have small letters, digits and `_`";
            faults.push(Fault::new("as", message, "write `recent_log_count`"));
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let (warn, fail, shown_as) = (self.warn_below, self.fail_below, self.shown_as.clone());
        let server = session::Server::new(&self.url, self.ca.clone());
        let count = Count {
            query: self.query.clone(),
            judge: Box::new(move |count| {
                let outcome = if count < fail {
                    Outcome::unhealthy(format!("{count} counted, at least {fail} are expected"))
                } else if count < warn {
                    Outcome::degraded(format!("{count} counted, at least {warn} are expected"))
                } else {
                    Outcome::healthy(format!("{count} counted"))
                };
                outcome.with(&shown_as, count)
            }),
        };
        kept::check(Self::KIND, server, count)
    }
}
