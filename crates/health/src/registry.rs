//! What the registry and the tasks of its checks share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seaworthy_core::health::Status;
use tokio::sync::{Semaphore, watch};

use crate::entry::Entry;
use crate::report::{Component, Report};

pub(crate) struct Inner {
    pub(crate) entries: Mutex<Vec<Entry>>,
    pub(crate) newest: watch::Sender<Arc<Report>>,
    pub(crate) places: Semaphore,
    pub(crate) tell: Box<dyn Fn(&Change) + Send + Sync>,
    pub(crate) ids: AtomicU64,
}

/// What has changed, for whoever writes events.
#[derive(Clone, Debug)]
pub enum Change {
    /// A component is shown with another word.
    Status {
        /// The word before.
        from: Status,
        /// What is shown now.
        now: Arc<Component>,
    },
    /// There is a new report. This is told before whoever caused it goes on, so that what follows sees it.
    Report(Arc<Report>),
    /// What an operator had set ended by itself.
    Expired {
        /// What is shown now.
        now: Arc<Component>,
    },
}

impl Inner {
    pub(crate) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes an entry and publishes what is shown then, telling what changed. `None` when the check is gone.
    pub(crate) fn change<T>(&self, id: u64, act: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut entries = self.entries();
        let entry = entries.iter_mut().find(|entry| entry.id == id)?;
        let before = entry.shown().clone();
        let result = act(entry);
        let now = entry.shown().clone();
        if !Arc::ptr_eq(&before, &now) {
            self.publish(&entries);
        }
        drop(entries);
        self.tell_status(&before, &now);
        Some(result)
    }

    pub(crate) fn tell(&self, change: &Change) {
        (self.tell)(change);
    }

    pub(crate) fn tell_status(&self, before: &Component, now: &Arc<Component>) {
        // A first result that is bad is news as well, although nothing better was shown before.
        let first = before.checked_at.is_none() && now.checked_at.is_some();
        if before.status != now.status || (first && now.status != Status::Healthy) {
            let (from, now) = (before.status, now.clone());
            self.tell(&Change::Status { from, now });
        }
    }

    pub(crate) fn publish(&self, entries: &[Entry]) {
        let components = entries.iter().map(|entry| entry.shown().clone()).collect();
        let report = Arc::new(Report::new(components));
        self.newest.send_replace(report.clone());
        self.tell(&Change::Report(report));
    }
}
