//! `seaworthy bench`: what it counts, what it says, and when it fails.

use seaworthy_testkit::Result;
use seaworthy_testkit::origin::{Origin, Script};
use seaworthy_testkit::process::{Ended, Seaworthy};
use serde_json::{Value, json};

use crate::front::Front;

/// What answers say about a limit.
const FIELDS: [&str; 5] = [
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit",
    "RateLimit-Policy",
];

async fn bench(url: &str, words: &[&str]) -> Result<Ended> {
    let words: Vec<&str> = ["bench", url]
        .into_iter()
        .chain(words.iter().copied())
        .collect();
    Seaworthy::verb(words).await
}

fn echo(front: &Front) -> String {
    format!("http://{}/echo", front.seaworthy.public())
}

/// The literal measure: 105 requests, a hundred pass, five are refused, and every answer bears the fields.
async fn hundred_and_five(url: &str) -> Result<()> {
    let mut words = vec![
        "--count",
        "105",
        "--conc",
        "1",
        "--assert-status",
        "200=100,429=5",
    ];
    for field in FIELDS {
        words.extend(["--assert-header", field]);
    }
    let ended = bench(url, &words).await?;
    assert_eq!(ended.code(), 0, "{}{}", ended.stdout, ended.stderr);
    let order = "in order  first 100 200, last 5 429";
    assert!(ended.stdout.contains(order), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_fills_in_intervals_gives_a_hundred_and_refuses_five() -> Result<()> {
    let yaml = "limits: {tiers: {anonymous: 100/min}, refill: interval}";
    let front = Front::configured(yaml).await?;
    hundred_and_five(&echo(&front)).await
}

#[tokio::test]
async fn statuses_times_and_fields_are_told_as_json() -> Result<()> {
    let front = Front::start().await?;
    let url = echo(&front);
    let words = [
        "--count", "40", "--conc", "4", "--header", "X-Own: 1", "--data", "hello", "--json",
    ];
    let ended = bench(&url, &words).await?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let shown: Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(shown["status"], json!({"200": 40}));
    assert_eq!(shown["runs"], json!([{"status": 200, "count": 40}]));
    assert_eq!(
        (&shown["ok"], &shown["requests"]),
        (&true.into(), &40.into())
    );
    assert!(shown["per_second"].as_f64() > Some(0.0), "{shown}");
    let time = |name: &str| shown["latency_ms"][name].as_f64().unwrap_or_default();
    assert!(0.0 < time("p50") && time("p50") <= time("p99"), "{shown}");
    assert!(
        time("p99") <= time("p99.9") && time("p99.9") <= time("max"),
        "{shown}"
    );
    Ok(())
}

#[tokio::test]
async fn connections_are_kept_and_the_request_is_the_one_that_was_meant() -> Result<()> {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let origin = Origin::tcp(Script::always(answer)).await?;
    let url = format!("{}/a?b=c", origin.address());
    let words = [
        "--count", "20", "--method", "PUT", "--data", "hello", "--header", "X-Own:1",
    ];
    assert_eq!(bench(&url, &words).await?.code(), 0);
    assert_eq!((origin.requests().len(), origin.connections()), (20, 1));
    let sent = origin.text().to_lowercase();
    assert!(
        sent.starts_with("put /a?b=c http/1.1\r\n"),
        "{}",
        &sent[..200]
    );
    assert!(sent.contains("x-own: 1\r\n") && sent.contains("hello"));
    assert!(sent.contains(&format!("host: {}\r\n", origin.address())));
    Ok(())
}

#[tokio::test]
async fn a_rate_and_a_duration_bound_what_is_sent() -> Result<()> {
    let front = Front::start().await?;
    let words = [
        "--duration",
        "500ms",
        "--rate",
        "20/s",
        "--conc",
        "2",
        "--json",
    ];
    let ended = bench(&echo(&front), &words).await?;
    let shown: Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(ended.code(), 0);
    let asked = shown["requests"].as_u64().unwrap_or_default();
    assert!((1..=10).contains(&asked), "{shown}");
    Ok(())
}

#[tokio::test]
async fn what_was_not_expected_ends_with_1() -> Result<()> {
    let front = Front::start().await?;
    let url = echo(&front);
    for (words, says) in [
        (
            ["--assert-status", "200=4,5xx=0"],
            "expected 4 answers of 200, not 5",
        ),
        (
            ["--assert-status", "4xx=1"],
            "expected 1 answers of 4xx, not 0",
        ),
        (
            ["--assert-header", "X-Nowhere"],
            "5 of 5 answers have no field x-nowhere",
        ),
    ] {
        let ended = bench(&url, &["--count", "5", words[0], words[1]]).await?;
        assert_eq!(ended.code(), 1, "{words:?}: {}", ended.stdout);
        assert!(ended.stderr.contains(says), "{words:?}: {}", ended.stderr);
    }
    let hang = format!("http://{}/hang", front.seaworthy.public());
    let ended = bench(&hang, &["--count", "1", "--timeout", "200ms"]).await?;
    assert_eq!(ended.code(), 1, "{}", ended.stdout);
    assert!(
        ended.stderr.contains("it took too long"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[tokio::test]
async fn who_is_not_there_and_what_is_no_url_are_told_apart() -> Result<()> {
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let ended = bench(&format!("http://{free}/"), &[]).await?;
    assert_eq!(ended.code(), 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot connect"), "{}", ended.stderr);
    for (url, words) in [
        ("ftp://127.0.0.1/", ["--count", "1"]),
        ("http://user:secret@127.0.0.1/", ["--count", "1"]),
        ("http://127.0.0.1/", ["--count", "0"]),
        ("http://127.0.0.1/", ["--rate", "0/s"]),
        ("http://127.0.0.1/", ["--header", "nothing"]),
        ("http://127.0.0.1/", ["--assert-status", "200"]),
        ("http://127.0.0.1/", ["--data", "@/nowhere/at/all"]),
    ] {
        let ended = bench(url, &words).await?;
        assert_eq!(ended.code(), 2, "{url} {words:?}: {}", ended.stderr);
    }
    Ok(())
}

mod real {
    use super::*;

    use seaworthy_testkit::server::Redis;

    #[tokio::test]
    async fn harvesters_hundred_and_five_are_counted_in_redis() -> Result<()> {
        for refill in ["interval", "continuous"] {
            let redis = Redis::start().await?;
            let builder = Seaworthy::build().flag("--preset").flag("harvester");
            let builder = builder.env("REDIS_URL", redis.url());
            let builder = builder
                .set("redis.timeout", "1s")
                .set("limits.refill", refill);
            let front = Front::lonely(builder).await?;
            let url = echo(&front);
            if refill == "interval" {
                hundred_and_five(&url).await?;
                continue;
            }
            // Tokens come back while this runs: 100 and one for each 0.6 s.
            let ended = bench(&url, &["--count", "105", "--json"]).await?;
            let shown: Value = serde_json::from_str(&ended.stdout)?;
            let passed = shown["status"]["200"].as_f64().unwrap_or_default();
            let seconds = shown["seconds"].as_f64().unwrap_or_default();
            assert!(
                passed >= 100.0 && passed <= 101.0 + seconds / 0.6,
                "{shown}"
            );
            let first = &shown["runs"][0];
            assert_eq!(first["status"], 200, "{shown}");
            assert!(first["count"].as_u64() >= Some(100), "{shown}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_redis_that_stops_under_load_costs_no_answer_and_no_field() -> Result<()> {
        let mut redis = Redis::start().await?;
        let builder = Seaworthy::build().flag("--preset").flag("harvester");
        let builder = builder.env("REDIS_URL", redis.url());
        let front = Front::lonely(builder).await?;
        let url = echo(&front);
        let words = [
            "--duration",
            "2s",
            "--conc",
            "4",
            "--assert-status",
            "5xx=0",
        ];
        let fields = FIELDS[..3]
            .iter()
            .flat_map(|field| ["--assert-header", field]);
        let words: Vec<&str> = words.into_iter().chain(fields).collect();
        let load = bench(&url, &words);
        let stop = async {
            // Once the load is under way: what it asks has reached Redis.
            seaworthy_testkit::wait::until(
                "a bucket",
                seaworthy_testkit::wait::PATIENCE,
                async || {
                    let keys = redis.command(&["DBSIZE"]).await.ok()?;
                    (keys.trim() != "0").then_some(())
                },
            )
            .await?;
            redis.stop().await
        };
        let (ended, stopped) = tokio::join!(load, stop);
        stopped?;
        let ended = ended?;
        assert_eq!(ended.code(), 0, "{}{}", ended.stdout, ended.stderr);
        Ok(())
    }
}
