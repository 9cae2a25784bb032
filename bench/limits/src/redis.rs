//! Decisions over a Redis: the store for each request beside a bare EVALSHA of the same script over the same kind of connection,
//! leases beside both, and what two replicas admit together.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use seaworthy_core::clock::Clock;
use seaworthy_core::quota::{Quota, Terms};
use seaworthy_http::exchange::Exchange;
use seaworthy_http::limit::redis::{Config, Redis, Target};
use seaworthy_http::limit::{Ask, Keys, Policy, PolicyConfig, Store as _, Taking, Who};

use crate::median;

const SCRIPT: &str = include_str!("../../../crates/http/src/limit/redis/take.lua");
const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(700);
/// Questions under way at a time.
const DEEP: usize = 16;

#[derive(Clone)]
struct Replica {
    store: Redis,
    policy: Arc<Policy>,
    keys: Keys,
    clock: Clock,
    exchange: Exchange,
}

impl Replica {
    async fn new(target: &Target, name: &str, quota: Quota, lease: Option<u32>) -> Self {
        let mut config = Config::new(target.clone());
        config.budget = Duration::from_secs(1);
        config.lease = lease;
        let clock = config.clock;
        let store = Redis::new(config);
        store.attach(Duration::from_secs(2)).await;
        assert!(!store.is_alone(), "no Redis");
        let mut exchange = Exchange::new(Instant::now(), None, false);
        exchange.client = Some([192, 0, 2, 1].into());
        let policy = PolicyConfig::new(name, Some(quota));
        let (policy, keys) = (Arc::new(Policy::new(policy)), Keys::default());
        Self { store, policy, keys, clock, exchange }
    }

    async fn passes(&self) -> bool {
        let headers = HeaderMap::new();
        let keyed = &self.policy.config().keyed;
        let taking = self.store.take(&Ask {
            policy: &self.policy,
            key: self.keys.key(keyed, &self.exchange, &headers).expect("an address"),
            who: Who { keys: &self.keys, exchange: &self.exchange, headers: &headers },
            cost: 1,
            now: self.clock.at(Instant::now()),
        });
        let verdict = match taking {
            Taking::Now(verdict) => verdict,
            Taking::Later(later) => later.await,
        };
        verdict.decision.is_taken()
    }
}

/// How many a second, with so many under way.
async fn rate<F: Future<Output = bool>>(deep: usize, ask: impl Fn() -> F) -> f64 {
    let start = Instant::now();
    let one = async || {
        let mut count = 0_u64;
        while start.elapsed() < TIME {
            for _ in 0..16 {
                ask().await;
                count += 1;
            }
        }
        count
    };
    let counts = match deep {
        1 => one().await,
        _ => {
            let all = tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
            let more = tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
            let sum = |(a, b, c, d, e, f, g, h): (u64, u64, u64, u64, u64, u64, u64, u64)| a + b + c + d + e + f + g + h;
            sum(all) + sum(more)
        }
    };
    counts as f64 / start.elapsed().as_secs_f64()
}

pub(crate) fn run(address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (host, port) = address.rsplit_once(':').expect("HOST:PORT");
    let target = Target { host: host.to_owned(), port: port.parse().expect("a port"), ..Target::default() };
    runtime.block_on(all(address, target));
}

async fn all(address: &str, target: Target) {
    let client = redis::Client::open(format!("redis://{address}")).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
    let name: String = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(&mut connection).await.expect("a script");
    let quota = Quota::continuous(10_000_000, 10_000_000, Duration::from_secs(1)).expect("a quota");
    let each = Replica::new(&target, "each", quota, None).await;
    let leased = Replica::new(&target, "leased", quota, Some(2)).await;
    let bare = || {
        let mut connection = connection.clone();
        let mut command = redis::cmd("EVALSHA");
        command.arg(&name).arg(1).arg("bench:bare").arg(10_000_000).arg("continuous").arg(0.1);
        command.arg(1).arg(1).arg(0).arg(0);
        async move {
            let answer: redis::RedisResult<(i64, i64, i64, i64)> = command.query_async(&mut connection).await;
            answer.is_ok_and(|answer| answer.0 > 0)
        }
    };
    println!("| what | one at a time | {DEEP} under way |\n|---|---|---|");
    let mut figures = [const { Vec::new() }; 6];
    for _ in 0..ROUNDS {
        for (place, deep) in [1, DEEP].into_iter().enumerate() {
            figures[place].push(rate(deep, bare).await);
            figures[2 + place].push(rate(deep, || each.passes()).await);
            figures[4 + place].push(rate(deep, || leased.passes()).await);
        }
    }
    let ratio = |one: &[f64], other: &[f64]| median(one.iter().zip(other).map(|(one, other)| one / other).collect());
    let [bare_1, bare_n, each_1, each_n, lease_1, lease_n] = &figures;
    for (what, one, many) in [("bare EVALSHA/s", bare_1, bare_n), ("decisions/s, each asked for", each_1, each_n), ("decisions/s, leased", lease_1, lease_n)] {
        println!("| {what} | {:.0} | {:.0} |", median(one.clone()), median(many.clone()));
    }
    println!("| time of one decision / bare EVALSHA | {:.2} | {:.2} |", ratio(bare_1, each_1), ratio(bare_n, each_n));
    println!("| leased / each asked for | {:.0} | {:.0} |", ratio(lease_1, each_1), ratio(lease_n, each_n));
    excess(&target).await;
}

/// Two replicas that take all they can get for three seconds: what they admit beyond one bucket.
async fn excess(target: &Target) {
    let quota = Quota::continuous(5_000, 5_000, Duration::from_secs(1)).expect("a quota");
    let client = redis::Client::open(format!("redis://{}:{}", target.host, target.port)).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
    redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.expect("a flush");
    let (one, two) = (Replica::new(target, "excess", quota, Some(2)).await, Replica::new(target, "excess", quota, Some(2)).await);
    let start = Instant::now();
    let mut admitted = Vec::new();
    while start.elapsed() < Duration::from_secs(3) {
        for replica in [&one, &two] {
            if replica.passes().await {
                admitted.push(start.elapsed());
            } else {
                tokio::task::yield_now().await;
            }
        }
    }
    let mut most = 0.0_f64;
    for (place, first) in admitted.iter().enumerate().step_by(50) {
        for (later, last) in admitted[place..].iter().enumerate().step_by(50) {
            let allowed = 5_000.0 + (*last - *first).as_secs_f64() * 5_000.0;
            most = most.max(later as f64 + 1.0 - allowed);
        }
    }
    let bound = 2 * Terms::of(&quota, 2).most;
    println!("\nTwo replicas with leases on a bucket of 5,000 that fills in a second: {} admitted in {:.2} s, at most {most:.0} more than the bucket allows in any stretch (bound: {bound}).", admitted.len(), start.elapsed().as_secs_f64());
}
