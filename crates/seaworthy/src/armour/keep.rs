//! Keeps the bans in a file, so that a restart lets nobody in.
//!
//! The file has whole addresses, because a block is of no use without; only the user of the service can read it. It is
//! written whole, beside the old one, and then takes its place.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use seaworthy_core::ban::{Cause, Target};
use seaworthy_core::names::event;
use seaworthy_http::ban::redis::Shared;
use serde::{Deserialize, Serialize};

use super::{Armour, share};
use crate::config::Config;
use crate::instance::folder;

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
    if persist {
        restore(&armour, &path);
    }
    // After that: others may have lifted what was restored.
    if let Some(shared) = shared {
        tokio::spawn(share::share(armour.clone(), shared));
    }
    let mut written = armour.bans.version();
    let mut looks = 0_u32;
    loop {
        tokio::time::sleep(LOOK).await;
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(SWEEP) {
            armour.sweep();
        }
        let version = armour.bans.version();
        if !persist || version == written {
            continue;
        }
        written = version;
        let (armour, path) = (armour.clone(), path.clone());
        // Written where waiting for a disk holds nobody up.
        let write = tokio::task::spawn_blocking(move || {
            store(&armour, &path).map_err(|error| (error, path))
        });
        if let Ok(Err((error, path))) = write.await {
            tracing::warn!(event = event::BAN_FILE, %error, path = %path.display(), "the bans could not be written: after a restart those who are blocked may come in again");
        }
    }
}

fn restore(armour: &Armour, path: &Path) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return tell(path, &error),
    };
    let kept: Vec<Kept> = match serde_json::from_str(&text) {
        Ok(kept) => kept,
        Err(error) => return tell(path, &error),
    };
    let (now, wall) = (armour.now(), Timestamp::now());
    let mut restored = 0_usize;
    for one in kept {
        let left = Duration::try_from(one.until.duration_since(wall)).unwrap_or_default();
        let left = left * armour.clock.scale();
        if let (Ok(target), false) = (one.address.parse::<Target>(), left.is_zero()) {
            armour
                .bans
                .ban(target, left, Cause::Hand(one.reason.into()), now);
            restored += 1;
        }
    }
    if restored > 0 {
        tracing::info!(
            event = event::BAN_SET,
            restored,
            "{restored} bans hold on from before the restart"
        );
    }
}

fn tell(path: &Path, error: &dyn std::error::Error) {
    tracing::warn!(event = event::BAN_FILE, %error, path = %path.display(), "the bans of the last life could not be read; it begins with none");
}

fn store(armour: &Armour, path: &Path) -> io::Result<()> {
    let (now, wall) = (armour.now(), Timestamp::now());
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
        })
        .collect();
    folder::replace(path, &serde_json::to_vec_pretty(&kept)?)
}
