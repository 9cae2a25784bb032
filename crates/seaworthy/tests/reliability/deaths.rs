//! The app dies; the port does not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use seaworthy_testkit::client::{Connection, Response};
use seaworthy_testkit::process::{Builder, Seaworthy, zombies};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, holds};
use seaworthy_testkit::{Result, alone, fixtures, scale};
use tokio::task::JoinSet;

/// Clients of each kind.
const CLIENTS: usize = 6;

/// What one client saw of its numbered requests.
#[derive(Debug, Default)]
struct Seen {
    /// Numbers that were answered 200.
    done: Vec<String>,
    /// Answers of any other kind, by status and type.
    others: BTreeMap<String, usize>,
    /// What no client should ever see: refused or broken connections.
    broken: Vec<String>,
}

/// What all clients share.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicUsize,
}

/// Sends numbered POSTs one after the other, each number once.
async fn client(to: SocketAddr, name: String, reuse: bool, shared: Arc<Shared>) -> Seen {
    let mut seen = Seen::default();
    let mut kept = None;
    let mut number = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        number += 1;
        let id = format!("{name}-{number}");
        match ask(to, &id, kept.take()).await {
            Ok((answer, connection)) => {
                shared.answered.fetch_add(1, Ordering::Relaxed);
                if reuse && !answer.closes() {
                    kept = Some(connection);
                }
                match (answer.status, answer.error_type()) {
                    (200, _) if answer.text() == id => seen.done.push(id),
                    (status, kind) => {
                        let kind = kind.unwrap_or_else(|| answer.text());
                        *seen.others.entry(format!("{status} {kind}")).or_default() += 1;
                    }
                }
            }
            Err(error) => seen.broken.push(format!("{id}: {error:#}")),
        }
    }
    seen
}

async fn ask(to: SocketAddr, id: &str, kept: Option<Connection>) -> Result<(Response, Connection)> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(to).await?,
    };
    let answer = connection.ask("POST", "/work", &[], id.as_bytes()).await?;
    Ok((answer, connection))
}

/// How often each number was written down by the app.
fn entries(ledger: &Path) -> BTreeMap<String, usize> {
    let mut entries = BTreeMap::new();
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    for id in text.lines().filter_map(|line| line.strip_prefix("/work ")) {
        *entries.entry(id.to_owned()).or_default() += 1;
    }
    entries
}

fn ledger(path: &Path) -> Result<Builder> {
    let builder = Seaworthy::run(App::Ledger.command()?).current_dir(fixtures());
    Ok(builder
        .env("LEDGER", path.display())
        .env("WORK_SECONDS", "0.002"))
}

/// Kills the app `times` under the eyes of the clients; each new one must have answered before the next kill.
///
/// The last to be killed is told: until the supervisor has noticed, it still passes for ready.
async fn massacre(seaworthy: &Seaworthy, shared: &Shared, times: usize) -> Result<u32> {
    let mut last = 0;
    for number in 0..times {
        let what = format!("the app to be ready for kill {number}");
        let fresh = |pids: Vec<u32>| pids.first().is_some_and(|pid| *pid != last);
        seaworthy_testkit::wait::until(&what, PATIENCE, || async {
            seaworthy
                .app_pids()
                .await
                .ok()
                .is_some_and(fresh)
                .then_some(())
        })
        .await?;
        let before = shared.answered.load(Ordering::Relaxed);
        holds("answers of the new app", PATIENCE, || {
            shared.answered.load(Ordering::Relaxed) >= before + 4 * CLIENTS
        })
        .await?;
        last = seaworthy.kill_app(0).await?;
    }
    Ok(last)
}

#[tokio::test]
async fn two_hundred_kills_close_no_port_and_repeat_no_request() -> Result<()> {
    let _turn = alone().await;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger");
    // Each life is longer than this, so none counts as an early death.
    let builder = ledger(&path)?.set("app.restart.stable_after", "1ms");
    let seaworthy = builder.ready().await?;
    let fds = seaworthy.usage()?.fds;
    let times = scale::count(20);
    let shared = Arc::new(Shared::default());
    let mut clients = JoinSet::new();
    for number in 0..2 * CLIENTS {
        let reuse = number % 2 == 0;
        clients.spawn(client(
            seaworthy.public(),
            format!("c{number}"),
            reuse,
            Arc::clone(&shared),
        ));
    }
    let last = massacre(&seaworthy, &shared, times).await?;
    seaworthy
        .wait_status("the last restart", PATIENCE, |status| {
            let instance = &status["app"]["instances"][0];
            instance["state"] == "ready" && instance["pid"] != last
        })
        .await?;
    shared.stop.store(true, Ordering::Relaxed);
    let seen: Vec<Seen> = clients.join_all().await;

    let entries = entries(&path);
    let done: Vec<_> = seen.iter().flat_map(|seen| &seen.done).collect();
    let broken: Vec<_> = seen.iter().flat_map(|seen| &seen.broken).collect();
    let lost = done.iter().filter(|id| !entries.contains_key(**id)).count();
    let twice: Vec<_> = entries.iter().filter(|(_, count)| **count > 1).collect();
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, count) in seen.iter().flat_map(|seen| &seen.others) {
        *others.entry(kind).or_default() += count;
    }
    let failed: usize = others.values().sum();
    eprintln!(
        "{times} kills: {} answered 200, {failed} answered {others:?}, {} connections broken, {} done twice, {lost} lost",
        done.len(),
        broken.len(),
        twice.len(),
    );
    assert!(broken.is_empty(), "{broken:?}");
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(lost, 0);
    assert!(
        others.keys().all(|kind| *kind == "502 UpstreamCrashed"),
        "{others:?}"
    );
    // A kill can break only what was inside at that moment.
    assert!(failed <= times * 2 * CLIENTS, "{failed}");
    let restarts = seaworthy.metric("seaworthy_child_restarts_total").await?;
    assert!(restarts >= times as f64, "{restarts} restarts");
    leaves_nothing_behind(&seaworthy, fds).await
}

/// No zombie, no process of an earlier life, no descriptor kept for it.
async fn leaves_nothing_behind(seaworthy: &Seaworthy, fds: usize) -> Result<()> {
    let dead = zombies(seaworthy.pid());
    assert!(dead.is_empty(), "{dead:?}");
    let below = seaworthy.group().descendants();
    assert_eq!(below.len(), 1, "{below:?}");
    // Idle connections to the app may differ; the connections of dead apps would be many more.
    let slack = 4 * CLIENTS;
    holds("descriptors to be returned", PATIENCE, || {
        seaworthy
            .usage()
            .is_ok_and(|usage| usage.fds <= fds + slack)
    })
    .await
}

/// Needs the Python servers.
mod real {
    use super::*;
    use seaworthy_testkit::load::Load;

    #[tokio::test]
    async fn kills_of_uvicorn_cost_only_what_is_inside() -> Result<()> {
        let _turn = alone().await;
        let builder = Seaworthy::run(App::Uvicorn.command()?).current_dir(fixtures());
        let seaworthy = builder
            .set("app.restart.stable_after", "1ms")
            .ready()
            .await?;
        let connections = 8;
        let load = Load::new(seaworthy.public())
            .path("/sleep/5")
            .connections(connections)
            .start();
        let times = scale::count(5);
        let mut last = 0;
        for _ in 0..times {
            seaworthy
                .wait_status("the next life", PATIENCE, |status| {
                    let instance = &status["app"]["instances"][0];
                    instance["state"] == "ready" && instance["pid"] != last
                })
                .await?;
            let before = load.answered();
            holds("answers", PATIENCE, || load.answered() > before + 50).await?;
            last = seaworthy.kill_app(0).await?;
        }
        seaworthy.ready(PATIENCE).await?;
        let report = load.stop().await?;
        eprintln!(
            "uvicorn, {times} kills: {} of {} requests failed: {:?}",
            report.failures(),
            report.total(),
            report.statuses
        );
        assert_eq!(report.refused, 0, "{report:?}");
        // uvicorn writes head and body apart, so a kill may fall between them; then the answer is visibly cut.
        assert_eq!(
            report.failures(),
            report.status(502) + report.cut,
            "{report:?}"
        );
        assert!(
            report.failures() <= (times * connections) as u64,
            "{report:?}"
        );
        Ok(())
    }
}
