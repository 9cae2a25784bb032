//! From the start of the process to the first answer.

use std::time::{Duration, Instant};

use seaworthy_testkit::client;
use seaworthy_testkit::origin::{Origin, Script, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::{Result, alone, scale};

#[tokio::test]
async fn a_start_costs_less_than_a_tenth_of_a_second() -> Result<()> {
    let _turn = alone().await;
    let origin = Origin::tcp(Script::always(ok("up"))).await?;
    let tries = scale::count(10);
    let (mut times, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..tries {
        let begun = Instant::now();
        let seaworthy = Seaworthy::build().connect(origin.address()).start().await?;
        let answer = client::get(seaworthy.public(), "/").await?;
        times.push(begun.elapsed());
        costs.push(seaworthy.usage()?.processor);
        assert_eq!(answer.status, 200);
    }
    times.sort();
    costs.sort();
    eprintln!(
        "first answer after exec: best {:?}, median {:?} of {tries}; processor time: best {:?}, median {:?}",
        times[0],
        times[tries / 2],
        costs[0],
        costs[tries / 2]
    );
    assert!(costs[0] < Duration::from_millis(100), "{costs:?}");
    Ok(())
}
