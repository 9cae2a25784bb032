//! What is done to the head of an answer.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Live;
use crate::overlay::{Lines, Rule, Sink, Value};

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

impl Entry {
    fn write(&self, sink: &mut impl Sink) {
        match &self.action {
            Action::Set(value) => sink.put(Rule::Over, &self.name, Value::Known(value)),
            Action::Live(live) => sink.put(Rule::Over, &self.name, Value::Known(&live.get())),
            Action::Default(value) => sink.put(Rule::Under, &self.name, Value::Known(value)),
            Action::Remove => sink.remove(&self.name),
        }
    }

    /// Whether it can be written once for all answers.
    fn is_fixed(&self) -> bool {
        !matches!(self.action, Action::Live(_)) && Lines::may_hold(&self.name)
    }
}

/// The fields of one route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    entries: Vec<Entry>,
    /// Those that are the same in every answer, written: without TLS, and with it.
    fixed: [Lines; 2],
}

impl Set {
    /// Nothing is done.
    pub const EMPTY: Self = Self {
        entries: Vec::new(),
        fixed: [Lines::NONE; 2],
    };

    /// Adds an entry, over one of the same name.
    pub fn put(&mut self, entry: Entry) {
        let mut others = self.entries.iter_mut();
        match others.find(|other| other.name == entry.name) {
            Some(other) => *other = entry,
            None => self.entries.push(entry),
        }
        for (lines, secure) in self.fixed.iter_mut().zip([false, true]) {
            *lines = Lines::NONE;
            let holding = self.entries.iter().filter(|entry| entry.is_fixed());
            for entry in holding.filter(|entry| secure || !entry.secure_only) {
                entry.write(lines);
            }
        }
    }

    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Does it to the map.
    pub fn apply(&self, headers: &mut HeaderMap, secure: bool) {
        for entry in self.that_hold(secure) {
            entry.write(headers);
        }
    }

    /// Does it to an answer whose head has an overlay, and to the map only what no overlay can hold.
    pub fn lay(&self, laid: &mut Lines, headers: &mut HeaderMap, secure: bool) {
        laid.lay(&self.fixed[usize::from(secure)]);
        for entry in self.that_hold(secure).filter(|entry| !entry.is_fixed()) {
            if Lines::may_hold(&entry.name) {
                entry.write(laid);
            } else {
                entry.write(headers);
            }
        }
    }

    fn that_hold(&self, secure: bool) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter();
        entries.filter(move |entry| secure || !entry.secure_only)
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

    #[test]
    fn an_overlay_says_the_same_and_leaves_framing_to_the_map() {
        let value = HeaderValue::from_static;
        let live = Live::new(value("secret"));
        let set: Set = [
            entry("x-frame-options", Action::Default(value("DENY"))),
            entry("server", Action::Remove),
            entry("x-a", Action::Live(live)),
            entry("date", Action::Set(value("never"))),
        ]
        .into_iter()
        .collect();
        for app in [Some("SAMEORIGIN"), None] {
            let mut headers = HeaderMap::new();
            headers.insert("server", value("uvicorn"));
            if let Some(app) = app {
                headers.insert("x-frame-options", value(app));
            }
            let mut laid = Lines::NONE;
            set.lay(&mut laid, &mut headers, false);
            assert_eq!(headers["date"], "never");
            let own: Vec<_> = headers.keys().filter(|name| laid.covers(name)).collect();
            assert_eq!(own, ["server"]);
            let mut written = Vec::new();
            laid.write(&mut written);
            let expected = match app {
                Some(_) => &b"x-a: secret\r\n"[..],
                None => b"x-frame-options: DENY\r\nx-a: secret\r\n",
            };
            assert_eq!(written, expected);
        }
    }
}
