//! Rate limits: how many pass, what is said, and what becomes of it when Redis is lost.

use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::wait::{self, PATIENCE};

use crate::front::Front;

/// A hundred tokens that never come back: what passes does not depend on how fast the test is.
const HUNDRED: &str = "limits: {tiers: {anonymous: {capacity: 100, refill_per_sec: 0}}";

/// `times` requests over one connection; the answers.
pub(crate) async fn ask(
    front: &Front,
    fields: &[(&str, &str)],
    times: usize,
) -> Result<Vec<Response>> {
    ask_for(front, "/echo", fields, times).await
}

async fn ask_for(
    front: &Front,
    path: &str,
    fields: &[(&str, &str)],
    times: usize,
) -> Result<Vec<Response>> {
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    let mut all = vec![("Host", "test")];
    all.extend(fields);
    let mut answers = Vec::new();
    for _ in 0..times {
        answers.push(connection.ask("GET", path, &all, b"").await?);
    }
    Ok(answers)
}

pub(crate) fn passed(answers: &[Response]) -> usize {
    answers.iter().filter(|answer| answer.status == 200).count()
}

fn scopes(answer: &Response) -> Result<Vec<String>> {
    let scopes = answer.json()?["error"]["details"]["scopes"].clone();
    Ok(serde_json::from_value(scopes)?)
}

async fn metric(front: &Front, series: &str) -> Result<f64> {
    let page = front.seaworthy.look("/metrics").await?.text();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = line.ok_or_else(|| anyhow::anyhow!("no {series} in\n{page}"))?;
    Ok(value.parse()?)
}

async fn fallback(front: &Front, active: f64) -> Result<()> {
    wait::until(
        "rate_limiter_fallback_active to change",
        PATIENCE,
        async || {
            let shown = metric(front, "rate_limiter_fallback_active").await.ok()?;
            (shown == active).then_some(())
        },
    )
    .await
}

fn harvester() -> Builder {
    Seaworthy::build().flag("--preset").flag("harvester")
}

#[tokio::test]
async fn of_a_hundred_and_five_requests_five_are_refused() -> Result<()> {
    let front = Front::lonely(harvester()).await?;
    let answers = ask(&front, &[], 105).await?;
    assert_eq!(passed(&answers[..100]), 100);
    for (place, answer) in answers.iter().enumerate() {
        assert_eq!(answer.header("x-ratelimit-limit"), Some("100"));
        let left = 99_usize.saturating_sub(place).to_string();
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(&*left));
        let reset: u64 = answer
            .header("x-ratelimit-reset")
            .unwrap_or_default()
            .parse()?;
        assert!(reset > 1_700_000_000, "seconds since 1970");
        let policy = answer.header("ratelimit-policy");
        assert_eq!(policy, Some("\"anonymous\";q=100;w=60"));
    }
    for answer in &answers[100..] {
        assert_eq!(answer.status, 429);
        assert_eq!(answer.error_type().as_deref(), Some("RateLimitExceeded"));
        let wait: u64 = answer.header("retry-after").unwrap_or_default().parse()?;
        assert!((1..=60).contains(&wait), "{wait}");
        let details = &answer.json()?["error"]["details"];
        assert_eq!(details["limit"], 100);
        let millis = details["retry_after_ms"].as_u64().unwrap_or_default();
        assert_eq!(millis.div_ceil(1_000), wait);
        assert_eq!(scopes(answer)?, ["anonymous"]);
    }
    let shown = async |name: &str| metric(&front, name).await;
    assert_eq!(
        shown("rate_limiter_requests_total{tier=\"anonymous\"}").await?,
        105.0
    );
    let denials = "rate_limiter_denials_total{tier=\"anonymous\",mode=\"reject\"}";
    assert_eq!(shown(denials).await?, 5.0);
    assert_eq!(
        shown("rate_limiter_buckets_active{tier=\"anonymous\"}").await?,
        1.0
    );
    Ok(())
}

#[tokio::test]
async fn the_sixth_of_five_comes_back_in_a_second() -> Result<()> {
    let yaml = "limits: {tiers: {anonymous: {capacity: 5, refill_per_sec: 1}}}";
    let front = Front::configured(yaml).await?;
    let answers = ask(&front, &[], 6).await?;
    assert_eq!(passed(&answers[..5]), 5);
    let last = &answers[5];
    assert_eq!((last.status, last.header("retry-after")), (429, Some("1")));
    let millis = last.json()?["error"]["details"]["retry_after_ms"].as_u64();
    tokio::time::sleep(Duration::from_millis(millis.unwrap_or_default())).await;
    assert_eq!(passed(&ask(&front, &[], 1).await?), 1);
    Ok(())
}

#[tokio::test]
async fn a_user_has_one_bucket_wherever_he_comes_from() -> Result<()> {
    let front = Front::lonely(Seaworthy::build().flag("--preset").flag("house")).await?;
    let of = |address: &'static str, user: &'static str| {
        [("X-Forwarded-For", address), ("X-User-ID", user)]
    };
    let first = ask_for(&front, "/api/users", &of("203.0.113.1", "1"), 55).await?;
    let second = ask_for(&front, "/api/users", &of("203.0.113.2", "1"), 55).await?;
    assert!(first.iter().all(|answer| answer.status != 429));
    let refused = second.iter().filter(|answer| answer.status == 429);
    let refused: Vec<_> = refused.collect();
    assert!((8..=10).contains(&refused.len()), "{}", refused.len());
    for answer in refused {
        assert_eq!(scopes(answer)?, ["user"]);
    }
    let other = ask_for(&front, "/api/users", &of("203.0.113.2", "2"), 1).await?;
    assert_ne!(other[0].status, 429, "another user");
    Ok(())
}

#[tokio::test]
async fn who_is_not_a_trusted_proxy_names_no_users() -> Result<()> {
    let yaml = "limits: {users: {key: 'header:X-User-ID', capacity: 1, refill_per_sec: 0}}\nlisten: {trusted_proxies: []}";
    let front = Front::configured(yaml).await?;
    let answers = ask(&front, &[("X-User-ID", "1")], 5).await?;
    assert_eq!(passed(&answers), 5);
    assert_eq!(
        metric(&front, "rate_limiter_buckets_active{tier=\"user\"}").await?,
        0.0
    );
    Ok(())
}

#[tokio::test]
async fn spoofed_addresses_of_a_stranger_share_his_bucket() -> Result<()> {
    let yaml = format!("{HUNDRED}}}\nlisten: {{trusted_proxies: []}}");
    let front = Front::configured(&yaml).await?;
    let mut all = 0;
    for turn in 0..150 {
        let spoofed = format!("198.51.100.{turn}");
        all += passed(&ask(&front, &[("X-Forwarded-For", &spoofed)], 1).await?);
    }
    assert_eq!(all, 100);
    Ok(())
}

#[tokio::test]
async fn observing_lets_everybody_pass_and_counts() -> Result<()> {
    let yaml = format!("{HUNDRED}, action: observe}}");
    let front = Front::configured(&yaml).await?;
    assert_eq!(passed(&ask(&front, &[], 103).await?), 103);
    let observed = "rate_limiter_denials_total{tier=\"anonymous\",mode=\"observe\"}";
    assert_eq!(metric(&front, observed).await?, 3.0);
    Ok(())
}

#[tokio::test]
async fn nothing_of_zero_fails_and_what_makes_no_sense_is_refused() -> Result<()> {
    let yaml = "limits: {tiers: {anonymous: {capacity: 1, refill_per_sec: 0}}}";
    let front = Front::configured(yaml).await?;
    let answers = ask(&front, &[], 2).await?;
    assert_eq!((answers[0].status, answers[1].status), (200, 429));
    assert_eq!(
        answers[1].header("retry-after"),
        None,
        "it never comes back"
    );
    for (setting, told) in [
        ("limits.tiers.anonymous=5/0s", "no time at all"),
        ("limits.tiers.premium=5/min", "anonymous"),
        ("limits.tiers.anonymous=lots", "not a rate"),
        ("limits.candidate.nobody=5/min", "no limit of that name"),
    ] {
        let words = ["config", "--set", setting, "validate"];
        let ended = Seaworthy::verb(words).await?;
        assert_eq!(ended.code(), 2, "{setting}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{setting}: {}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn routes_have_limits_of_their_own_or_none() -> Result<()> {
    let yaml = "limits: {tiers: {anonymous: 1000/min}, refill: interval, policies: [{name: login, match: [/status/200], limit: 3/min, key: [address]}]}\n\
                routes: [{match: /echo, limit: 2/min}, {match: /status/200}, {match: /bytes/1, limit: unlimited}, {match: /bytes/2, cost: 500}]";
    let yaml = yaml.replace("refill: interval, ", "");
    let front = Front::configured(&yaml).await?;
    assert_eq!(passed(&ask(&front, &[], 4).await?), 2);
    let login = ask_for(&front, "/status/200", &[], 5).await?;
    assert_eq!(passed(&login), 3);
    assert_eq!(scopes(&login[4])?, ["login"]);
    let free = ask_for(&front, "/bytes/1", &[], 20).await?;
    assert_eq!(passed(&free), 20);
    assert!(free[0].header("x-ratelimit-limit").is_none());
    // Two and three of the thousand are gone, and no more: refusals cost nothing.
    let dear = ask_for(&front, "/bytes/2", &[], 3).await?;
    assert_eq!(passed(&dear), 1, "500 of 995");
    Ok(())
}

#[tokio::test]
async fn limits_are_shown_and_a_callers_begin_anew_by_hand() -> Result<()> {
    let front = Front::configured(&format!("{HUNDRED}}}")).await?;
    assert_eq!(passed(&ask(&front, &[], 101).await?), 100);
    let state = front.seaworthy.state_dir();
    let state = state.to_str().unwrap_or_default();
    let ended = Seaworthy::verb(["ctl", "limits", "--json", "--state-dir", state]).await?;
    let shown: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    let limit = &shown["limits"][0];
    assert_eq!(
        (limit["name"].as_str(), limit["rejected"].as_u64()),
        (Some("anonymous"), Some(1))
    );
    assert_eq!(shown["store"], "memory");
    let words = ["ctl", "limits", "reset", "127.0.0.1", "--state-dir", state];
    assert_eq!(Seaworthy::verb(words).await?.code(), 0);
    assert_eq!(passed(&ask(&front, &[], 101).await?), 100);
    let host = [("Host", "localhost")];
    let admin = front.seaworthy.admin()?;
    let refused = client::send(admin, "DELETE", "/-/limits/127.0.0.1", &host, b"").await?;
    assert_eq!(refused.status, 401, "changing needs the token");
    Ok(())
}

#[tokio::test]
async fn without_redis_each_instance_gives_the_whole_limit() -> Result<()> {
    for _ in 0..2 {
        let front = Front::configured(&format!("{HUNDRED}}}")).await?;
        assert_eq!(passed(&ask(&front, &[], 105).await?), 100);
    }
    Ok(())
}

mod real {
    use super::*;

    use seaworthy_testkit::load::Load;
    use seaworthy_testkit::server::Redis;

    /// Two instances before one Redis, and what else `limits` says.
    async fn two(redis: &Redis, limits: &str) -> Result<[Front; 2]> {
        let yaml = format!(
            "{HUNDRED}, store: redis, replicas: 2{limits}}}\nredis: {{url: '{}', timeout: 1s}}",
            redis.url()
        );
        pair(&yaml).await
    }

    async fn pair(yaml: &str) -> Result<[Front; 2]> {
        Ok([
            Front::configured(yaml).await?,
            Front::configured(yaml).await?,
        ])
    }

    async fn calls(redis: &Redis, command: &str) -> Result<u64> {
        let stats = redis.command(&["INFO", "commandstats"]).await?;
        let start = format!("cmdstat_{command}:calls=");
        let line = stats.lines().find_map(|line| line.strip_prefix(&*start));
        let calls = line.and_then(|line| line.split(',').next());
        Ok(calls.map_or(Ok(0), str::parse)?)
    }

    #[tokio::test]
    async fn two_instances_share_and_redis_is_asked_once_for_each_request() -> Result<()> {
        let redis = Redis::start().await?;
        let [one, two] = two(&redis, "").await?;
        assert_eq!(passed(&ask(&one, &[], 60).await?), 60);
        assert_eq!(passed(&ask(&two, &[], 60).await?), 40);
        assert_eq!(calls(&redis, "evalsha").await?, 120);
        assert_eq!(calls(&redis, "eval").await?, 0);
        let keys = redis.command(&["KEYS", "*"]).await?;
        let hash = "12ca17b49af2289436f303e0166030a21e525d266e209267433801a8fd4071a0";
        assert_eq!(keys.trim(), format!("rate_limit:{hash}:anonymous"));
        let ttl: i64 = redis.command(&["TTL", keys.trim()]).await?.trim().parse()?;
        assert!(ttl > 0, "{ttl}");
        let clients = redis.command(&["CLIENT", "LIST"]).await?;
        let ours = clients
            .lines()
            .filter(|line| line.contains("name=seaworthy"));
        assert!((1..=16).contains(&ours.count()), "{clients}");
        Ok(())
    }

    #[tokio::test]
    async fn four_hundred_at_once_give_exactly_a_hundred() -> Result<()> {
        let redis = Redis::start().await?;
        let fronts = two(&redis, "").await?;
        let load = |front: &Front| {
            let load = Load::new(front.seaworthy.public()).path("/echo");
            load.connections(50).count(200).run()
        };
        let (one, two) = tokio::try_join!(load(&fronts[0]), load(&fronts[1]))?;
        assert_eq!(one.total() + two.total(), 400);
        assert_eq!(one.status(200) + two.status(200), 100, "{one:?} {two:?}");
        assert_eq!(one.status(429) + two.status(429), 300);
        Ok(())
    }

    #[tokio::test]
    async fn the_keys_of_a_minute_live_as_long_as_they_matter() -> Result<()> {
        let redis = Redis::start().await?;
        let yaml = format!(
            "limits: {{tiers: {{anonymous: 100/min}}, store: redis}}\nredis: {{url: '{}'}}",
            redis.url()
        );
        let front = Front::configured(&yaml).await?;
        ask(&front, &[], 50).await?;
        let keys = redis.command(&["KEYS", "*"]).await?;
        let ttl: i64 = redis.command(&["TTL", keys.trim()]).await?.trim().parse()?;
        assert!((1..=70).contains(&ttl), "{ttl}");
        Ok(())
    }

    #[tokio::test]
    async fn two_routes_have_buckets_of_their_own_in_redis_too() -> Result<()> {
        let redis = Redis::start().await?;
        let yaml = format!(
            "limits: {{store: redis}}\nroutes: [{{match: /echo, limit: 2/min}}, {{match: 'GET /status/:code', limit: 3/min}}]\nredis: {{url: '{}', timeout: 1s}}",
            redis.url()
        );
        let front = Front::configured(&yaml).await?;
        assert_eq!(passed(&ask(&front, &[], 4).await?), 2);
        assert_eq!(
            passed(&ask_for(&front, "/status/200", &[], 4).await?),
            3,
            "what the other route gave is not missing here"
        );
        let keys = redis.command(&["KEYS", "*"]).await?;
        let mut names: Vec<&str> = keys
            .lines()
            .filter_map(|key| key.splitn(3, ':').nth(2))
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["route:/echo", "route:GET /status/:code"], "{keys}");
        Ok(())
    }

    #[tokio::test]
    async fn a_redis_that_is_killed_under_load_costs_nobody_an_error() -> Result<()> {
        let mut redis = Redis::start().await?;
        let fronts = two(&redis, "").await?;
        let load = |front: &Front| {
            Load::new(front.seaworthy.public())
                .path("/echo")
                .connections(8)
        };
        let running = [load(&fronts[0]).start(), load(&fronts[1]).start()];
        let answered = |more: u64| {
            let running = &running;
            async move {
                for one in running {
                    let goal = one.answered() + more;
                    wait::until("more answers", PATIENCE, || {
                        std::future::ready((one.answered() >= goal).then_some(()))
                    })
                    .await?;
                }
                Ok::<(), anyhow::Error>(())
            }
        };
        answered(200).await?;
        for _ in 0..2 {
            redis.stop().await?;
            answered(500).await?;
            for front in &fronts {
                fallback(front, 1.0).await?;
                let answers = ask(front, &[("X-Other", "1")], 1).await?;
                assert_eq!(answers[0].header("x-ratelimit-limit"), Some("100"));
                assert_eq!(answers[0].header("x-fallback"), Some("rate_limit=local"));
            }
            redis.start().await?;
            for front in &fronts {
                fallback(front, 0.0).await?;
            }
            answered(200).await?;
        }
        let mut admitted = 0;
        for one in running {
            let report = one.stop().await?;
            assert_eq!(report.refused + report.cut, 0, "{report:?}");
            admitted += report.status(200);
            let refused = report.status(429);
            assert_eq!(report.status(200) + refused, report.total(), "{report:?}");
        }
        // Limit times (1 + 1/instances), and what was on its way when it was killed.
        assert!((100..=152).contains(&admitted), "{admitted}");
        Ok(())
    }

    #[tokio::test]
    async fn a_redis_that_is_frozen_is_left_alone_and_asked_again_when_it_moves() -> Result<()> {
        let redis = Redis::start().await?;
        let yaml = format!(
            "{HUNDRED}, store: redis, replicas: 2}}\nredis: {{url: '{}', timeout: 50ms}}",
            redis.url()
        );
        let front = Front::configured(&yaml).await?;
        assert_eq!(passed(&ask(&front, &[], 20).await?), 20);
        redis.pause().await?;
        // Twenty of this instance's fifty are spent.
        assert_eq!(passed(&ask(&front, &[], 60).await?), 30);
        fallback(&front, 1.0).await?;
        redis.resume()?;
        fallback(&front, 0.0).await?;
        // What was spent meanwhile is told, so there is no second helping.
        let after = passed(&ask(&front, &[], 80).await?);
        assert!((44..=50).contains(&after), "{after}");
        Ok(())
    }

    #[tokio::test]
    async fn a_login_that_must_be_counted_is_closed_while_redis_is_away() -> Result<()> {
        let mut redis = Redis::start().await?;
        let policies =
            "policies: [{name: login, match: [/status/200], limit: 5/min, on_store_error: deny}]";
        let yaml = format!(
            "limits: {{store: redis, {policies}}}\nroutes: [{{match: /status/200}}]\nredis: {{url: '{}'}}",
            redis.url()
        );
        let front = Front::configured(&yaml).await?;
        assert_eq!(ask_for(&front, "/status/200", &[], 1).await?[0].status, 200);
        redis.stop().await?;
        let closed = ask_for(&front, "/status/200", &[], 1).await?;
        assert_eq!(
            closed[0].error_type().as_deref(),
            Some("RateLimiterUnavailable")
        );
        assert_eq!(closed[0].status, 503);
        assert_eq!(closed[0].header("x-fallback"), Some("rate_limit=none"));
        assert_eq!(passed(&ask(&front, &[], 1).await?), 1, "others pass");
        Ok(())
    }

    #[tokio::test]
    async fn a_lease_costs_a_few_questions_for_many_requests() -> Result<()> {
        let redis = Redis::start().await?;
        let yaml = format!(
            "limits: {{tiers: {{anonymous: {{capacity: 10000, refill_per_sec: 0}}}}, store: redis, lease: true}}\nredis: {{url: '{}', timeout: 1s}}",
            redis.url()
        );
        let front = Front::configured(&yaml).await?;
        let load = Load::new(front.seaworthy.public()).path("/echo");
        let report = load.connections(8).count(3_000).run().await?;
        assert_eq!(report.status(200), 3_000, "{report:?}");
        let asked = calls(&redis, "evalsha").await?;
        assert!(asked < 300, "{asked} questions for 3000 requests");
        Ok(())
    }

    #[tokio::test]
    async fn one_section_says_where_redis_is_for_limits_and_checks_alike() -> Result<()> {
        let redis = Redis::build().password("sesame").start().await?;
        let yaml = format!(
            "{HUNDRED}, store: redis}}\nhealth: {{checks: [{{kind: redis, name: redis}}]}}\nredis: {{url: 'redis://{}', password: sesame}}",
            redis.address()
        );
        let front = Front::configured(&yaml).await?;
        assert_eq!(passed(&ask(&front, &[], 105).await?), 100);
        assert!(calls(&redis, "evalsha").await? >= 105);
        let shown = front.seaworthy.look("/health").await?.text();
        assert!(shown.contains("it answers PING"), "{shown}");
        let shown = front.seaworthy.look("/-/limits").await?;
        assert!(!shown.text().contains("sesame"));
        Ok(())
    }

    #[tokio::test]
    async fn a_user_of_redis_needs_no_more_rights_than_the_manual_says() -> Result<()> {
        let rights = [
            "--user",
            "limiter",
            "on",
            ">sesame",
            "resetchannels",
            "~rate_limit:*",
            "-@all",
            "+ping",
            "+client|setname",
            "+script|load",
            "+eval",
            "+evalsha",
            "+time",
            "+get",
            "+set",
        ];
        let manual = include_str!("../../../../docs/limits.md");
        assert!(
            manual.contains(&rights[4..].join(" ")),
            "docs/limits.md says others"
        );
        let redis = Redis::build()
            .words(&rights)
            .words(&["--user", "default", "off"])
            .start()
            .await?;
        let yaml = format!(
            "{HUNDRED}, store: redis}}\nredis: {{url: 'redis://limiter:sesame@{}'}}",
            redis.address()
        );
        let fronts = pair(&yaml).await?;
        assert_eq!(passed(&ask(&fronts[0], &[], 60).await?), 60);
        assert_eq!(passed(&ask(&fronts[1], &[], 60).await?), 40);
        Ok(())
    }

    #[tokio::test]
    async fn a_node_of_a_cluster_keeps_every_bucket_of_a_request() -> Result<()> {
        let redis = Redis::build()
            .words(&["--cluster-enabled", "yes"])
            .start()
            .await?;
        redis
            .command(&["cluster", "addslotsrange", "0", "16383"])
            .await?;
        let up = || async {
            let info = redis.command(&["cluster", "info"]).await.ok()?;
            info.contains("cluster_state:ok").then_some(())
        };
        wait::until("the cluster", PATIENCE, up).await?;
        let more = ", users: {capacity: 90, refill_per_sec: 0.01}";
        let yaml = format!(
            "{HUNDRED}{more}, store: redis}}\nredis: {{url: '{}'}}\nlisten: {{trusted_proxies: [127.0.0.1]}}\nauth: {{user_header: X-User-ID}}",
            redis.url()
        );
        let fronts = pair(&yaml).await?;
        let user = [("X-User-ID", "ada")];
        assert_eq!(passed(&ask(&fronts[0], &user, 60).await?), 60);
        assert_eq!(passed(&ask(&fronts[1], &user, 60).await?), 30);
        assert!(
            calls(&redis, "evalsha").await? >= 180,
            "two buckets a request"
        );
        Ok(())
    }

    #[tokio::test]
    async fn redis_may_speak_tls_with_a_certificate_of_its_own() -> Result<()> {
        let redis = Redis::build().tls().start().await?;
        let yaml = format!(
            "{HUNDRED}, store: redis}}\nredis: {{url: '{}', timeout: 1s, tls: {{ca: '{}'}}}}",
            redis.url(),
            redis.ca().display()
        );
        let fronts = pair(&yaml).await?;
        assert_eq!(passed(&ask(&fronts[0], &[], 60).await?), 60);
        assert_eq!(passed(&ask(&fronts[1], &[], 60).await?), 40);
        Ok(())
    }
}
