//! Fields laid over the head of an answer, which go into the connection's buffer past the map of its fields.
//!
//! An answer bears more fields of ours than of the app's. In the map each would be hashed, probed for and copied, only to be
//! written like all others; here it is text from the start, and a whole set of them is one copy. Layers write to a [`Sink`]
//! and need not know which one it is: the overlay that HTTP/1 brings along in the exchange, or the map itself for HTTP/2 and
//! for routers in this process.
//!
//! It holds no framing: `Content-Length`, `Transfer-Encoding`, `Connection` and `Date` are the edge's own, and whoever wants
//! to speak of them has to use the map.

mod form;
mod lines;

use std::cell::RefCell;

use http::header::{HeaderMap, HeaderName, HeaderValue};

pub use form::Form;
pub use lines::{Lines, Overlay};

/// What becomes of a field of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It gives way.
    Over,
    /// It stays, and this one gives way.
    Under,
    /// Both stay.
    Beside,
    /// It gives way, and so does one that is put later: as if this one were put last.
    Last,
}

/// The value of a field, in the form that is at hand.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A value.
    Known(&'a HeaderValue),
    /// Text that may be one; what may not stand in a field is left out.
    Text(&'a [u8]),
    /// A number.
    Number(u64),
}

/// What takes fields.
pub trait Sink {
    /// Adds a field.
    fn put(&mut self, rule: Rule, name: &HeaderName, value: Value<'_>);

    /// Takes every field of that name away.
    fn remove(&mut self, name: &HeaderName);

    /// Adds the fields of a form, with these numbers in its blanks.
    fn fill(&mut self, form: &Form, numbers: &[u64]) {
        form.each(numbers, |rule, name, value| self.put(rule, name, value));
    }
}

impl Sink for HeaderMap {
    fn put(&mut self, rule: Rule, name: &HeaderName, value: Value<'_>) {
        let value = match value {
            Value::Known(value) => value.clone(),
            Value::Number(number) => worded(number),
            Value::Text(text) => match HeaderValue::from_bytes(text) {
                Ok(value) => value,
                Err(_) => return,
            },
        };
        match rule {
            // Whoever puts the last into a map is the last to put.
            Rule::Over | Rule::Last => drop(self.insert(name, value)),
            Rule::Under => drop(self.entry(name).or_insert(value)),
            Rule::Beside => drop(self.append(name, value)),
        }
    }

    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }
}

const KEPT: usize = 64;

/// A number as a value. Those of late are kept: most answers of one second say the same.
fn worded(number: u64) -> HeaderValue {
    thread_local! {
        static RECENT: RefCell<Vec<Option<(u64, HeaderValue)>>> = RefCell::new(vec![None; KEPT]);
    }
    let place = usize::try_from(number % KEPT as u64).unwrap_or(0);
    RECENT.with_borrow_mut(|recent| match &recent[place] {
        Some((kept, value)) if *kept == number => value.clone(),
        _ => {
            let value = HeaderValue::from(number);
            recent[place] = Some((number, value.clone()));
            value
        }
    })
}
