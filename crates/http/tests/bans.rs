//! The bans that instances share, on a real Redis. Each connection is one instance.

#![cfg(feature = "redis")]

use std::time::{Duration, Instant};

use seaworthy_core::ban::{Heard, News, Target as Banned};
use seaworthy_core::clock::{Clock, Moment};
use seaworthy_http::ban::redis::{Failure, Shared};
use seaworthy_http::limit::redis::Target;
use seaworthy_testkit::Result;
use seaworthy_testkit::server::{Gap, Mode, Redis};

const NOW: Moment = Moment(0);
const UNSEEN: (&str, u64) = ("", 0);

fn instance(address: std::net::SocketAddr) -> Shared {
    let target = Target {
        host: address.ip().to_string(),
        port: address.port(),
        ..Target::default()
    };
    Shared::new(target, "bans".to_owned(), Clock::new(Instant::now(), 1))
}

fn who(address: &str) -> Banned {
    address.parse().expect("an address")
}

fn set(address: &str, seconds: u64) -> News {
    News {
        set: vec![(who(address), NOW.after(Duration::from_secs(seconds)))],
        lifted: Vec::new(),
    }
}

async fn told(shared: &mut Shared, news: &News) -> Result<Heard> {
    let (heard, full) = shared.exchange(UNSEEN, news, NOW).await?;
    assert!(!full);
    Ok(heard)
}

#[tokio::test]
async fn what_one_tells_another_hears_with_the_time_that_is_left() -> Result<()> {
    let redis = Redis::start().await?;
    let (mut one, mut two) = (instance(redis.address()), instance(redis.address()));
    let nothing = told(&mut one, &News::default()).await?;
    let empty = Heard {
        bans: Some(Vec::new()),
        ..Heard::default()
    };
    assert_eq!(nothing, empty);
    told(&mut one, &set("203.0.113.7", 900)).await?;
    // A shorter one changes nothing.
    told(&mut two, &set("203.0.113.7", 60)).await?;
    let heard = told(&mut two, &set("2001:db8::/32", 60)).await?;
    let mut bans = heard.bans.clone().unwrap_or_default();
    bans.sort();
    assert_eq!(bans[0].0, who("203.0.113.7"));
    assert_eq!(bans[1].0, who("2001:db8::/32"));
    let left = bans[0].1.since(NOW);
    assert!(left > Duration::from_secs(870) && left <= Duration::from_secs(900));
    let ttl = redis.command(&["PTTL", "bans"]).await?;
    assert!((870_000..=960_000).contains(&ttl.trim().parse::<i64>()?));

    let epoch = heard.epoch.clone().unwrap_or_default();
    let seen = (epoch.as_str(), heard.version);
    let (again, _) = one.exchange(seen, &News::default(), NOW).await?;
    assert_eq!((again.bans, again.version), (None, heard.version));
    let lift = News {
        lifted: vec![who("203.0.113.7")],
        ..News::default()
    };
    let (after, _) = two.exchange(seen, &lift, NOW).await?;
    assert!(after.version > heard.version);
    assert_eq!(after.bans.unwrap_or_default().len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_is_over_is_gone_and_a_server_that_forgot_is_another_one() -> Result<()> {
    let redis = Redis::start().await?;
    let mut one = instance(redis.address());
    let first = told(&mut one, &set("203.0.113.7", 900)).await?;
    redis
        .command(&["HSET", "bans", "203.0.113.8", "1000"])
        .await?;
    let heard = told(&mut one, &News::default()).await?;
    assert_eq!(heard.bans.unwrap_or_default().len(), 1);
    let field = redis.command(&["HEXISTS", "bans", "203.0.113.8"]).await?;
    assert_eq!(field.trim(), "0");
    redis.command(&["DEL", "bans"]).await?;
    assert_eq!(told(&mut one, &News::default()).await?.epoch, None);
    let second = told(&mut one, &set("203.0.113.7", 900)).await?;
    assert_ne!(first.epoch, second.epoch);
    // Lifting what is not there leaves no key behind.
    redis.command(&["DEL", "bans"]).await?;
    let lift = News {
        lifted: vec![who("203.0.113.7")],
        ..News::default()
    };
    told(&mut one, &lift).await?;
    assert_eq!(redis.command(&["EXISTS", "bans"]).await?.trim(), "0");
    Ok(())
}

#[tokio::test]
async fn a_full_server_says_so_and_keeps_what_it_has() -> Result<()> {
    let redis = Redis::start().await?;
    let mut one = instance(redis.address());
    let until = NOW.after(Duration::from_secs(900));
    let address = |number: u32| who(&format!("10.{}.{}.1", number / 256, number % 256));
    let mut full = false;
    for start in (0..10_240).step_by(256) {
        let news = News {
            set: (start..start + 256)
                .map(|at| (address(at), until))
                .collect(),
            lifted: Vec::new(),
        };
        full = one.exchange(UNSEEN, &news, NOW).await?.1;
    }
    assert!(full);
    let (heard, _) = one.exchange(UNSEEN, &News::default(), NOW).await?;
    let bans = heard.bans.unwrap_or_default();
    assert!((9_990..=10_000).contains(&bans.len()), "{}", bans.len());
    // One that is there may be lengthened.
    let longer = News {
        set: vec![(address(0), until.after(Duration::from_secs(900)))],
        lifted: Vec::new(),
    };
    assert!(!one.exchange(UNSEEN, &longer, NOW).await?.1);
    Ok(())
}

#[tokio::test]
async fn a_full_server_makes_room_by_what_is_over() -> Result<()> {
    let redis = Redis::start().await?;
    let mut one = instance(redis.address());
    told(&mut one, &set("203.0.113.7", 900)).await?;
    let fill = "for at = 1, 10000 do redis.call('HSET', 'bans', '10.0.' .. at, '1000') end";
    redis.command(&["EVAL", fill, "0"]).await?;
    let (heard, full) = one.exchange(UNSEEN, &set("203.0.113.8", 900), NOW).await?;
    assert!(!full);
    assert_eq!(heard.bans.unwrap_or_default().len(), 2);
    // Two fields are no bans.
    assert_eq!(redis.command(&["HLEN", "bans"]).await?.trim(), "4");
    Ok(())
}

#[tokio::test]
async fn a_lost_connection_is_made_again() -> Result<()> {
    let redis = Redis::start().await?;
    let gap = Gap::before(redis.address())?;
    let mut one = instance(gap.address());
    told(&mut one, &set("203.0.113.7", 900)).await?;
    gap.set(Mode::Silent).await?;
    let late = one.exchange(UNSEEN, &News::default(), NOW).await;
    assert_eq!(late, Err(Failure::Late));
    gap.set(Mode::Refuse).await?;
    let refused = one.exchange(UNSEEN, &News::default(), NOW).await;
    assert_eq!(refused, Err(Failure::Unreachable));
    gap.set(Mode::Pass).await?;
    let heard = told(&mut one, &News::default()).await?;
    assert_eq!(heard.bans.unwrap_or_default().len(), 1);
    Ok(())
}
