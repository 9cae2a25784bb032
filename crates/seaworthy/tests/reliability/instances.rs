//! Several copies of the app behind one port.

use std::collections::BTreeSet;

use seaworthy_testkit::client::Connection;
use seaworthy_testkit::load::Load;
use seaworthy_testkit::process::{Process, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, holds};
use seaworthy_testkit::{Result, alone, client, fixtures, scale};
use serde_json::Value;

fn ready(status: &Value) -> usize {
    let instances = status["app"]["instances"].as_array();
    let instances = instances.into_iter().flatten();
    instances
        .filter(|instance| instance["state"] == "ready")
        .count()
}

async fn three(work: &str, folder: &std::path::Path) -> Result<Seaworthy> {
    let seaworthy = Seaworthy::run(App::Ledger.command()?)
        .current_dir(fixtures())
        .env("LEDGER", folder.join("ledger").display())
        .env("WORK_SECONDS", work)
        .set("app.instances", 3)
        .set("app.restart.stable_after", "1ms")
        .ready()
        .await?;
    let all = |status: &Value| ready(status) == 3;
    seaworthy
        .wait_status("three instances", PATIENCE, all)
        .await?;
    Ok(seaworthy)
}

#[tokio::test]
async fn all_of_them_serve() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let seaworthy = three("0.05", folder.path()).await?;
    // Side by side, so that the least busy one is another each time.
    let asked = (0..30).map(|_| client::get(seaworthy.public(), "/"));
    let answers = futures_util::future::try_join_all(asked).await?;
    let seen: BTreeSet<_> = answers.iter().map(client::Response::text).collect();
    let pids: BTreeSet<_> = seaworthy
        .app_pids()
        .await?
        .iter()
        .map(u32::to_string)
        .collect();
    assert_eq!(seen, pids);
    Ok(())
}

#[tokio::test]
async fn the_death_of_an_idle_one_is_noticed_by_nobody() -> Result<()> {
    let _turn = alone().await;
    let folder = tempfile::tempdir()?;
    let seaworthy = three("0", folder.path()).await?;
    let (rounds, each) = (scale::count(5), 60);
    let mut failed = Vec::new();
    for round in 0..rounds {
        // Leaves idle connections to all of them, of which those to the dead one must not be used.
        let mut connection = Connection::open(seaworthy.public()).await?;
        for number in 0..each {
            if number == each / 2 {
                let pid = seaworthy.kill_app(round % 3).await?;
                // A request that is sent to a dying app is lost with it; this is about those that come after.
                let gone = || Process::read(pid).is_none();
                holds("the death", PATIENCE, gone).await?;
            }
            let answer = connection.ask("GET", "/", &[], b"").await?;
            if answer.status != 200 {
                failed.push(format!(
                    "{round}.{number}: {} {}",
                    answer.status,
                    answer.text()
                ));
            }
        }
        let all = |status: &Value| ready(status) == 3;
        seaworthy
            .wait_status("three instances again", PATIENCE, all)
            .await?;
    }
    eprintln!(
        "{} of {} GETs failed while {rounds} idle instances were killed",
        failed.len(),
        rounds * each
    );
    assert!(failed.is_empty(), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn a_death_under_load_costs_only_what_it_held() -> Result<()> {
    let _turn = alone().await;
    let folder = tempfile::tempdir()?;
    let seaworthy = three("0.005", folder.path()).await?;
    let connections = 9;
    let load = Load::new(seaworthy.public())
        .connections(connections)
        .start();
    let kills = scale::count(5);
    for round in 0..kills {
        let before = load.answered();
        holds("answers", PATIENCE, || load.answered() > before + 100).await?;
        let pid = seaworthy.kill_app(round % 3).await?;
        holds("the death", PATIENCE, || Process::read(pid).is_none()).await?;
        let all = |status: &Value| ready(status) == 3;
        seaworthy
            .wait_status("three instances again", PATIENCE, all)
            .await?;
    }
    let report = load.stop().await?;
    eprintln!(
        "{} of {} GETs failed in {kills} kills of one of three: {:?}",
        report.failures(),
        report.total(),
        report.statuses
    );
    assert_eq!((report.refused, report.cut), (0, 0), "{report:?}");
    assert_eq!(report.failures(), report.status(502), "{report:?}");
    // One of three held a third of what was inside, give or take the unevenness of the moment.
    assert!(
        report.failures() <= (kills * connections) as u64,
        "{report:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_them_all() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut seaworthy = three("0", folder.path()).await?;
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    let ledger = std::fs::read_to_string(folder.path().join("ledger"))?;
    assert_eq!(ledger, "SIGTERM\n".repeat(3));
    Ok(())
}
