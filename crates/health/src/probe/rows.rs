//! How many rows there are: whether something is written that should be.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};

use super::kept;
use super::limits::Floor;
use super::postgres::{Count, session};
use super::{Address, Around, Fault, Probe};
use crate::Check;

/// Runs a query on Postgres that counts, and fails when it counts too few: an audit log that nobody has written into lately is
/// one that does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rows {
    /// Where the database is, as in the kind `postgres`.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// The query that counts, such as `SELECT count(*) FROM audit_log WHERE created_at > now() - interval '5 minutes'`. It can
    /// only read.
    pub query: String,
    /// How few is too few.
    #[serde(flatten)]
    pub floor: Floor,
    /// A file with the certificates (PEM) that are trusted for TLS. By default those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

impl Probe for Rows {
    const KIND: &'static str = "rows";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, session::SCHEMES, around, faults);
        session::judge(&self.url, faults);
        super::sql::judge_query(&self.query, faults);
        self.floor.faults(faults);
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let server = session::Server::new(&self.url, self.ca.clone());
        let floor = self.floor.clone();
        let count = Count {
            query: self.query.clone(),
            judge: Box::new(move |count| floor.judge(count, format!("{count} counted"))),
        };
        kept::check(Self::KIND, server, count)
    }
}
