//! What a request costs, and that it leaves nothing behind.

use std::time::Duration;

use seaworthy_testkit::load::Load;
use seaworthy_testkit::origin::{Origin, Script, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::{Result, alone, scale};

/// Ten times what one takes on a machine of 2020: for a fault, not for a race. `bench/` compares.
const DEAR: Duration = Duration::from_micros(400);

async fn in_front() -> Result<(Seaworthy, Origin)> {
    let origin = Origin::tcp(Script::always(ok(&"x".repeat(1000)))).await?;
    let seaworthy = Seaworthy::build().connect(origin.address()).ready().await?;
    Ok((seaworthy, origin))
}

#[tokio::test]
async fn a_request_costs_little_processor_time() -> Result<()> {
    let _turn = alone().await;
    let (seaworthy, _origin) = in_front().await?;
    let count = scale::count(20_000);
    for (name, connections, reuse) in [
        ("a kept connection", 50, true),
        ("a new connection each", 50, false),
    ] {
        let before = seaworthy.usage()?.processor;
        let load = Load::new(seaworthy.public()).connections(connections);
        let load = if reuse { load } else { load.without_reuse() };
        let report = load.count(count).run().await?;
        assert_eq!(report.failures(), 0, "{name}: {report:?}");
        let each = (seaworthy.usage()?.processor - before) / u32::try_from(count)?;
        eprintln!("{name}: {each:?} of processor time for each of {count} requests");
        assert!(each < DEAR, "{name}: {each:?}");
    }
    Ok(())
}

#[tokio::test]
async fn memory_and_descriptors_do_not_grow_with_what_has_passed() -> Result<()> {
    let _turn = alone().await;
    let (seaworthy, _origin) = in_front().await?;
    let (rounds, count) = (5, scale::count(5000));
    let mut usages = Vec::new();
    for _ in 0..rounds {
        for reuse in [true, false] {
            let load = Load::new(seaworthy.public()).connections(100).count(count);
            let load = if reuse { load } else { load.without_reuse() };
            let report = load.run().await?;
            assert_eq!(report.failures(), 0, "{report:?}");
        }
        seaworthy.wait_inflight(0).await?;
        usages.push(seaworthy.usage()?);
    }
    // The first round fills pools and buffers that are kept on purpose.
    let (first, last) = (usages[1], usages[rounds - 1]);
    let passed = rounds * 2 * count;
    eprintln!(
        "after {passed} requests: {} KiB and {} descriptors, {} KiB and {} after the second of {rounds} rounds",
        last.rss >> 10,
        last.fds,
        first.rss >> 10,
        first.fds
    );
    assert!(last.rss < first.rss + (4 << 20), "{usages:?}");
    // Clients of the last moment may not have been closed yet, and idle connections to the app come and go.
    assert!(last.fds <= first.fds + 200, "{usages:?}");
    Ok(())
}
