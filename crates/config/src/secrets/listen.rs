//! Who is told which secrets have changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

/// Hears of secrets that have changed. Nothing is lost between two questions; names that changed twice come once.
#[derive(Debug)]
pub struct Changes(Arc<Ear>);

#[derive(Debug, Default)]
struct Ear {
    names: Mutex<BTreeSet<String>>,
    news: Notify,
}

impl Changes {
    /// Waits until something has changed, and says what.
    pub async fn next(&self) -> BTreeSet<String> {
        loop {
            let names = std::mem::take(&mut *lock(&self.0.names));
            if !names.is_empty() {
                return names;
            }
            // A permit is kept when somebody told us in between.
            self.0.news.notified().await;
        }
    }
}

/// All who listen.
#[derive(Debug, Default)]
pub(super) struct Ears(Mutex<Vec<Weak<Ear>>>);

impl Ears {
    pub(super) fn listen(&self) -> Changes {
        let ear = Arc::new(Ear::default());
        let mut ears = lock(&self.0);
        ears.retain(|ear| ear.strong_count() > 0);
        ears.push(Arc::downgrade(&ear));
        Changes(ear)
    }

    pub(super) fn tell(&self, names: &BTreeSet<String>) {
        if names.is_empty() {
            return;
        }
        for ear in lock(&self.0).iter().filter_map(Weak::upgrade) {
            lock(&ear.names).extend(names.iter().cloned());
            ear.news.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Every change is a single step, so a panic elsewhere leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
