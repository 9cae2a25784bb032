//! What every log must do.

use seaworthy::registry::Log;

/// A log that nobody has used yet keeps it, for logs that `open` opens in an environment. `open` is asked from several tasks.
pub(crate) async fn holds(open: impl Fn(&str) -> Log) {
    nobody_has_published(&open).await;
    everybody_sees_the_same(&open).await;
    the_latest_of_each_instance_counts(&open).await;
    those_who_append_at_once_are_in_one_order(&open).await;
}

async fn nobody_has_published(open: &impl Fn(&str) -> Log) {
    let mut log = open("test");
    assert_eq!(log.news().await.expect("a log"), [""; 0]);
    assert_eq!(log.acks().await.expect("a log"), [""; 0]);
}

async fn everybody_sees_the_same(open: &impl Fn(&str) -> Log) {
    let (mut early, mut other) = (open("test"), open("other"));
    assert_eq!(early.news().await.expect("a log"), [""; 0]);
    let mut publisher = open("test");
    publisher.append("one").await.expect("a log");
    publisher.append("two ⚓").await.expect("a log");
    other.append("elsewhere").await.expect("a log");
    assert_eq!(early.news().await.expect("a log"), ["one", "two ⚓"]);
    publisher.append("three").await.expect("a log");
    assert_eq!(early.news().await.expect("a log"), ["three"]);
    assert_eq!(early.news().await.expect("a log"), [""; 0]);
    let mut late = open("test");
    assert_eq!(
        late.news().await.expect("a log"),
        ["one", "two ⚓", "three"]
    );
    assert_eq!(other.news().await.expect("a log"), ["elsewhere"]);
    let long = "x".repeat(1 << 20);
    let refused = publisher.append(&(long + "x")).await;
    let error = refused.expect_err("it is too long");
    assert!(error.to_string().contains("too long"), "{error}");
}

async fn the_latest_of_each_instance_counts(open: &impl Fn(&str) -> Log) {
    let (mut a, mut b) = (open("test"), open("test"));
    a.acknowledge("a", "a1").await.expect("a log");
    let mut reader = open("test");
    assert_eq!(reader.acks().await.expect("a log"), ["a1"]);
    a.acknowledge("a", "a2").await.expect("a log");
    b.acknowledge("b", "b1").await.expect("a log");
    open("other").acknowledge("a", "x").await.expect("a log");
    for mut log in [reader, open("test")] {
        let mut acks = log.acks().await.expect("a log");
        acks.sort();
        assert_eq!(acks, ["a2", "b1"]);
    }
}

/// Readers that look all the time, while others append.
async fn those_who_append_at_once_are_in_one_order(open: &impl Fn(&str) -> Log) {
    const WRITERS: usize = 4;
    const EACH: usize = 25;
    let reading = (0..2).map(|_| {
        let mut log = open("busy");
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < WRITERS * EACH {
                seen.extend(log.news().await.expect("a log"));
            }
            seen
        })
    });
    let reading: Vec<_> = reading.collect();
    for writer in 0..WRITERS {
        let mut log = open("busy");
        tokio::spawn(async move {
            for number in 0..EACH {
                let text = format!("{writer} {number}");
                log.append(&text).await.expect("a log");
            }
        });
    }
    let all = open("busy");
    let mut orders = Vec::new();
    for reader in reading {
        let done = tokio::time::timeout(seaworthy_testkit::wait::PATIENCE * 3, reader).await;
        orders.push(done.expect("all are seen").expect("it reads"));
    }
    let mut all = all;
    orders.push(all.news().await.expect("a log"));
    assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
    let mut once = orders[0].clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), WRITERS * EACH);
}
