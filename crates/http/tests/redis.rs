//! The store that replicas share, on a real Redis. Each store is one replica.

#![cfg(feature = "redis")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use seaworthy_core::clock::Clock;
use seaworthy_core::quota::{Decision, Quota};
use seaworthy_http::exchange::Exchange;
use seaworthy_http::limit::redis::{Config, Redis, Target};
use seaworthy_http::limit::{
    Ask, Bucket, Keys, OnStoreError, Policy, PolicyConfig, Source, Store as _, Taking, Verdict, Who,
};
use seaworthy_testkit::Result;
use seaworthy_testkit::server;
use seaworthy_testkit::wait::{self, PATIENCE};

const MINUTE: Duration = Duration::from_secs(60);
/// Far more than the product's own 20 ms: this machine may be busy.
const BUDGET: Duration = Duration::from_secs(2);

/// One replica: a store, its policy and its clock.
struct Replica {
    store: Redis,
    policy: Arc<Policy>,
    keys: Keys,
    clock: Clock,
}

impl Replica {
    async fn start(
        redis: &server::Redis,
        quota: Quota,
        change: impl FnOnce(&mut Config, &mut PolicyConfig),
    ) -> Self {
        let address = redis.address();
        let mut config = Config::new(Target {
            host: address.ip().to_string(),
            port: address.port(),
            ..Target::default()
        });
        config.budget = BUDGET;
        let mut policy = PolicyConfig::new("anonymous", Some(quota));
        change(&mut config, &mut policy);
        let clock = config.clock;
        let store = Redis::new(config);
        store.attach(PATIENCE).await;
        Self {
            store,
            policy: Arc::new(Policy::new(policy)),
            keys: Keys::default(),
            clock,
        }
    }

    async fn ask(&self, who: &str, cost: u64) -> Verdict {
        let (exchange, headers) = (client(who), HeaderMap::new());
        let taking = self.store.take(&self.question(&exchange, &headers, cost));
        match taking {
            Taking::Now(verdict) => verdict,
            Taking::Later(later) => later.await,
        }
    }

    fn question<'a>(
        &'a self,
        exchange: &'a Exchange,
        headers: &'a HeaderMap,
        cost: u64,
    ) -> Ask<'a> {
        let keyed = &self.policy.config().keyed;
        Ask {
            policy: &self.policy,
            key: self
                .keys
                .key(keyed, exchange, headers)
                .expect("identities always have one"),
            who: Who {
                keys: &self.keys,
                exchange,
                headers,
            },
            cost,
            now: self.clock.at(Instant::now()),
        }
    }

    async fn passed(&self, who: &str, times: usize) -> usize {
        let mut passed = 0;
        for _ in 0..times {
            passed += usize::from(self.ask(who, 1).await.decision.is_taken());
        }
        passed
    }

    async fn wait_alone(&self, alone: bool) -> Result<()> {
        wait::until("the store to notice", PATIENCE, || {
            let is = self.store.is_alone();
            std::future::ready((is == alone).then_some(()))
        })
        .await
    }
}

fn client(who: &str) -> Exchange {
    let mut exchange = Exchange::new(Instant::now(), None, false);
    match who.parse() {
        Ok(address) => exchange.client = Some(address),
        Err(_) => {
            let principal = seaworthy_core::principal::Principal {
                kind: seaworthy_core::principal::Kind::Token,
                id: who.into(),
                tier: None,
            };
            exchange.principal = Some(Arc::new(principal));
        }
    }
    exchange
}

fn per_minute(count: u64) -> Quota {
    Quota::continuous(count, count, MINUTE).expect("a quota")
}

async fn calls(redis: &server::Redis, command: &str) -> Result<u64> {
    let stats = redis.command(&["INFO", "commandstats"]).await?;
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    let calls = line.and_then(|line| line.split(',').next());
    Ok(calls.map_or(0, |calls| calls.parse().expect("a count")))
}

mod real {
    use super::*;

    #[tokio::test]
    async fn replicas_share_one_bucket_and_every_key_has_a_time_to_live() -> Result<()> {
        let redis = server::Redis::start().await?;
        let never = Quota::never(100)?;
        let one = Replica::start(&redis, never, |_, _| ()).await;
        let two = Replica::start(&redis, never, |_, _| ()).await;
        assert_eq!(one.passed("127.0.0.1", 60).await, 60);
        assert_eq!(two.passed("127.0.0.1", 60).await, 40);
        let keys = redis.command(&["KEYS", "*"]).await?;
        let hash = "12ca17b49af2289436f303e0166030a21e525d266e209267433801a8fd4071a0";
        assert_eq!(keys.trim(), format!("rate_limit:{hash}:anonymous"));
        let ttl = redis.command(&["TTL", keys.trim()]).await?;
        assert!(ttl.trim().parse::<i64>()? > 0, "{ttl}");
        assert_eq!(calls(&redis, "evalsha").await?, 120);
        assert_eq!(
            calls(&redis, "eval").await?,
            0,
            "the script was taught before"
        );
        Ok(())
    }

    #[tokio::test]
    async fn a_reset_is_not_forgotten_before_the_replicas_have_forgotten_what_was_spent()
    -> Result<()> {
        let redis = server::Redis::start().await?;
        let one = Replica::start(&redis, per_minute(100), |_, _| ()).await;
        let two = Replica::start(&redis, per_minute(100), |_, _| ()).await;
        assert_eq!(two.passed("192.0.2.1", 90).await, 90);
        let (exchange, headers) = (client("192.0.2.1"), HeaderMap::new());
        let ask = one.question(&exchange, &headers, 1);
        let who = one
            .keys
            .text(&one.policy.config().keyed, &exchange, &headers);
        one.store
            .reset(&one.policy, ask.key, &who.unwrap_or_default())
            .await;
        let keys = redis.command(&["KEYS", "*"]).await?;
        let ttl = redis.command(&["PTTL", keys.trim()]).await?;
        assert!(ttl.trim().parse::<i64>()? > 60_000, "{ttl}");
        assert_eq!(two.passed("192.0.2.1", 100).await, 100);
        let ttl = redis.command(&["PTTL", keys.trim()]).await?;
        assert!(ttl.trim().parse::<i64>()? > 60_000, "{ttl}");
        Ok(())
    }

    #[tokio::test]
    async fn four_hundred_at_once_give_exactly_a_hundred() -> Result<()> {
        let redis = server::Redis::start().await?;
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let replica = Arc::new(Replica::start(&redis, Quota::never(100)?, |_, _| ()).await);
            for _ in 0..50 {
                let replica = replica.clone();
                asking.spawn(async move { replica.ask("192.0.2.1", 1).await });
            }
        }
        let verdicts = asking.join_all().await;
        let passed = verdicts
            .iter()
            .filter(|verdict| verdict.decision.is_taken());
        assert_eq!(passed.count(), 100);
        assert!(
            verdicts
                .iter()
                .all(|verdict| verdict.source == Source::Store)
        );
        Ok(())
    }

    #[tokio::test]
    async fn buckets_fill_by_the_clock_of_the_server() -> Result<()> {
        let redis = server::Redis::start().await?;
        let quota = Quota::continuous(2, 1, Duration::from_millis(300))?;
        let replica = Replica::start(&redis, quota, |_, _| ()).await;
        assert_eq!(replica.passed("192.0.2.1", 2).await, 2);
        let refused = replica.ask("192.0.2.1", 1).await.decision;
        let Decision::Refused {
            retry_after: Some(wait),
            ..
        } = refused
        else {
            panic!("{refused:?}");
        };
        assert!(wait <= Duration::from_millis(300) && !wait.is_zero());
        tokio::time::sleep(wait).await;
        assert!(replica.ask("192.0.2.1", 1).await.decision.is_taken());
        // A time to live for a bucket that is nearly full is not that of its refill alone.
        let keys = redis.command(&["KEYS", "*"]).await?;
        let ttl: i64 = redis
            .command(&["PTTL", keys.trim()])
            .await?
            .trim()
            .parse()?;
        assert!((9_000..=10_600).contains(&ttl), "{ttl}");
        Ok(())
    }

    #[tokio::test]
    async fn an_interval_gives_all_back_at_once() -> Result<()> {
        let redis = server::Redis::start().await?;
        let quota = Quota::interval(3, Duration::from_secs(1))?;
        let replica = Replica::start(&redis, quota, |_, _| ()).await;
        assert_eq!(replica.passed("192.0.2.1", 5).await, 3);
        let Decision::Refused {
            retry_after: Some(wait),
            standing,
        } = replica.ask("192.0.2.1", 1).await.decision
        else {
            panic!("it passed");
        };
        assert_eq!((standing.remaining, standing.full_in), (0, wait));
        tokio::time::sleep(wait).await;
        assert_eq!(replica.passed("192.0.2.1", 3).await, 3);
        assert!(
            replica
                .ask("192.0.2.1", 1)
                .await
                .decision
                .standing()
                .remaining
                == 0
        );
        Ok(())
    }

    #[tokio::test]
    async fn nothing_of_zero_passes_or_fails() -> Result<()> {
        let redis = server::Redis::start().await?;
        let replica = Replica::start(&redis, Quota::never(1)?, |_, _| ()).await;
        assert!(replica.ask("192.0.2.1", 1).await.decision.is_taken());
        let refused = replica.ask("192.0.2.1", 1).await;
        assert!(matches!(
            refused.decision,
            Decision::Refused {
                retry_after: None,
                ..
            }
        ));
        assert_eq!(refused.source, Source::Store);
        let too_much = replica.ask("192.0.2.2", 5).await.decision;
        assert!(matches!(
            too_much,
            Decision::Refused {
                retry_after: None,
                ..
            }
        ));
        Ok(())
    }

    #[tokio::test]
    async fn names_that_look_like_commands_are_hashed() -> Result<()> {
        let redis = server::Redis::start().await?;
        let replica = Replica::start(&redis, per_minute(5), |_, _| ()).await;
        let long = "x".repeat(1 << 20);
        let names = [
            "a\r\nFLUSHALL\r\n",
            "}{",
            "\0",
            "\"'",
            "*1\r\n$8\r\nFLUSHALL\r\n",
            &long,
        ];
        for name in names {
            assert_eq!(replica.passed(name, 6).await, 5);
        }
        let keys = redis.command(&["KEYS", "*"]).await?;
        assert_eq!(keys.lines().count(), names.len());
        for key in keys.lines() {
            let hash = key.split(':').nth(1).unwrap_or_default();
            assert!(
                hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
                "{key}"
            );
        }
        assert_eq!(calls(&redis, "evalsha").await?, 36);
        assert_eq!(calls(&redis, "flushall").await?, 0);
        Ok(())
    }

    #[tokio::test]
    async fn a_server_that_forgot_the_script_is_sent_it_again() -> Result<()> {
        let redis = server::Redis::start().await?;
        let replica = Replica::start(&redis, per_minute(5), |_, _| ()).await;
        redis.command(&["SCRIPT", "FLUSH"]).await?;
        assert_eq!(replica.passed("192.0.2.1", 3).await, 3);
        assert_eq!(calls(&redis, "eval").await?, 1);
        assert!(!replica.store.is_alone());
        Ok(())
    }

    #[tokio::test]
    async fn a_pepper_and_a_prefix_change_the_name() -> Result<()> {
        let redis = server::Redis::start().await?;
        let replica = Replica::start(&redis, per_minute(5), |config, _| {
            config.prefix = "shop".to_owned();
            config.pepper = Some(b"secret".as_slice().into());
        })
        .await;
        replica.ask("127.0.0.1", 1).await;
        let keys = redis.command(&["KEYS", "*"]).await?;
        assert!(
            keys.starts_with("shop:") && !keys.contains("12ca17b4"),
            "{keys}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn a_lost_server_is_noticed_by_one_request_and_the_share_is_what_is_left() -> Result<()> {
        let mut redis = server::Redis::start().await?;
        let replica =
            Replica::start(&redis, per_minute(100), |_, policy| policy.replicas = 2).await;
        assert_eq!(replica.passed("192.0.2.1", 30).await, 30);
        redis.stop().await?;
        let first = replica.ask("192.0.2.1", 1).await;
        assert_eq!(first.source, Source::Fallback);
        assert!(replica.store.is_alone());
        // Half of the limit is this replica's, and 31 of it are spent.
        let more = replica.passed("192.0.2.1", 50).await;
        assert!((19..=21).contains(&more), "{more}");
        assert_eq!(replica.passed("192.0.2.2", 99).await, 50, "somebody new");
        redis.start().await?;
        replica.wait_alone(false).await?;
        // The server has forgotten everything, and is told what this replica gave.
        let after = replica.passed("192.0.2.2", 99).await;
        assert!((50..=53).contains(&after), "{after}");
        Ok(())
    }

    #[tokio::test]
    async fn a_frozen_server_costs_two_requests_their_budget_and_gives_no_second_helping()
    -> Result<()> {
        let redis = server::Redis::start().await?;
        let replica = Replica::start(&redis, Quota::never(100)?, |config, policy| {
            config.budget = Duration::from_millis(100);
            policy.replicas = 2;
        })
        .await;
        assert_eq!(replica.passed("192.0.2.1", 20).await, 20);
        redis.pause().await?;
        for _ in 0..2 {
            assert_eq!(replica.ask("192.0.2.1", 1).await.source, Source::Fallback);
        }
        assert!(replica.store.is_alone());
        assert_eq!(replica.passed("192.0.2.1", 60).await, 28);
        redis.resume()?;
        replica.wait_alone(false).await?;
        // 20 before and 30 without it. The two that came too late were answered here and counted there as well, with what they told.
        let after = replica.passed("192.0.2.1", 99).await;
        assert!((47..=50).contains(&after), "{after}");
        Ok(())
    }

    #[tokio::test]
    async fn what_holds_without_the_server_is_for_the_policy_to_say() -> Result<()> {
        let mut redis = server::Redis::start().await?;
        let with = async |choice| {
            Replica::start(&redis, per_minute(2), |_, policy| {
                policy.on_store_error = choice
            })
            .await
        };
        let (deny, allow) = (
            with(OnStoreError::Deny).await,
            with(OnStoreError::Allow).await,
        );
        redis.stop().await?;
        assert_eq!(deny.passed("192.0.2.1", 5).await, 0);
        assert_eq!(allow.passed("192.0.2.1", 5).await, 5);
        assert_eq!(allow.ask("192.0.2.1", 1).await.source, Source::Nobody);
        Ok(())
    }

    #[tokio::test]
    async fn a_settled_bucket_has_what_was_not_used_and_owes_what_was() -> Result<()> {
        let redis = server::Redis::start().await?;
        let replica = Replica::start(&redis, Quota::never(1_000)?, |_, _| ()).await;
        let settle = async |used: u64| -> Result<()> {
            assert!(replica.ask("192.0.2.1", 400).await.decision.is_taken());
            let (exchange, headers) = (client("192.0.2.1"), HeaderMap::new());
            let ask = replica.question(&exchange, &headers, 400);
            let bucket = Bucket {
                policy: replica.policy.clone(),
                key: ask.key,
                ticket: replica.store.ticket(&ask),
                reserved: 400,
            };
            let before = calls(&redis, "evalsha").await?;
            replica.store.settle(&bucket, used, ask.now);
            wait::until("the settlement", PATIENCE, async || {
                let asked = calls(&redis, "evalsha").await.ok()?;
                (asked > before).then_some(())
            })
            .await
        };
        settle(100).await?;
        settle(500).await?;
        assert_eq!(
            replica
                .ask("192.0.2.1", 0)
                .await
                .decision
                .standing()
                .remaining,
            400
        );
        Ok(())
    }

    #[tokio::test]
    async fn leases_ask_seldom_and_keep_their_bound() -> Result<()> {
        let redis = server::Redis::start().await?;
        let quota = Quota::never(50_000)?;
        let leased = |config: &mut Config, _: &mut PolicyConfig| config.lease = Some(2);
        let one = Arc::new(Replica::start(&redis, quota, leased).await);
        let two = Arc::new(Replica::start(&redis, quota, leased).await);
        let mut asking = tokio::task::JoinSet::new();
        for replica in [&one, &two] {
            for _ in 0..8 {
                let replica = replica.clone();
                asking.spawn(async move { replica.passed("192.0.2.1", 5_000).await });
            }
        }
        let passed: usize = asking.join_all().await.into_iter().sum();
        // Nothing is admitted that the store has not given; what is left over stays in a lease.
        assert!(passed <= 50_000, "{passed}");
        assert!(passed >= 50_000 - 2 * 2_500, "{passed}");
        let asked = calls(&redis, "evalsha").await?;
        assert!(asked < 200, "{asked} questions for 80000 decisions");
        Ok(())
    }

    #[tokio::test]
    async fn a_lease_that_is_not_used_up_is_given_back() -> Result<()> {
        let redis = server::Redis::start().await?;
        let leased = |config: &mut Config, _: &mut PolicyConfig| config.lease = Some(1);
        let one = Replica::start(&redis, Quota::never(1_000)?, leased).await;
        assert_eq!(one.passed("192.0.2.1", 100).await, 100);
        let two = Replica::start(&redis, Quota::never(1_000)?, |_, _| ()).await;
        wait::until("all but a hundred", PATIENCE, async || {
            let left = two.ask("192.0.2.1", 0).await.decision.standing().remaining;
            (left == 900).then_some(())
        })
        .await
    }

    #[tokio::test]
    async fn a_reset_fills_the_bucket_for_everybody() -> Result<()> {
        let redis = server::Redis::start().await?;
        let replica = Replica::start(&redis, Quota::never(5)?, |_, _| ()).await;
        assert_eq!(replica.passed("192.0.2.1", 9).await, 5);
        let address = "192.0.2.1".parse()?;
        let key = replica.keys.of_address(address);
        replica
            .store
            .reset(&replica.policy, key, b"192.0.2.1")
            .await;
        assert_eq!(replica.passed("192.0.2.1", 9).await, 5);
        Ok(())
    }
}
