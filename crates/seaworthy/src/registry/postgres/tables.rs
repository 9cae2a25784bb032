//! The two tables, and every statement that is sent about them.

use seaworthy_health::probe::kafka::LONGEST_VALUE;
use seaworthy_health::probe::postgres::Link;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::words::code;
use crate::config::registry::is_table;
use crate::registry::trouble::LONGEST_ACK;

/// Rows that are asked for at once; together they are no longer than 16 MiB.
pub(super) const PAGE: usize = 16;
const PAGE_OF_ACKS: usize = 256;

/// Instances whose acknowledgements are read: those that said something last.
const MOST_INSTANCES: usize = 4096;

/// Together with the number of the table it is the number of the lock.
const LOCK: &str = "x'5ea3047f'::bigint << 32";

/// How often tables are made anew that somebody else makes at the same time.
const TRIES: usize = 5;

/// The names of the tables as SQL writes them.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    records: String,
    acks: String,
}

impl Tables {
    /// The tables of this name, if it is one.
    pub(super) fn new(name: &str) -> Option<Self> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('.', "\".\""));
        is_table(name).then(|| Self {
            records: quoted(name),
            acks: quoted(&format!("{name}_acks")),
        })
    }

    /// Makes both. Two that do so at once may collide in spite of `if not exists`; the one that loses looks again.
    pub(super) async fn make(&self, client: &Client) -> Result<(), Error> {
        let Self { records, acks } = self;
        let both = format!(
            "create table if not exists {records} (id bigserial primary key, environment text not null, \
             record text not null, at timestamptz not null default now()); \
             create table if not exists {acks} (environment text not null, instance text not null, \
             ack text not null, at timestamptz not null default now(), primary key (environment, instance))"
        );
        let mut made = client.batch_execute(&both).await;
        for _ in 1..TRIES {
            match &made {
                Err(error) if matches!(code(error), Some("23505" | "42P07" | "42710")) => {
                    made = client.batch_execute(&both).await;
                }
                _ => break,
            }
        }
        made
    }

    /// Appends a record.
    pub(super) async fn insert(
        &self,
        client: &mut Client,
        environment: &str,
        text: &str,
    ) -> Result<(), Error> {
        let records = &self.records;
        let transaction = client.transaction().await?;
        let lock = format!(
            "set local lock_timeout = '4s'; \
             select pg_advisory_xact_lock({LOCK} | '{records}'::regclass::oid::bigint)"
        );
        transaction.batch_execute(&lock).await?;
        let insert = format!("insert into {records} (environment, record) values ($1, $2)");
        let parameters: [Parameter<'_>; 2] = [(&environment, Type::TEXT), (&text, Type::TEXT)];
        transaction.query_typed(&insert, &parameters).await?;
        transaction.commit().await
    }

    /// The number of the newest record of all environments; 0 when there is none.
    pub(super) async fn newest(&self, client: &Client) -> Result<i64, Error> {
        let newest = format!("select max(id) from {}", self.records);
        let newest = client.query_typed(&newest, &[]).await?;
        let newest: Option<Option<i64>> = newest.first().map(|row| row.try_get(0)).transpose()?;
        Ok(newest.flatten().unwrap_or(0))
    }

    /// The next records after the number `last`, each with its number; what is no text is nothing.
    pub(super) async fn after(
        &self,
        client: &Client,
        environment: &str,
        last: i64,
    ) -> Result<Vec<(i64, Option<String>)>, Error> {
        let page = format!(
            "select id, record from {} where environment = $1 and id > $2 \
             and octet_length(record) <= {LONGEST_VALUE} order by id limit {PAGE}",
            self.records
        );
        let parameters: [Parameter<'_>; 2] = [(&environment, Type::TEXT), (&last, Type::INT8)];
        let rows = client.query_typed(&page, &parameters).await?;
        let records = rows.iter().map(|row| {
            let number = row.try_get(0)?;
            Ok((number, text(row, 1, LONGEST_VALUE)))
        });
        records.collect()
    }

    /// Replaces what an instance said.
    pub(super) async fn replace(
        &self,
        client: &Client,
        environment: &str,
        instance: &str,
        text: &str,
    ) -> Result<(), Error> {
        let replace = format!(
            "insert into {} (environment, instance, ack) values ($1, $2, $3) \
             on conflict (environment, instance) do update set ack = excluded.ack, at = now()",
            self.acks
        );
        let parameters: [Parameter<'_>; 3] = [
            (&environment, Type::TEXT),
            (&instance, Type::TEXT),
            (&text, Type::TEXT),
        ];
        client.query_typed(&replace, &parameters).await.map(drop)
    }

    /// What instances said.
    pub(super) async fn said(
        &self,
        link: &mut Link,
        environment: &str,
    ) -> Result<Vec<String>, Error> {
        let acks = &self.acks;
        let page = format!(
            "select instance, ack from {acks} where environment = $1 and instance > $2 \
             and octet_length(ack) <= {LONGEST_ACK} and instance in \
             (select instance from {acks} where environment = $1 order by at desc limit {MOST_INSTANCES}) \
             order by instance limit {PAGE_OF_ACKS}"
        );
        let (mut said, mut after) = (Vec::new(), String::new());
        loop {
            let parameters: [Parameter<'_>; 2] = [(&environment, Type::TEXT), (&after, Type::TEXT)];
            let rows = link.client().query_typed(&page, &parameters).await?;
            said.extend(rows.iter().filter_map(|row| text(row, 1, LONGEST_ACK)));
            match rows.last().map(|row| row.try_get::<_, String>(0)) {
                Some(last) if rows.len() == PAGE_OF_ACKS && said.len() < MOST_INSTANCES => {
                    after = last?;
                }
                _ => return Ok(said),
            }
        }
    }
}

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The text in a column, if it is one.
fn text(row: &Row, column: usize, longest: usize) -> Option<String> {
    let text: &str = row.try_get(column).ok()?;
    (text.len() <= longest).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_are_plain_words() {
        for name in ["seaworthy_config", "shop.Config2", "_"] {
            assert!(is_table(name), "{name}");
        }
        let (long, longer) = ("x".repeat(58), "x".repeat(59));
        assert!(is_table(&long));
        for name in [
            "", "2x", "a.", ".a", "a.b.c", "a b", "a\"b", "ä", "a;", &longer,
        ] {
            assert!(!is_table(name), "{name}");
        }
    }

    #[test]
    fn tables_are_quoted() {
        let tables = Tables::new("shop.Config").unwrap();
        assert_eq!(tables.records, r#""shop"."Config""#);
        assert_eq!(tables.acks, r#""shop"."Config_acks""#);
    }
}
