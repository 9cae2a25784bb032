//! What differs between two configurations, and what of it a running service can take in.
//!
//! Values are compared as they are in effect, so a default that is written out is no change. Lists are compared item by item
//! in their order. A secret that differs is a change, but neither the old one nor the new one is told.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map as JsonMap, Value as Json};

use crate::loaded::Loaded;
use crate::node::{Node, Value};
use crate::path::{Path, Segment};
use crate::schema;
use crate::secret::MASK;

/// One setting that is different.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Its address.
    pub path: String,
    /// What it was; `None` when it was not set. Secrets are masked.
    pub from: Option<Json>,
    /// What it is.
    pub to: Option<Json>,
    /// Whether it holds only after a restart.
    pub requires_restart: bool,
}

/// What became of a configuration that was loaded anew.
#[derive(Debug, Clone)]
pub struct Reloaded<T> {
    /// What holds from now on: the new configuration, but for what only a restart can change.
    pub loaded: Loaded<T>,
    /// The hash of all that was asked for, what waits for a restart included.
    pub hash: String,
    /// Everything that is different from what was running, in the order of the settings.
    pub changes: Vec<Change>,
}

impl<T> Reloaded<T> {
    /// The settings that stay as they are until a restart.
    pub fn requires_restart(&self) -> impl Iterator<Item = &str> {
        let changes = self.changes.iter();
        changes
            .filter(|change| change.requires_restart)
            .map(|change| change.path.as_str())
    }

    /// Whether anything is different from now on.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        self.changes.iter().any(|change| !change.requires_restart)
    }
}

/// What differs between two configurations as JSON, as [`Loaded::record`] gives them. Nothing is known of restarts.
#[must_use]
pub fn differ(before: &Json, after: &Json) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&Path::root(), Some(before), Some(after), &mut changes);
    changes
}

/// All that differs, with what of it waits for a restart.
pub(crate) fn between<T: Serialize>(
    schema: &Json,
    before: &Loaded<T>,
    after: &Loaded<T>,
) -> Vec<Change> {
    let mut changes = differ(&before.canonical(), &after.canonical());
    secrets(before, after, &mut changes);
    let restarts = schema::restarts(schema);
    for change in &mut changes {
        let path = Path::from(change.path.as_str());
        change.requires_restart = restarts.iter().any(|one| one.overlaps(&path));
    }
    changes
}

/// The settings that have to stay as they are. Those of a section that is gone from `asked` go with it.
pub(crate) fn kept<T: Serialize>(
    schema: &Json,
    changes: &[Change],
    asked: &Loaded<T>,
) -> Vec<Path> {
    let waiting = changes.iter().filter(|change| change.requires_restart);
    let waiting: Vec<Path> = waiting
        .map(|change| Path::from(change.path.as_str()))
        .collect();
    let mut restarts = schema::restarts(schema);
    let asked = asked.canonical();
    let has_place = |one: &Path| {
        let section = one.parent().and_then(|section| at(&asked, &section));
        section.is_some_and(|section| !section.is_null())
    };
    restarts.retain(|one| has_place(one) && waiting.iter().any(|path| path.overlaps(one)));
    restarts
}

/// Takes back that a change waits for a restart where what is in effect now is what was asked for.
pub(crate) fn settle<T: Serialize>(
    changes: &mut [Change],
    asked: &Loaded<T>,
    in_effect: &Loaded<T>,
) {
    let (asked, in_effect) = (asked.canonical(), in_effect.canonical());
    for change in changes.iter_mut().filter(|change| change.requires_restart) {
        let path = Path::from(change.path.as_str());
        let is_secret = change.from.as_ref().is_some_and(|from| from == MASK);
        change.requires_restart = is_secret || at(&asked, &path) != at(&in_effect, &path);
    }
}

fn at<'a>(json: &'a Json, path: &Path) -> Option<&'a Json> {
    let mut steps = path.segments().iter();
    steps.try_fold(json, |json, segment| match segment {
        Segment::Key(key) => json.get(key),
        Segment::Index(index) => json.get(index),
    })
}

fn compare(path: &Path, before: Option<&Json>, after: Option<&Json>, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    let none = JsonMap::new();
    let old_section = before.map_or(Some(&none), Json::as_object);
    let new_section = after.map_or(Some(&none), Json::as_object);
    if let (Some(old), Some(new)) = (old_section, new_section)
        && !(old.is_empty() && new.is_empty())
    {
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            let path = path.key(key.as_str());
            compare(&path, old.get(key), new.get(key), changes);
        }
        return;
    }
    match (before, after) {
        (Some(Json::Array(old)), Some(Json::Array(new)))
            if old.iter().chain(new).all(Json::is_object) =>
        {
            for index in 0..old.len().max(new.len()) {
                compare(&path.index(index), old.get(index), new.get(index), changes);
            }
        }
        _ => changes.push(Change {
            path: path.to_string(),
            from: before.cloned(),
            to: after.cloned(),
            requires_restart: false,
        }),
    }
}

/// Secrets that differ, because masked they look all the same.
fn secrets<T>(before: &Loaded<T>, after: &Loaded<T>, changes: &mut Vec<Change>) {
    let (old, new) = (before.secret_values(), after.secret_values());
    for (path, value) in &new {
        let same_place = old.get(path);
        if same_place.is_some_and(|old| old != value)
            && !changes
                .iter()
                .any(|change| Path::from(change.path.as_str()).overlaps(path))
        {
            changes.push(Change {
                path: path.to_string(),
                from: Some(MASK.into()),
                to: Some(MASK.into()),
                requires_restart: false,
            });
        }
    }
}

/// Whether a text is an address with a password in it, as in `redis://:secret@host`.
fn has_password(text: &str) -> bool {
    let after = text.split_once("://").map(|(_, after)| after);
    let authority = after.map(|after| after.split(['/', '?', '#']).next().unwrap_or(after));
    let user = authority.and_then(|authority| authority.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
}

impl<T> Loaded<T> {
    /// All that was said, merged and without defaults, as JSON that [`Loader::version`](crate::Loader::version) reads again. Secrets are
    /// masked.
    #[must_use]
    pub fn record(&self) -> Json {
        let mut tree = self.tree.clone();
        let mut put = |path: &Path, text: &str| {
            if let Some(origin) = tree.at(path).map(|node| node.origin) {
                let value = Value::Text(text.to_owned());
                tree.set(path, Node { value, origin });
            }
        };
        for path in self.secret_values().into_keys() {
            put(&path, MASK);
        }
        // A reference holds no secret, and what it stands for is not for others to read.
        for one in &self.written {
            put(&one.path, one.whole.as_deref().unwrap_or(MASK));
        }
        tree.to_json()
    }

    /// The secrets themselves by their places, and whatever else is shown as it was written and not as it is.
    pub(crate) fn secret_values(&self) -> BTreeMap<Path, Json> {
        let mut found = BTreeMap::new();
        self.tree.each(&Path::root(), &mut |path, node| {
            let is_reference = self.written.iter().any(|one| one.path == *path);
            let bears_one = matches!(&node.value, Value::Text(text) if has_password(text));
            if is_reference || bears_one || self.secrets.contains(path) {
                found.insert(path.clone(), node.to_json());
            }
        });
        found
    }
}
