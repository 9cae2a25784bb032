//! Notices that a file of the configuration has changed.
//!
//! Folders are watched and contents are compared: editors and ConfigMaps replace files instead of writing into them, and the
//! kind of event says little. What no event tells of, as on some network file systems, a look every ten seconds finds.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use seaworthy_config::Sources;
use seaworthy_core::names::event;
use tokio::sync::mpsc;

use crate::reload::{Ask, Asker, Source};

/// A change is often several events, and a file is written in several steps.
const SETTLE: Duration = Duration::from_millis(100);
/// How often contents are compared without any event.
const LOOK: Duration = Duration::from_secs(10);
/// The most of a file that is compared.
const MOST: u64 = 64 << 20;

/// Asks for a reload whenever one of `files` has other contents, for as long as it is polled. `taken_in` are the [`marks`] of what was
/// read of them before.
pub(super) async fn watch(files: Vec<PathBuf>, taken_in: Vec<u64>, asker: Asker) {
    let (events, mut happened) = mpsc::channel(1);
    let watcher = start(&files, events.clone());
    let mut seen = fingerprint(&files).await;
    // What was written after it was read and before it was watched, no event will tell of.
    if seen.iter().flatten().any(|mark| !taken_in.contains(mark)) {
        asker.nudge(Ask::new(Source::File));
    }
    loop {
        // Without a watcher the channel stays open and silent, and the look remains.
        if tokio::time::timeout(LOOK, happened.recv()).await.is_ok() {
            tokio::time::sleep(SETTLE).await;
            while happened.try_recv().is_ok() {}
        }
        let now = fingerprint(&files).await;
        if now != seen {
            seen = now;
            asker.nudge(Ask::new(Source::File));
        }
        // Held until here, because events end with it.
        let _ = &watcher;
    }
}

fn start(files: &[PathBuf], events: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let tell = move |_: notify::Result<notify::Event>| {
        // One that waits already will do.
        events.try_send(()).ok();
    };
    let mut watcher = match notify::recommended_watcher(tell) {
        Ok(watcher) => watcher,
        Err(error) => {
            refused(&error);
            return None;
        }
    };
    let mut folders: Vec<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            refused(&error);
        }
    }
    Some(watcher)
}

fn refused(error: &notify::Error) {
    tracing::warn!(
        event = event::CONFIG_WARNING,
        %error,
        "changes of files are found every {} s only: the system does not tell of them",
        LOOK.as_secs()
    );
}

/// A number for what each file of a configuration held. Where secrets were taken out of what is kept of it, it is another one.
pub(super) fn marks(sources: &Sources) -> Vec<u64> {
    let files = sources.iter().filter(|source| source.is_file);
    files.map(|source| mark(source.text.as_bytes())).collect()
}

fn mark(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// What the files hold, or that they cannot be read, in one number each.
async fn fingerprint(files: &[PathBuf]) -> Vec<Option<u64>> {
    let files = files.to_vec();
    let read = move || files.iter().map(|file| contents(file)).collect();
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

fn contents(file: &Path) -> Option<u64> {
    let regular = fs::metadata(file).ok().filter(fs::Metadata::is_file);
    regular?;
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).ok()?;
    opened.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(mark(&bytes))
}
