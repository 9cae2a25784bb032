//! The kind `mysql` on a real MariaDB and on peers that are none.

mod looking;

use std::sync::Arc;

use looking::{check, faults, probe, says, survives_rude_peers};
use seaworthy_health::Check;
use seaworthy_health::probe::mysql::Mysql as Kind;
use seaworthy_testkit::server::{Manners, Rude};
use serde_json::json;

fn mysql(url: &str) -> Arc<dyn Check> {
    check::<Kind>(json!({ "url": url }))
}

#[tokio::test]
async fn whoever_does_not_play_along_is_told_in_one_sentence() {
    let make = |peer| mysql(&format!("mysql://u:hunter2@{peer}/x"));
    survives_rude_peers(make, "it does not speak MySQL").await;
}

#[tokio::test]
async fn of_errors_only_their_number_is_shown() {
    for (code, message) in [
        (1040_u16, "it has too many connections (1040)"),
        (1130, "it does not let this host in (1130)"),
        (4242, "it answered with an error (4242)"),
    ] {
        let text = [b"\xff".as_slice(), &code.to_le_bytes(), b"#08004hunter2"].concat();
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        let packet = [&length[..3], &[0], &text].concat();
        let refuses = Rude::start(Manners::Says(packet)).await.unwrap();
        says(
            &mysql(&format!("mysql://u@{}/x", refuses.address())),
            message,
        )
        .await;
    }
}

#[test]
fn what_cannot_work_is_refused_before_it_starts() {
    for (options, option) in [
        (json!({ "url": "postgres://db/x" }), "url"),
        (json!({ "url": "mysql://169.254.169.254/x" }), "url"),
        (json!({ "url": "mysql://db/x?ssl-mode=MAYBE" }), "url"),
        (
            json!({ "url": "mysql://db/x", "query": "SELECT 1; DROP TABLE t" }),
            "query",
        ),
    ] {
        let found = faults(&probe::<Kind>(options.clone()));
        assert_eq!(found, [option], "{options}");
    }
    assert_eq!(
        faults(&probe::<Kind>(json!({ "url": "mysql+pymysql://db/x" }))),
        [""; 0]
    );
}

mod real {
    use seaworthy_core::health::State;
    use seaworthy_testkit::Result;
    use seaworthy_testkit::certificate::Certificate;
    use seaworthy_testkit::server::{Gap, MariaDb, Mode};
    use seaworthy_testkit::wait::{self, PATIENCE};

    use super::looking::{becomes, follows, hangs, is_well};
    use super::*;

    const FINE: &str = "it answers the query";

    #[tokio::test]
    async fn stopped_paused_and_back() -> Result<()> {
        let mut server = MariaDb::start().await?;
        let check = mysql(&server.url());
        let outcome = is_well(&check, FINE).await;
        let version = outcome.metadata["server_version"].as_str();
        assert!(
            version.is_some_and(|version| version.contains('.')),
            "{outcome:?}"
        );
        follows(&check, &mut server).await;
        Ok(())
    }

    #[tokio::test]
    async fn logins_that_fail_are_told_apart_and_not_shown() -> Result<()> {
        let server = MariaDb::start_with(&["--max-connections=10"]).await?;
        let at = server.address();
        let refused = "it refuses the user or the password (1045)";
        for (url, message) in [
            (format!("mysql://probe:sesame@{at}/shop"), refused),
            (format!("mysql://eve:hunter2@{at}/shop"), refused),
            (format!("mysql://probe@{at}/shop"), refused),
            (
                format!("mysql://probe:hunter2@{at}/mysql"),
                "its user may not use this database (1044)",
            ),
            (
                format!("mysql://probe:hunter2@{at}/shop?ssl-mode=REQUIRED"),
                "it does not offer TLS",
            ),
        ] {
            says(&mysql(&url), message).await;
        }
        server.sql("GRANT ALL ON *.* TO probe@'%'").await?;
        let gone = mysql(&format!("mysql://probe:hunter2@{at}/gone"));
        says(&gone, "it has no database of that name (1049)").await;
        // One place is kept for an administrator, who is now `probe`.
        server.sql("REVOKE ALL ON *.* FROM probe@'%'").await?;
        let mut held = Vec::new();
        for _ in 0..10 {
            let check = mysql(&server.url());
            is_well(&check, FINE).await;
            held.push(check);
        }
        says(&mysql(&server.url()), "it has too many connections (1040)").await;
        Ok(())
    }

    #[tokio::test]
    async fn a_query_can_only_read() -> Result<()> {
        let server = MariaDb::start().await?;
        server
            .sql("CREATE TABLE t(n int); INSERT INTO t VALUES (1),(2)")
            .await?;
        let ask = |query: &str| check::<Kind>(json!({ "url": server.url(), "query": query }));
        for _ in 0..2 {
            is_well(&ask("SELECT n FROM t; "), FINE).await;
        }
        let writes = "the query writes, and a check only reads (1792)";
        for (query, message) in [
            ("DELETE FROM t", writes),
            ("DROP TABLE t", writes),
            (
                "SELECT * FROM hunter2",
                "the query names a table that does not exist (1146)",
            ),
            ("SELEKT", "the query is not valid SQL (1064)"),
            (
                "SELECT seq FROM seq_1_to_100000000",
                "the query returns too much",
            ),
            ("SELECT repeat('x', 3000000)", "the query returns too much"),
        ] {
            let check = ask(query);
            says(&check, message).await;
            says(&check, message).await;
        }
        assert_eq!(server.sql("SELECT count(*) FROM t").await?, "2");
        Ok(())
    }

    #[tokio::test]
    async fn one_connection_and_none_left_behind() -> Result<()> {
        let server = MariaDb::start().await?;
        let gap = Gap::before(server.address())?;
        let check = mysql(&server.url_at(gap.address()));
        for _ in 0..20 {
            is_well(&check, FINE).await;
        }
        assert_eq!((gap.opened(), gap.open()), (1, 1));
        gap.set(Mode::Silent).await?;
        hangs(&check).await;
        gap.set(Mode::Pass).await?;
        becomes(&check, State::Ok).await;
        wait::holds("one open connection", PATIENCE, || gap.open() == 1).await?;
        // Reading a hundred million rows to their end would be the driver's way to say goodbye.
        let endless = "SELECT seq FROM seq_1_to_100000000";
        let url = server.url_at(gap.address());
        let much = super::check::<Kind>(json!({ "url": url, "query": endless }));
        says(&much, "the query returns too much").await;
        wait::holds("one open connection", PATIENCE, || gap.open() == 1).await
    }

    #[tokio::test]
    async fn tls_is_as_strict_as_ssl_mode_says() -> Result<()> {
        let server = MariaDb::start_tls().await?;
        let own = server.ca();
        let other = tempfile::NamedTempFile::new()?;
        std::fs::write(other.path(), Certificate::new()?.certificate)?;
        let with = |mode: &str, ca: Option<&std::path::Path>| {
            let url = format!("{}?ssl-mode={mode}", server.url());
            check::<Kind>(json!({ "url": url, "ca": ca }))
        };
        is_well(&with("REQUIRED", None), FINE).await;
        let unknown =
            "its certificate is signed by nobody known; name the file of its authority with `ca`";
        for mode in ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] {
            is_well(&with(mode, Some(&own)), FINE).await;
            says(&with(mode, Some(other.path())), unknown).await;
        }
        let nowhere = with("VERIFY_CA", Some("/nowhere".as_ref()));
        let outcome = super::looking::look(&nowhere).await;
        assert_eq!(outcome.state, State::Unknown);
        assert_eq!(outcome.message, "the file of `ca` cannot be read");
        Ok(())
    }
}
