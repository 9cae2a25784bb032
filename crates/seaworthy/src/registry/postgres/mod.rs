//! The registry in Postgres: one table of records, one of what instances say about them.
//!
//! Numbers are given out before rows can be seen, so two that append at once could be seen out of order, and a reader would pass over
//! the one that comes late. So each takes a lock that only they know before it takes a number. It asks for no privilege beyond
//! `INSERT`. Whoever writes rows by hand does so without it, and should do so alone.

mod tables;
mod words;

use std::path::PathBuf;

use seaworthy_core::dsn::Dsn;
use seaworthy_health::probe::kafka::LONGEST_VALUE;
use seaworthy_health::probe::postgres::Link;
use tokio_postgres::{Client, Error};

use self::tables::{PAGE, Tables};
use self::words::{is_missing, words};
use crate::config::registry::PostgresRegistry;

use super::trouble::{LONGEST_ACK, Trouble, fits, within};

/// One call of `news` holds no more than about this many bytes; the next one goes on.
const MOST: usize = 64 << 20;

/// The log of one environment.
#[derive(Debug)]
pub struct PostgresLog {
    environment: String,
    url: Dsn,
    ca: Option<PathBuf>,
    tables: Option<Tables>,
    /// What errors name.
    place: String,
    link: Option<Link>,
    /// The last number that was read.
    last: i64,
    /// What was read and not handed over yet.
    read: Vec<String>,
}

impl PostgresLog {
    /// The log of `environment`. Opens nothing.
    pub fn new(section: &PostgresRegistry, environment: &str) -> Self {
        let (url, table) = (section.url.clone(), &section.table);
        let (host, port) = (url.host(), url.port_or(5432));
        Self {
            environment: environment.to_owned(),
            place: format!("the registry in Postgres at {host}:{port}, table `{table}`"),
            url,
            ca: section.ca.clone(),
            tables: Tables::new(table),
            link: None,
            last: 0,
            read: Vec::new(),
        }
    }

    /// Puts one record more at the end, and makes the tables if need be. It is committed then. After an error it may be there all the
    /// same.
    ///
    /// # Errors
    /// When it is not known to be there.
    pub async fn append(&mut self, text: &str) -> Result<(), Trouble> {
        let place = self.place.clone();
        fits(&place, text, LONGEST_VALUE)?;
        within(&place, async {
            let (tables, mut link) = self.link().await?;
            let environment = self.environment.as_str();
            let mut done = tables.insert(link.client(), environment, text).await;
            if done.as_ref().is_err_and(is_missing) {
                let made = tables.make(link.client()).await;
                made.map_err(|error| words(&link, &error))?;
                done = tables.insert(link.client(), environment, text).await;
            }
            self.keep(link, done)
        })
        .await
    }

    /// The records of this environment since the last call, the oldest first; the first call gives all that is kept. A record is
    /// left out that is longer than 1 MiB or no text. A table that is not there is empty. All come again when the newest rows
    /// were removed, as in a table that was made anew; and after about 64 MiB the rest comes with the next call.
    ///
    /// # Errors
    /// When the table cannot be read; what was read before comes with the next call.
    pub async fn news(&mut self) -> Result<Vec<String>, Trouble> {
        let place = self.place.clone();
        within(&place, async {
            let (tables, mut link) = self.link().await?;
            let gathered = self.gather(link.client(), &tables).await;
            match gathered {
                Err(error) if is_missing(&error) => {
                    self.last = 0;
                    self.link = Some(link);
                    Ok(())
                }
                gathered => self.keep(link, gathered),
            }
        })
        .await?;
        Ok(std::mem::take(&mut self.read))
    }

    /// Replaces what `instance` said before.
    ///
    /// # Errors
    /// When it is not known to be there.
    pub async fn acknowledge(&mut self, instance: &str, text: &str) -> Result<(), Trouble> {
        let place = self.place.clone();
        fits(&place, text, LONGEST_ACK)?;
        within(&place, async {
            let (tables, mut link) = self.link().await?;
            let environment = self.environment.as_str();
            let mut done = tables
                .replace(link.client(), environment, instance, text)
                .await;
            if done.as_ref().is_err_and(is_missing) {
                let made = tables.make(link.client()).await;
                made.map_err(|error| words(&link, &error))?;
                done = tables
                    .replace(link.client(), environment, instance, text)
                    .await;
            }
            self.keep(link, done)
        })
        .await
    }

    /// What each instance of this environment said last.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn acks(&mut self) -> Result<Vec<String>, Trouble> {
        let place = self.place.clone();
        within(&place, async {
            let (tables, mut link) = self.link().await?;
            let said = tables.said(&mut link, &self.environment).await;
            match said {
                Err(error) if is_missing(&error) => {
                    self.link = Some(link);
                    Ok(Vec::new())
                }
                said => self.keep(link, said),
            }
        })
        .await
    }

    /// The connection that there is, or a new one. It is taken out, so that a call that is cut short drops it.
    async fn link(&mut self) -> Result<(Tables, Link), String> {
        let tables = self.tables.clone().ok_or_else(|| {
            "that is no name of a table; write letters, digits and `_`, at most 58".to_owned()
        })?;
        let link = match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => Link::open(&self.url, self.ca.clone()).await?,
        };
        Ok((tables, link))
    }

    fn keep<T>(&mut self, link: Link, done: Result<T, Error>) -> Result<T, String> {
        match done {
            Ok(done) => {
                self.link = Some(link);
                Ok(done)
            }
            Err(error) => Err(words(&link, &error)),
        }
    }

    async fn gather(&mut self, client: &Client, tables: &Tables) -> Result<(), Error> {
        let newest = tables.newest(client).await?;
        if newest < self.last {
            self.last = 0;
        }
        let mut held: usize = self.read.iter().map(String::len).sum();
        while self.last < newest && held < MOST {
            let rows = tables.after(client, &self.environment, self.last).await?;
            let (before, count) = (self.last, rows.len());
            for (number, text) in rows {
                self.last = self.last.max(number);
                held += text.as_ref().map_or(0, String::len);
                self.read.extend(text);
            }
            if count < PAGE || self.last == before {
                self.last = self.last.max(newest);
            }
        }
        Ok(())
    }
}
