//! The table of those who drew attention lately.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::event::{Event, Events};
use crate::clock::Moment;
use crate::window::Window;

/// When somebody is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What counts.
    pub events: Events,
    /// So many events within the window flag.
    pub threshold: u32,
    /// The length of the window.
    pub window: Duration,
    /// How long a flag stays.
    pub keep: Duration,
}

/// Who an event is about. The text is personal: what shows it masks or hashes it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Suspect<'a> {
    /// The word of what vouches for it, or `client`.
    pub kind: &'static str,
    /// What it is known by.
    pub id: &'a str,
}

/// A remark on somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The word of what vouches for him, or `client`.
    pub kind: Box<str>,
    /// What he is known by.
    pub id: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// Since when.
    pub since: Moment,
    /// The latest event.
    pub last: Moment,
    /// Until when.
    pub until: Moment,
    /// Events within the window when it was set, and all since.
    pub count: u64,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// It does not count.
    Ignored,
    /// It was counted.
    Counted,
    /// It was one too many: this is the new flag.
    Flagged(Flag),
}

#[derive(Debug, Default)]
struct Entry {
    window: Window,
    flag: Option<Flag>,
}

type Key = (Box<str>, Box<str>);

/// See the [module documentation](super).
#[derive(Debug)]
pub struct Watch {
    entries: Mutex<HashMap<Key, Entry>>,
    most: usize,
    lost: AtomicU64,
    flags: AtomicU64,
}

impl Watch {
    /// Watches at most `most` at a time.
    pub fn new(most: usize) -> Self {
        Self {
            entries: Mutex::default(),
            most: most.max(1),
            lost: AtomicU64::new(0),
            flags: AtomicU64::new(0),
        }
    }

    /// Notes an event.
    pub fn note(&self, who: Suspect<'_>, event: Event, rules: &Rules, now: Moment) -> Noted {
        if !rules.events.has(event) {
            return Noted::Ignored;
        }
        let mut entries = self.entries();
        let key: Key = (who.kind.into(), who.id.into());
        if !entries.contains_key(&key) && !room(&mut entries, self.most, rules, now) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Noted::Ignored;
        }
        let entry = entries.entry(key).or_default();
        let count = entry.window.note(now, rules.window, rules.threshold);
        if let Some(flag) = entry.flag.as_mut().filter(|flag| flag.until > now) {
            flag.last = now;
            flag.count += 1;
            return Noted::Counted;
        }
        if count < rules.threshold {
            return Noted::Counted;
        }
        let reason = format!(
            "{count} events within {} s, the last of them {}",
            rules.window.as_secs(),
            event.word()
        );
        let mut flag = flag(who, &reason, now, rules.keep);
        flag.count = u64::from(count);
        entry.flag = Some(flag.clone());
        self.flags.fetch_add(1, Ordering::Release);
        Noted::Flagged(flag)
    }

    /// Flags somebody by hand. `false` when there is no room.
    pub fn flag(&self, who: Suspect<'_>, reason: &str, keep: Duration, now: Moment) -> bool {
        let mut entries = self.entries();
        let key: Key = (who.kind.into(), who.id.into());
        if !entries.contains_key(&key) && entries.len() >= self.most * 2 {
            return false;
        }
        entries.entry(key).or_default().flag = Some(flag(who, reason, now, keep));
        self.flags.fetch_add(1, Ordering::Release);
        true
    }

    /// Clears the flags of everybody known by `id`, and forgets the events. `false` when there were none.
    pub fn clear(&self, id: &str, now: Moment) -> bool {
        let mut cleared = false;
        self.entries().retain(|(_, other), entry| {
            let meant = **other == *id;
            cleared |= meant && entry.flag.as_ref().is_some_and(|flag| flag.until > now);
            !meant
        });
        cleared
    }

    /// Until when `who` is flagged. Costs nothing as long as nobody is.
    pub fn flagged_until(&self, who: Suspect<'_>, now: Moment) -> Option<Moment> {
        if self.flags.load(Ordering::Acquire) == 0 {
            return None;
        }
        let key: Key = (who.kind.into(), who.id.into());
        let entries = self.entries();
        let flag = entries.get(&key)?.flag.as_ref()?;
        (flag.until > now).then_some(flag.until)
    }

    /// All flags, the latest first.
    pub fn flags(&self, now: Moment) -> Vec<Flag> {
        let entries = self.entries();
        let flags = entries.values().filter_map(|entry| entry.flag.clone());
        let mut flags: Vec<Flag> = flags.filter(|flag| flag.until > now).collect();
        flags.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.id.cmp(&b.id)));
        flags
    }

    /// How many are watched.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Events that were not kept for want of room.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Forgets all for whom that changes nothing. Call it every few seconds.
    pub fn sweep(&self, rules: &Rules, now: Moment) {
        self.entries()
            .retain(|_, entry| !is_over(entry, rules, now));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn flag(who: Suspect<'_>, reason: &str, now: Moment, keep: Duration) -> Flag {
    Flag {
        kind: who.kind.into(),
        id: who.id.into(),
        reason: reason.into(),
        since: now,
        last: now,
        until: now.after(keep),
        count: 0,
    }
}

fn is_over(entry: &mut Entry, rules: &Rules, now: Moment) -> bool {
    let flagged = entry.flag.as_ref().is_some_and(|flag| flag.until > now);
    !flagged && entry.window.count(now, rules.window) == 0
}

/// When the table is full, so many of its entries are looked at for some that are no longer needed.
const LOOKED_AT: usize = 32;

fn room(entries: &mut HashMap<Key, Entry>, most: usize, rules: &Rules, now: Moment) -> bool {
    if entries.len() < most {
        return true;
    }
    let looked_at = entries.iter_mut().take(LOOKED_AT);
    let over: Vec<Key> = looked_at
        .filter_map(|(key, entry)| is_over(entry, rules, now).then(|| key.clone()))
        .collect();
    for key in &over {
        entries.remove(key);
    }
    !over.is_empty()
}
