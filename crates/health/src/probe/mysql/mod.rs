//! Whether a MySQL or a MariaDB answers a query.

mod session;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};

use self::session::{SCHEMES, Server, Session};
use super::kept::{self, Question};
use super::trouble::Trouble;
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome};

/// Connects to a MySQL or MariaDB server and runs a query that only reads. One connection, which is kept. Shows
/// `server_version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mysql {
    /// Where it is: `mysql://user:password@host:3306/database?ssl-mode=VERIFY_IDENTITY`. `ssl-mode` is `DISABLED` (the default),
    /// `REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`; `PREFERRED` is taken for `DISABLED`.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// The query, one statement. It runs in a session that is read-only, on MariaDB for at most 30 s. By default `SELECT 1`.
    #[serde(default = "select_1")]
    pub query: String,
    /// A file with the certificates (PEM) that are trusted. By default those that Mozilla trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

fn select_1() -> String {
    "SELECT 1".to_owned()
}

impl Probe for Mysql {
    const KIND: &'static str = "mysql";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, SCHEMES, around, faults);
        session::judge(&self.url, faults);
        super::sql::judge_query(&self.query, faults);
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let server = Server {
            url: self.url.clone(),
            ca: self.ca.clone(),
        };
        let query = super::sql::one_statement(&self.query);
        kept::check(Self::KIND, server, Asked(query.to_owned()))
    }
}

struct Asked(String);

impl Question<Server> for Asked {
    async fn ask(&self, session: &mut Session) -> Result<Outcome, Trouble> {
        // MariaDB heeds this comment, MySQL does not: a query that was given up would run on, beside the next one.
        let limited = "/*M!100100 SET STATEMENT max_statement_time=30 FOR */ ";
        session.run(&format!("{limited}{}", self.0)).await?;
        let outcome = Outcome::healthy("it answers the query");
        Ok(outcome.with_some("server_version", session.version()))
    }
}
