use std::time::{Duration, Instant};

use seaworthy::config::registry::PostgresRegistry;
use seaworthy::registry::{Log, PostgresLog};
use seaworthy_testkit::server::{Gap, Mode, Postgres};

use crate::contract;

fn section(url: &str, table: &str) -> PostgresRegistry {
    PostgresRegistry {
        url: url.parse().expect("a URL"),
        table: table.to_owned(),
        ca: None,
    }
}

#[tokio::test]
async fn nobody_listens_and_that_is_said() {
    let nobody = seaworthy_testkit::address::free().expect("a port");
    let url = format!("postgres://shop:hunter2@{nobody}/shop");
    let mut log = PostgresLog::new(&section(&url, "versions"), "test");
    let error = log.news().await.unwrap_err();
    let wanted = format!(
        "the registry in Postgres at {nobody}, table `versions`: nothing listens there (connection refused)"
    );
    assert_eq!(error.to_string(), wanted);
}

#[tokio::test]
async fn what_is_no_name_of_a_table_is_never_sent() {
    let url = "postgres://127.0.0.1:1/shop";
    let mut log = PostgresLog::new(&section(url, "a; drop table b"), "test");
    let error = log.append("one").await.unwrap_err();
    assert!(error.to_string().contains("no name of a table"), "{error}");
}

mod real {
    use super::*;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let postgres = Postgres::start_tls().await.expect("Postgres");
        let all = section(&postgres.url(), "public.Seaworthy_config");
        contract::holds(|environment| Log::Postgres(Box::new(PostgresLog::new(&all, environment))))
            .await;

        let secure = PostgresRegistry {
            ca: Some(postgres.ca()),
            ..section(&(postgres.url() + "?sslmode=verify-full"), "secure")
        };
        let mut log = PostgresLog::new(&secure, "test");
        log.append("in").await.expect("Postgres");
        assert_eq!(log.news().await.expect("Postgres"), ["in"]);
    }

    #[tokio::test]
    async fn tables_are_made_once_by_many_at_once() {
        let postgres = Postgres::start().await.expect("Postgres");
        let section = section(&postgres.url(), "race");
        let appending = (0..16).map(|number| {
            let mut log = PostgresLog::new(&section, "test");
            tokio::spawn(async move { log.append(&number.to_string()).await })
        });
        for one in appending.collect::<Vec<_>>() {
            one.await.expect("a task").expect("Postgres");
        }
        let mut log = PostgresLog::new(&section, "test");
        assert_eq!(log.news().await.expect("Postgres").len(), 16);
    }

    #[tokio::test]
    async fn what_others_wrote_does_not_stop_a_reader() {
        let postgres = Postgres::start().await.expect("Postgres");
        let section = section(&postgres.url(), "versions");
        let mut log = PostgresLog::new(&section, "test");
        log.append("one").await.expect("Postgres");
        let sql = "insert into versions (environment, record) values ('test', repeat('x', 2 << 20)), \
                   ('test', repeat('x', 50 << 20)), ('other', 'o'), ('test', repeat('x', 1 << 20))";
        postgres.sql(sql).await.expect("Postgres");
        log.append("two").await.expect("Postgres");
        let news = log.news().await.expect("Postgres");
        let lengths: Vec<usize> = news.iter().map(String::len).collect();
        assert_eq!(lengths, [3, 1 << 20, 3]);
        let sql = "insert into versions (environment, record) select 'test', n::text from generate_series(1, 100) n";
        postgres.sql(sql).await.expect("Postgres");
        let all: Vec<_> = (1..=100).map(|n| n.to_string()).collect();
        assert_eq!(log.news().await.expect("Postgres"), all);
        let error = log.append("nul\0").await.unwrap_err();
        assert!(error.to_string().contains("NUL"), "{error}");
        postgres.sql("drop table versions").await.expect("Postgres");
        assert_eq!(log.news().await.expect("Postgres"), [""; 0]);
        log.append("anew").await.expect("Postgres");
        assert_eq!(log.news().await.expect("Postgres"), ["anew"]);
        postgres
            .sql("truncate versions restart identity")
            .await
            .expect("Postgres");
        assert_eq!(log.news().await.expect("Postgres"), [""; 0]);
        log.append("again").await.expect("Postgres");
        assert_eq!(log.news().await.expect("Postgres"), ["again"]);
    }

    #[tokio::test]
    async fn it_goes_on_when_the_server_is_back() {
        let postgres = Postgres::start().await.expect("Postgres");
        let gap = Gap::before(postgres.address()).expect("a gap");
        let url = postgres.url_at(gap.address());
        let mut log = PostgresLog::new(&section(&url, "versions"), "test");
        log.append("one").await.expect("Postgres");
        assert_eq!(log.news().await.expect("Postgres"), ["one"]);
        for (mode, word) in [(Mode::Refuse, "connection"), (Mode::Silent, "within 5 s")] {
            gap.set(mode).await.expect("a gap");
            for _ in 0..2 {
                let begun = Instant::now();
                let error = log.news().await.unwrap_err();
                assert!(error.to_string().contains(word), "{error}");
                assert!(begun.elapsed() < Duration::from_secs(8), "{error}");
            }
            log.append("lost").await.unwrap_err();
            gap.set(Mode::Pass).await.expect("a gap");
            log.append(word).await.expect("Postgres");
            let mut news = log.news().await.expect("Postgres");
            news.retain(|text| text != "lost");
            assert_eq!(news, [word]);
        }
        assert_eq!(gap.open(), 1, "connections that failed are gone");
        drop(log);
    }
}
