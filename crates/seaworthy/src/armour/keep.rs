//! Keeps the bans in a file, so that a restart lets nobody in.
//!
//! The file has whole addresses, because a block is of no use without; only the user of the service can read it. It is
//! written whole, beside the old one, and then takes its place.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use seaworthy_core::ban::{Cause, Target};
use seaworthy_core::names::event;
use seaworthy_http::ban::redis::Shared;
use serde::{Deserialize, Serialize};

use super::Armour;
use super::share::{self, Known};
use crate::config::Config;
use crate::draft::Draft;

const FILE: &str = "bans.json";
/// How often the table is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often what is over is forgotten, in looks.
const SWEEP: u32 = 5;

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    address: String,
    until: Timestamp,
    reason: String,
    /// Whether those who share bans were told.
    #[serde(default)]
    shared: bool,
}

/// Reads the bans of the last life from `folder`, keeps those of this one there and shares them with other instances, until it
/// is dropped. Where the configuration asks for neither, it forgets what is over.
pub fn keep(
    config: &Config,
    armour: &Armour,
    folder: PathBuf,
) -> impl Future<Output = ()> + Send + 'static {
    let persist = config.bans.as_ref().is_none_or(|bans| bans.persist);
    let shared = share::open(config, armour);
    run(armour.clone(), folder.join(FILE), persist, shared)
}

/// The same without a folder: blocks end with the process.
pub fn tend(config: &Config, armour: &Armour) -> impl Future<Output = ()> + Send + 'static {
    let shared = share::open(config, armour);
    run(armour.clone(), PathBuf::new(), false, shared)
}

async fn run(armour: Armour, path: PathBuf, persist: bool, shared: Option<Shared>) {
    let known = Arc::new(Known::default());
    let told = if persist {
        restore(&armour, &path)
    } else {
        HashSet::new()
    };
    // After that: others may have lifted what was restored.
    if let Some(shared) = shared {
        known.replace(told);
        tokio::spawn(share::share(armour.clone(), shared, known.clone()));
    }
    let mut written = (armour.bans.version(), known.version());
    let mut looks = 0_u32;
    loop {
        tokio::time::sleep(LOOK).await;
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(SWEEP) {
            armour.sweep();
        }
        let version = (armour.bans.version(), known.version());
        if !persist || version == written {
            continue;
        }
        written = version;
        let (armour, path, known) = (armour.clone(), path.clone(), known.clone());
        // Written where waiting for a disk holds nobody up.
        let write = tokio::task::spawn_blocking(move || {
            store(&armour, &known, &path).map_err(|error| (error, path))
        });
        if let Ok(Err((error, path))) = write.await {
            tracing::warn!(event = event::BAN_FILE, %error, path = %path.display(), "the bans could not be written: after a restart those who are blocked may come in again");
        }
    }
}

/// Those come back whom others were told of.
fn restore(armour: &Armour, path: &Path) -> HashSet<Target> {
    let kept = match read(path) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(event = event::BAN_FILE, %error, path = %path.display(), "the bans of the last life could not be read; it begins with none");
            Vec::new()
        }
    };
    let (now, wall) = (armour.now(), Timestamp::now());
    let mut restored = 0_usize;
    let mut told = HashSet::new();
    for one in kept {
        let left = Duration::try_from(one.until.duration_since(wall)).unwrap_or_default();
        let left = left * armour.clock.scale();
        if let (Ok(target), false) = (one.address.parse::<Target>(), left.is_zero()) {
            armour
                .bans
                .ban(target, left, Cause::Hand(one.reason.into()), now);
            restored += 1;
            if one.shared {
                told.insert(target);
            }
        }
    }
    if restored > 0 {
        tracing::info!(
            event = event::BAN_SET,
            restored,
            "{restored} bans hold on from before the restart"
        );
    }
    told
}

fn read(path: &Path) -> io::Result<Vec<Kept>> {
    match std::fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn store(armour: &Armour, known: &Known, path: &Path) -> io::Result<()> {
    let (now, wall) = (armour.now(), Timestamp::now());
    let told = known.get();
    let kept: Vec<Kept> = armour
        .bans
        .bans(now)
        .into_iter()
        .map(|ban| Kept {
            address: ban.target.to_string(),
            until: wall
                .checked_add(armour.clock.real(ban.until.since(now)))
                .unwrap_or(Timestamp::MAX),
            reason: ban.cause.words().to_owned(),
            shared: told.contains(&ban.target),
        })
        .collect();
    Draft::write(path, &serde_json::to_vec_pretty(&kept)?, 0o600)?.commit()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use seaworthy_core::clock::Clock;
    use seaworthy_core::route::RouteTable;
    use seaworthy_lifecycle::journal::Journal;
    use seaworthy_telemetry::metrics::Registry;

    use super::*;

    fn armour() -> Armour {
        let registry = Registry::new(RouteTable::default().templates());
        let clock = Clock::new(Instant::now(), 1);
        Armour::new(&Config::default(), clock, &registry, &Journal::new())
    }

    #[test]
    fn a_restart_knows_which_bans_others_were_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let targets: [Target; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let (before, known) = (armour(), Known::default());
        for target in targets {
            let hour = Duration::from_secs(3_600);
            before
                .bans
                .ban(target, hour, Cause::Threshold, before.now());
        }
        known.replace(HashSet::from([targets[0]]));
        store(&before, &known, &path).unwrap();
        let after = armour();
        assert_eq!(restore(&after, &path), HashSet::from([targets[0]]));
        assert_eq!(after.bans.bans(after.now()).len(), 2);
        // A file of a version that did not say so: nobody was told.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"shared\": true", "\"times\": 1")).unwrap();
        assert!(restore(&armour(), &path).is_empty());
    }
}
