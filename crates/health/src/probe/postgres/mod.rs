//! Whether a Postgres answers a query, and has the tables that it should have.

mod frame;
mod link;
pub(crate) mod session;
mod words;

pub use link::Link;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};

use self::session::{Rows, SCHEMES, Server, Session};
use super::kept::{self, Question};
use super::trouble::Trouble;
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome};

/// Connects to a Postgres server and runs a query that only reads. One connection, which is kept; its `application_name` is
/// `seaworthy`. Shows `server_version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Postgres {
    /// Where it is: `postgres://user:password@host:5432/database?sslmode=verify-full`. The user is `postgres` when there is
    /// none. `sslmode` is `disable`, `prefer` (the default), `require`, `verify-ca` or `verify-full`.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// The query, one statement. It runs in a transaction that is read-only and rolled back. By default `SELECT 1`.
    #[serde(default = "select_1")]
    pub query: String,
    /// What the query has to return. By default anything will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// What the database has to have. It is looked for, and never made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensure: Option<Ensure>,
    /// A file with the certificates (PEM) that are trusted. By default those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// What a query has to return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expect {
    /// So many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// This in the first column of the first row, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What a database has to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ensure {
    /// Tables or views, such as `orders` or `shop.orders`.
    pub tables: Vec<String>,
}

fn select_1() -> String {
    "SELECT 1".to_owned()
}

impl Probe for Postgres {
    const KIND: &'static str = "postgres";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, SCHEMES, around, faults);
        session::judge(&self.url, faults);
        super::sql::judge_query(&self.query, faults);
        for table in self.tables().iter().filter(|table| !is_table(table)) {
            let message = format!("`{}` is no name of a table", table.escape_debug());
            faults.push(Fault::new(
                "ensure",
                message,
                "write `orders` or `shop.orders`",
            ));
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let tables = self.tables().to_vec();
        let server = Server::new(&self.url, self.ca.clone());
        let asked = Asked {
            query: self.query.clone(),
            expect: self.expect.clone(),
            catalogue: (!tables.is_empty()).then(|| catalogue(&tables)),
            tables,
        };
        kept::check(Self::KIND, server, asked)
    }
}

impl Postgres {
    fn tables(&self) -> &[String] {
        self.ensure.as_ref().map_or(&[], |ensure| &ensure.tables)
    }
}

/// Whether it can be looked up, and says nothing else to the server.
fn is_table(name: &str) -> bool {
    let is_fine = |c: char| c.is_alphanumeric() || "_$\"- ".contains(c);
    let parts: Vec<&str> = name.split('.').collect();
    parts.len() <= 2
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(is_fine))
}

/// Asks the catalogue which of the tables are not there, by their numbers.
fn catalogue(tables: &[String]) -> String {
    let names: Vec<String> = (tables.iter().enumerate())
        .map(|(number, name)| format!("({number},'{}')", name.replace('\'', "''")))
        .collect();
    format!(
        "SELECT v.n FROM (VALUES {}) AS v(n,name) LEFT JOIN pg_catalog.pg_class c \
         ON c.oid=pg_catalog.to_regclass(v.name) AND c.relkind IN ('r','p','v','m','f') \
         WHERE c.oid IS NULL ORDER BY v.n",
        names.join(",")
    )
}

struct Asked {
    query: String,
    expect: Option<Expect>,
    tables: Vec<String>,
    catalogue: Option<String>,
}

impl Question<Server> for Asked {
    async fn ask(&self, session: &mut Session) -> Result<Outcome, Trouble> {
        let queries: Vec<&str> = std::iter::once(self.query.as_str())
            .chain(self.catalogue.as_deref())
            .collect();
        let results = session.read(&queries).await?;
        let [rows, missing @ ..] = results.as_slice() else {
            return Err(Trouble::Foreign);
        };
        let missing = missing.first().map(|rows| self.missing(rows));
        let outcome = match missing.as_deref() {
            Some([table]) => Outcome::unhealthy(format!("schema: missing table {table}")),
            Some(tables @ [_, ..]) => {
                Outcome::unhealthy(format!("schema: missing tables {}", tables.join(", ")))
            }
            _ => self.judge(rows),
        };
        Ok(outcome.with_some("server_version", session.version()))
    }
}

impl Asked {
    fn missing(&self, rows: &Rows) -> Vec<&str> {
        let numbers = rows.iter().filter_map(|row| row.try_get(0).ok().flatten());
        let tables = numbers.filter_map(|number| self.tables.get(number.parse::<usize>().ok()?));
        tables.map(String::as_str).collect()
    }

    fn judge(&self, rows: &Rows) -> Outcome {
        let Some(expect) = &self.expect else {
            return Outcome::healthy("it answers the query");
        };
        let count = rows.len();
        if let Some(rows) = expect.rows.filter(|rows| u64::try_from(count) != Ok(*rows)) {
            return Outcome::unhealthy(format!("the query returned {count} rows and not {rows}"));
        }
        let first = rows.first().and_then(|row| row.try_get(0).ok().flatten());
        if expect.value.is_some() && expect.value.as_deref() != first {
            return Outcome::unhealthy("the query returned another value than expected");
        }
        Outcome::healthy("the query returned what was expected")
    }
}

/// Judges the number that a query returns.
pub(crate) struct Count {
    pub(crate) query: String,
    pub(crate) judge: Box<dyn Fn(u64) -> Outcome + Send + Sync>,
}

impl Question<Server> for Count {
    async fn ask(&self, session: &mut Session) -> Result<Outcome, Trouble> {
        let results = session.read(&[&self.query]).await?;
        let row = results.first().and_then(|rows| rows.first());
        let value = row.and_then(|row| row.try_get(0).ok().flatten());
        let count = value.and_then(|value| value.parse().ok());
        let count = count.ok_or_else(|| Trouble::says("the query does not return a count"))?;
        Ok((self.judge)(count))
    }
}
