//! What is done to the head of an answer.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Live;

/// What is done with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It has this value, whatever the app said.
    Set(HeaderValue),
    /// It has the value that this has by then, whatever the app said.
    Live(Live),
    /// It has this value unless the app said something.
    Default(HeaderValue),
    /// It is taken away.
    Remove,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: HeaderName,
    /// What is done with it.
    pub action: Action,
    /// Only where the client came by TLS, as far as trusted proxies say.
    pub secure_only: bool,
}

/// The fields of one route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(Vec<Entry>);

impl Set {
    /// Nothing is done.
    pub const EMPTY: Self = Self(Vec::new());

    /// Adds an entry, over one of the same name.
    pub fn put(&mut self, entry: Entry) {
        match self.0.iter_mut().find(|other| other.name == entry.name) {
            Some(other) => *other = entry,
            None => self.0.push(entry),
        }
    }

    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does it.
    pub fn apply(&self, headers: &mut HeaderMap, secure: bool) {
        for entry in &self.0 {
            if entry.secure_only && !secure {
                continue;
            }
            match &entry.action {
                Action::Set(value) => drop(headers.insert(&entry.name, value.clone())),
                Action::Live(live) => drop(headers.insert(&entry.name, live.get())),
                Action::Default(value) => {
                    headers.entry(&entry.name).or_insert_with(|| value.clone());
                }
                Action::Remove => drop(headers.remove(&entry.name)),
            }
        }
    }
}

impl FromIterator<Entry> for Set {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut set = Self::default();
        for entry in entries {
            set.put(entry);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &'static str, action: Action) -> Entry {
        Entry {
            name: HeaderName::from_static(name),
            action,
            secure_only: false,
        }
    }

    #[test]
    fn the_app_wins_unless_it_is_told_not_to() {
        let value = HeaderValue::from_static;
        let mut set: Set = [
            entry("x-frame-options", Action::Default(value("DENY"))),
            entry("server", Action::Remove),
            entry("x-a", Action::Set(value("1"))),
        ]
        .into_iter()
        .collect();
        set.put(entry("x-a", Action::Set(value("2"))));
        set.put(Entry {
            secure_only: true,
            ..entry("strict-transport-security", Action::Set(value("max-age=1")))
        });
        let mut headers = HeaderMap::new();
        headers.insert("x-frame-options", value("SAMEORIGIN"));
        headers.insert("server", value("uvicorn"));
        set.apply(&mut headers, false);
        assert_eq!(headers["x-frame-options"], "SAMEORIGIN");
        assert_eq!(headers["x-a"], "2");
        assert_eq!(headers.len(), 2);
        set.apply(&mut headers, true);
        assert_eq!(headers["strict-transport-security"], "max-age=1");
    }
}
