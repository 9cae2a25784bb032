//! Bans and abuse flags, as the preset `house` has them and by hand.

use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::Value;

use crate::front::Front;

fn house() -> Builder {
    Seaworthy::build().flag("--preset").flag("house")
}

/// `times` requests of one client, as a trusted proxy forwards them; the statuses.
async fn ask(front: &Front, client: &str, path: &str, times: usize) -> Result<Vec<Response>> {
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    let fields = [("Host", "test"), ("X-Forwarded-For", client)];
    let mut answers = Vec::new();
    for _ in 0..times {
        answers.push(connection.ask("GET", path, &fields, b"").await?);
    }
    Ok(answers)
}

fn statuses(answers: &[Response]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

async fn verb(front: &Front, words: &[&str]) -> Result<seaworthy_testkit::process::Ended> {
    let state = front.seaworthy.state_dir();
    let mut all: Vec<&str> = words.to_vec();
    all.extend(["--json", "--state-dir", state.to_str().unwrap_or_default()]);
    Seaworthy::verb(all).await
}

#[tokio::test]
async fn the_hundred_and_first_request_of_an_address_is_blocked_for_fifteen_minutes() -> Result<()>
{
    let front = Front::lonely(house()).await?;
    let answers = ask(&front, "203.0.113.7", "/status/404", 101).await?;
    let seen = statuses(&answers);
    assert!(seen[..100].iter().all(|status| *status == 404), "{seen:?}");
    let last = &answers[100];
    assert_eq!(
        (last.status, last.error_type().as_deref()),
        (429, Some("IpBlocked"))
    );
    let left: u64 = last.header("retry-after").unwrap_or_default().parse()?;
    assert!((880..=900).contains(&left), "{left}");
    assert_eq!(last.json()?["error"]["details"]["scopes"][0], "ip");
    let other = ask(&front, "203.0.113.8", "/echo", 1).await?;
    assert_eq!(other[0].status, 200);

    let shown = client::get(front.seaworthy.public(), "/health/security")
        .await?
        .json()?;
    assert_eq!(shown["blocked_ips"][0]["address"], "203.0.113.7");
    assert!(shown["blocked_ips"][0]["expires_at"].is_string());
    let ended = verb(&front, &["ctl", "unblock", "203.0.113.7"]).await?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ask(&front, "203.0.113.7", "/echo", 1).await?[0].status, 200);
    let again = verb(&front, &["ctl", "unban", "203.0.113.7"]).await?;
    assert_eq!(again.code(), 1, "{}", again.stderr);
    assert!(again.stderr.contains("is not blocked"), "{}", again.stderr);
    Ok(())
}

#[tokio::test]
async fn probes_are_never_counted_and_never_blocked() -> Result<()> {
    let front = Front::lonely(house()).await?;
    let probes = ask(&front, "203.0.113.7", "/health/live", 300).await?;
    assert!(probes.iter().all(|answer| answer.status == 200));
    let seen = statuses(&ask(&front, "203.0.113.7", "/echo", 101).await?);
    assert_eq!(seen.iter().filter(|status| **status == 200).count(), 100);
    assert_eq!(seen[100], 429);
    assert_eq!(
        ask(&front, "203.0.113.7", "/health/live", 1).await?[0].status,
        200
    );
    Ok(())
}

#[tokio::test]
async fn strangers_cannot_choose_their_address_nor_read_who_is_blocked() -> Result<()> {
    let front = Front::lonely(house().set("listen.trusted_proxies", "[]")).await?;
    let mut blocked = 0;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    for number in 0..150 {
        let claimed = format!("203.0.113.{number}");
        let fields = [("Host", "test"), ("X-Forwarded-For", claimed.as_str())];
        let answer = connection.ask("GET", "/echo", &fields, b"").await?;
        blocked += usize::from(answer.status == 429);
    }
    assert_eq!(blocked, 50, "all are one client");
    let fields = [("Host", "test"), ("X-Forwarded-For", "203.0.113.1")];
    let seen = connection
        .ask("GET", "/health/security", &fields, b"")
        .await?;
    assert_eq!(
        seen.status, 404,
        "whoever forwards is not this machine itself"
    );
    Ok(())
}

#[tokio::test]
async fn one_prefix_of_ipv6_is_one_client_and_different_ones_are_many() -> Result<()> {
    let front = Front::lonely(house()).await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    let mut refused = (0, 0);
    for number in 0..256 {
        let (host, network) = (
            format!("2001:db8::{number:x}"),
            format!("2001:db9:0:{number:x}::1"),
        );
        for (client, count) in [(host, &mut refused.0), (network, &mut refused.1)] {
            let fields = [("Host", "test"), ("X-Forwarded-For", client.as_str())];
            let answer = connection.ask("GET", "/echo", &fields, b"").await?;
            *count += usize::from(answer.status == 429);
        }
    }
    assert_eq!(refused, (156, 0));
    Ok(())
}

#[tokio::test]
async fn a_block_ends_by_itself_and_time_can_run_faster_for_a_test() -> Result<()> {
    let fast = house()
        .set("bans.threshold", "10")
        .flag("--allow-time-scale")
        .env("SEAWORTHY_TIME_SCALE", 300);
    let front = Front::lonely(fast).await?;
    // A minute lasts a fifth of a second, which a slow machine needs for some requests as well: hence so few.
    let blocked = wait::until("a block", PATIENCE, || async {
        let answers = ask(&front, "203.0.113.7", "/echo", 11).await.ok()?;
        answers
            .iter()
            .any(|answer| answer.status == 429)
            .then_some(())
    });
    blocked.await?;
    wait::until("the end of the block", PATIENCE, || async {
        let answers = ask(&front, "203.0.113.7", "/echo", 1).await.ok()?;
        (answers[0].status == 200).then_some(())
    })
    .await?;
    let refused = house()
        .env("SEAWORTHY_TIME_SCALE", 60)
        .connect(front.seaworthy.public());
    let ended = refused.end(PATIENCE).await?;
    assert_eq!(ended.code(), 2);
    assert!(
        ended.stderr.contains("--allow-time-scale"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[tokio::test]
async fn bans_by_hand_need_no_section_and_outlive_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let build = || {
        Seaworthy::build()
            .set("listen.trusted_proxies", "[loopback]")
            .state(&state)
    };
    let mut front = Front::with(build()).await?;
    assert_eq!(
        ask(&front, "198.51.100.9", "/echo", 1).await?[0].status,
        200
    );
    let words = [
        "ctl",
        "ban",
        "198.51.100.0/24",
        "--for",
        "1h",
        "--reason",
        "a scan",
    ];
    let ended = verb(&front, &words).await?;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    verb(&front, &["ctl", "ban", "203.0.113.5"]).await?;
    assert_eq!(
        ask(&front, "198.51.100.9", "/echo", 1).await?[0].status,
        429
    );
    assert_eq!(front.seaworthy.metric("seaworthy_bans_active").await?, 2.0);
    let file = state.join("bans.json");
    wait::until("the file", PATIENCE, || async {
        let text = std::fs::read_to_string(&file).ok()?;
        text.contains("203.0.113.5").then_some(())
    })
    .await?;
    assert_eq!(front.seaworthy.stop(PATIENCE).await?, 0);

    let front = Front::with(build()).await?;
    wait::until("the bans of the last life", PATIENCE, || async {
        let answers = ask(&front, "198.51.100.9", "/echo", 1).await.ok()?;
        (answers[0].status == 429).then_some(())
    })
    .await?;
    let ended = verb(&front, &["ctl", "bans"]).await?;
    let shown: Value = serde_json::from_str(&ended.stdout)?;
    let reasons: Vec<&str> = shown["bans"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|ban| ban["reason"].as_str())
        .collect();
    assert!(reasons.contains(&"a scan"), "{shown}");
    assert!(
        shown["bans"][0]["seconds_left"].as_u64() > Some(800),
        "{shown}"
    );
    Ok(())
}

#[tokio::test]
async fn fifty_events_flag_a_user_and_block_nobody() -> Result<()> {
    let front = Front::lonely(house().set("bans.threshold", 1000)).await?;
    ask(&front, "203.0.113.7", "/echo", 49).await?;
    let flags = front.seaworthy.look("/-/abuse").await?.json()?;
    assert_eq!(flags["flags"], serde_json::json!([]));
    ask(&front, "203.0.113.7", "/echo", 1).await?;
    let flags = front.seaworthy.look("/-/abuse").await?.json()?;
    assert_eq!(flags["flags"][0]["caller"], "203.0.113.7", "{flags}");
    assert_eq!(flags["flags"][0]["kind"], "client");
    let after = ask(&front, "203.0.113.7", "/echo", 10).await?;
    assert!(after.iter().all(|answer| answer.status == 200));
    let flagged = front.seaworthy.wait_event("abuse.flagged").await?;
    assert!(
        flagged["message"].to_string().contains("50 events"),
        "{flagged}"
    );

    let reason = ["ctl", "abuse", "flag", "mallory", "--reason", "he told us"];
    assert_eq!(verb(&front, &reason).await?.code(), 0);
    let shown = client::get(front.seaworthy.public(), "/health/security")
        .await?
        .json()?;
    let reasons = shown["abuse_flags"].to_string();
    assert!(
        reasons.contains("he told us") && reasons.contains("mallory"),
        "{shown}"
    );
    assert_eq!(
        verb(&front, &["ctl", "abuse", "clear", "mallory"])
            .await?
            .code(),
        0
    );
    assert_eq!(
        verb(&front, &["ctl", "abuse", "clear", "mallory"])
            .await?
            .code(),
        1
    );
    Ok(())
}

#[tokio::test]
async fn scanners_are_flagged_and_refused_where_the_file_says_so() -> Result<()> {
    let yaml =
        "listen: {trusted_proxies: [loopback]}\nabuse: {threshold: 3, block: true, keep: 1h}\n";
    let front = Front::configured(yaml).await?;
    for path in ["/.env", "/wp-login.php", "/.git/config"] {
        assert_ne!(
            ask(&front, "203.0.113.7", path, 1).await?[0].status,
            429,
            "{path}"
        );
    }
    let refused = ask(&front, "203.0.113.7", "/echo", 1).await?;
    assert_eq!(refused[0].error_type().as_deref(), Some("AbuseDetected"));
    assert!(refused[0].header("retry-after").is_some());
    assert_eq!(ask(&front, "203.0.113.8", "/echo", 1).await?[0].status, 200);
    assert_eq!(front.seaworthy.metric("seaworthy_abuse_flags").await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn where_addresses_are_hashed_operators_still_let_them_in() -> Result<()> {
    let yaml =
        "listen: {trusted_proxies: [loopback]}\nbans: {threshold: 5}\nsecurity: {reveal: hash}\n";
    let front = Front::configured(yaml).await?;
    ask(&front, "203.0.113.7", "/echo", 6).await?;
    let bans = front.seaworthy.look("/-/bans").await?.json()?;
    let shown = bans["bans"][0]["address"].as_str().unwrap_or_default();
    assert_eq!(shown.len(), 64, "{bans}");
    let metrics = front.seaworthy.look("/metrics").await?.text();
    assert!(!metrics.contains("203.0.113.7"));
    front.seaworthy.wait_event("ban.set").await?;
    front.seaworthy.wait_event("request").await?;
    let log = front.seaworthy.output().stderr();
    assert!(!log.contains("203.0.113.7"), "{log}");
    assert_eq!(
        verb(&front, &["ctl", "unban", "203.0.113.7"]).await?.code(),
        0
    );
    assert_eq!(ask(&front, "203.0.113.7", "/echo", 1).await?[0].status, 200);
    Ok(())
}

#[tokio::test]
async fn senders_of_keys_of_exempt_tiers_are_not_counted_and_guessers_are() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let keys = folder.path().join("keys");
    std::fs::write(&keys, known(&[("k1", "premium"), ("k2", "basic")]).await?)?;
    let yaml = format!(
        "listen: {{trusted_proxies: [loopback]}}\nbans: {{threshold: 5}}\nauth: {{api_keys: {{file: '{}'}}}}\n",
        keys.display()
    );
    let front = Front::configured(&yaml).await?;
    let with = async |client: &str, key: &str, times: usize| -> Result<Vec<u16>> {
        let mut connection = Connection::open(front.seaworthy.public()).await?;
        let fields = [
            ("Host", "test"),
            ("X-Forwarded-For", client),
            ("X-API-Key", key),
        ];
        let mut answers = Vec::new();
        for _ in 0..times {
            answers.push(connection.ask("GET", "/echo", &fields, b"").await?.status);
        }
        Ok(answers)
    };
    let many = with("203.0.113.1", "k1", 50).await?;
    assert!(many.iter().all(|status| *status == 200), "{many:?}");
    for (client, key) in [("203.0.113.2", "k2"), ("203.0.113.3", "guess")] {
        let some = with(client, key, 6).await?;
        assert_eq!(some[5], 429, "{key}: {some:?}");
        assert!(some[..5].iter().all(|status| *status == 200), "{some:?}");
    }
    assert_eq!(
        with("203.0.113.3", "k1", 1).await?,
        [429],
        "a block is of the address"
    );
    Ok(())
}

/// The lines of a file of keys.
async fn known(keys: &[(&str, &str)]) -> Result<String> {
    let mut lines = String::new();
    for (key, tier) in keys {
        let script = format!("printf %s {key} | sha256sum");
        let mut shell = tokio::process::Command::new("sh");
        let hash = shell.args(["-c", &script]).output().await?;
        let hash = String::from_utf8(hash.stdout)?;
        let hash = hash.split_whitespace().next().unwrap_or_default();
        lines.push_str(&format!("{hash} {tier}\n"));
    }
    Ok(lines)
}

mod real {
    use super::*;

    use seaworthy_testkit::server::Redis;

    /// Two instances that share their bans.
    async fn two(redis: &Redis) -> Result<[Front; 2]> {
        let yaml = format!(
            "listen: {{trusted_proxies: [loopback]}}\nbans: {{threshold: 5, store: redis}}\nredis: {{url: '{}'}}\nsecurity: {{reveal: raw}}\n",
            redis.url()
        );
        Ok([
            Front::configured(&yaml).await?,
            Front::configured(&yaml).await?,
        ])
    }

    /// Waits until `client` is answered `status`; how long that took.
    async fn answered(front: &Front, client: &str, status: u16) -> Result<Duration> {
        let began = std::time::Instant::now();
        // The admin API is asked first: what is asked of the public listener counts.
        let waits = format!("{client} to be answered {status}");
        wait::until(&waits, PATIENCE, || async {
            let bans = front.seaworthy.look("/-/bans").await.ok()?.json().ok()?;
            let bans = bans["bans"].as_array()?;
            (bans.iter().any(|ban| ban["address"] == client) == (status == 429)).then_some(())
        })
        .await?;
        let took = began.elapsed();
        assert_eq!(ask(front, client, "/echo", 1).await?[0].status, status);
        Ok(took)
    }

    #[tokio::test]
    async fn a_ban_of_one_instance_holds_for_the_other_and_so_does_its_end() -> Result<()> {
        let redis = Redis::start().await?;
        let [one, two] = two(&redis).await?;
        assert_eq!(ask(&one, "203.0.113.7", "/echo", 6).await?[5].status, 429);
        let took = answered(&two, "203.0.113.7", 429).await?;
        println!("a ban was shared after {took:?}");
        let bans = two.seaworthy.look("/-/bans").await?.json()?;
        assert_eq!(bans["bans"][0]["reason"], "blocked by another instance");
        let left = bans["bans"][0]["seconds_left"].as_u64().unwrap_or_default();
        assert!((880..=900).contains(&left), "{bans}");
        let keys = redis.command(&["KEYS", "*"]).await?;
        assert_eq!(keys.trim(), "bans");
        let ttl: i64 = redis.command(&["TTL", "bans"]).await?.trim().parse()?;
        assert!((880..=960).contains(&ttl), "{ttl}");

        let ended = verb(&two, &["ctl", "unban", "203.0.113.7"]).await?;
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        answered(&one, "203.0.113.7", 200).await?;
        verb(&one, &["ctl", "ban", "198.51.100.0/24", "--for", "1h"]).await?;
        wait::until("the network to be shared", PATIENCE, || async {
            let bans = two.seaworthy.look("/-/bans").await.ok()?.text();
            bans.contains("198.51.100.0/24").then_some(())
        })
        .await?;
        assert_eq!(ask(&two, "198.51.100.9", "/echo", 1).await?[0].status, 429);
        Ok(())
    }

    #[tokio::test]
    async fn without_redis_each_goes_on_with_its_own_and_what_was_set_meanwhile_is_told()
    -> Result<()> {
        let mut redis = Redis::start().await?;
        let [one, two] = two(&redis).await?;
        verb(&one, &["ctl", "ban", "203.0.113.1"]).await?;
        answered(&two, "203.0.113.1", 429).await?;
        redis.stop().await?;
        for front in [&one, &two] {
            let lost = front.seaworthy.wait_event("ban.sharing").await?;
            assert!(lost.to_string().contains("this instance alone"), "{lost}");
        }
        assert_eq!(ask(&one, "203.0.113.2", "/echo", 6).await?[5].status, 429);
        assert_eq!(ask(&two, "203.0.113.1", "/echo", 1).await?[0].status, 429);
        assert_eq!(ask(&two, "203.0.113.2", "/echo", 1).await?[0].status, 200);
        redis.start().await?;
        answered(&two, "203.0.113.2", 429).await?;
        redis.command(&["FLUSHALL"]).await?;
        verb(&two, &["ctl", "ban", "203.0.113.3"]).await?;
        answered(&one, "203.0.113.3", 429).await?;
        for client in ["203.0.113.1", "203.0.113.2"] {
            answered(&one, client, 429).await?;
            answered(&two, client, 429).await?;
        }
        // Who learns that the store has forgotten tells it all again in the next exchange.
        let all = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
        wait::until("all three in the store", PATIENCE, || async {
            let held = redis.command(&["HKEYS", "bans"]).await.ok()?;
            all.iter().all(|client| held.contains(client)).then_some(())
        })
        .await
    }

    /// The loop of the seed, word for word but for the address.
    #[tokio::test]
    async fn the_loop_of_the_seed_ends_in_a_block_although_the_path_does_not_exist() -> Result<()> {
        let front = Front::lonely(house()).await?;
        let public = front.seaworthy.public();
        let script = format!(
            "for i in {{1..101}}; do curl -s -o /dev/null -w '%{{http_code}}\\n' http://{public}/api/health; done; \
             curl -s -o /dev/null -w '%{{http_code}}\\n' --interface 127.0.0.2 http://{public}/api/health"
        );
        let output = tokio::time::timeout(
            Duration::from_secs(60),
            tokio::process::Command::new("bash")
                .args(["-c", &script])
                .output(),
        )
        .await??;
        let text = String::from_utf8(output.stdout)?;
        let codes: Vec<&str> = text.lines().collect();
        assert_eq!(codes.len(), 102, "{text}");
        assert!(codes[..100].iter().all(|code| *code == "404"), "{text}");
        assert_eq!((codes[100], codes[101]), ("429", "404"));
        Ok(())
    }
}
