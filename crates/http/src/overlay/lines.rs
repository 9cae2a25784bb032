//! The overlay itself: lines of text, and what becomes of those of the same name.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{self, HeaderName};

use super::{Form, Rule, Sink, Value};

/// Digits of the largest number.
const LONGEST_NUMBER: usize = 20;

/// The overlay of one answer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Lines {
    pub(super) text: Vec<u8>,
    lines: Vec<Line>,
    /// The [`bit`] of each name, by which nearly every other field is told apart at once.
    bits: u64,
    hides: bool,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the text: a value may be a secret.
        f.debug_struct("Lines")
            .field("fields", &self.lines.len())
            .finish_non_exhaustive()
    }
}

/// One field: its name, `: `, its value and the line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    start: usize,
    name: usize,
    end: usize,
    rule: Rule,
    hidden: bool,
}

impl Sink for Lines {
    fn put(&mut self, rule: Rule, name: &HeaderName, value: Value<'_>) {
        let mut digits = itoa::Buffer::new();
        let value = match value {
            Value::Known(value) => value.as_bytes(),
            Value::Number(number) => digits.format(number).as_bytes(),
            Value::Text(text) if may_stand_in_a_field(text) => text,
            Value::Text(_) => return,
        };
        self.push(rule, name.as_str().as_bytes(), value);
    }

    fn remove(&mut self, name: &HeaderName) {
        self.take_away(name.as_str().as_bytes());
    }

    fn fill(&mut self, form: &Form, numbers: &[u64]) {
        if self.bits & form.lines.bits != 0 {
            // One may have to give way to the other.
            return form.each(numbers, |rule, name, value| self.put(rule, name, value));
        }
        let text = &form.lines.text;
        let mut blanks = form.blanks.iter().copied().zip(numbers).peekable();
        let (mut from, mut digits) = (0, itoa::Buffer::new());
        self.text
            .reserve(text.len() + LONGEST_NUMBER * numbers.len());
        for line in &form.lines.lines {
            let start = self.text.len();
            while let Some((blank, number)) = blanks.next_if(|(blank, _)| *blank < line.end) {
                self.text.extend_from_slice(&text[from..blank]);
                self.text
                    .extend_from_slice(digits.format(*number).as_bytes());
                from = blank;
            }
            self.text.extend_from_slice(&text[from..line.end]);
            from = line.end;
            let end = self.text.len();
            self.lines.push(Line {
                start,
                end,
                ..*line
            });
        }
        self.bits |= form.lines.bits;
    }
}

impl Lines {
    /// No fields.
    pub const NONE: Self = Self {
        text: Vec::new(),
        lines: Vec::new(),
        bits: 0,
        hides: false,
    };

    /// Whether a field of that name can be laid over a head.
    pub fn may_hold(name: &HeaderName) -> bool {
        ![
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::CONNECTION,
            header::DATE,
        ]
        .contains(name)
    }

    /// Adds all of `others`, by their rules.
    pub fn lay(&mut self, others: &Self) {
        if self.bits & others.bits == 0 {
            let offset = self.text.len();
            self.text.extend_from_slice(&others.text);
            self.lines.extend(others.lines.iter().map(|line| Line {
                start: line.start + offset,
                end: line.end + offset,
                ..*line
            }));
            self.bits |= others.bits;
            self.hides |= others.hides;
            return;
        }
        for line in &others.lines {
            let (name, rest) = others.text[line.start..line.end].split_at(line.name);
            if line.hidden {
                self.take_away(name);
            } else {
                self.push(line.rule, name, &rest[2..rest.len() - 2]);
            }
        }
    }

    fn take_away(&mut self, name: &[u8]) {
        if self.push(Rule::Over, name, b"")
            && let Some(line) = self.lines.last_mut()
        {
            line.hidden = true;
            self.hides = true;
        }
    }

    /// Adds a line, unless it gives way to one that is there.
    fn push(&mut self, rule: Rule, name: &[u8], value: &[u8]) -> bool {
        let bit = bit(name);
        if self.bits & bit != 0 && self.settle(rule, name) {
            return false;
        }
        let start = self.text.len();
        self.text.reserve(name.len() + value.len() + 4);
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
        self.lines.push(Line {
            start,
            name: name.len(),
            end: self.text.len(),
            rule,
            hidden: false,
        });
        self.bits |= bit;
        true
    }

    /// Lets earlier lines of that name give way; says whether the new one has to.
    fn settle(&mut self, rule: Rule, name: &[u8]) -> bool {
        for line in &mut self.lines {
            if line.hidden || self.text[line.start..line.start + line.name] != *name {
                continue;
            }
            if line.rule == Rule::Last {
                return true;
            }
            match rule {
                Rule::Over | Rule::Last => {
                    line.hidden = true;
                    self.hides = true;
                }
                Rule::Under => return true,
                Rule::Beside => {}
            }
        }
        false
    }

    /// Whether a field of the head gives way to one of these. Those that give way to it are not written.
    pub(crate) fn covers(&mut self, name: &HeaderName) -> bool {
        let name = name.as_str().as_bytes();
        if self.bits & bit(name) == 0 {
            return false;
        }
        let text = &self.text;
        let same = |line: &&mut Line| text[line.start..line.start + line.name] == *name;
        // What was laid under a field that had given way already is not under the head's.
        let over = |line: &mut Line| matches!(line.rule, Rule::Over | Rule::Last);
        if self.lines.iter_mut().filter(same).any(over) {
            return true;
        }
        for line in self.lines.iter_mut().filter(same) {
            if line.rule == Rule::Under {
                line.hidden = true;
                self.hides = true;
            }
        }
        false
    }

    /// Appends what is to be written.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if !self.hides {
            out.extend_from_slice(&self.text);
            return;
        }
        for line in self.lines.iter().filter(|line| !line.hidden) {
            out.extend_from_slice(&self.text[line.start..line.end]);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.bits = 0;
        self.hides = false;
    }
}

/// One of 64 bits, by the length of a name and two of its letters: few fields of an answer share one.
fn bit(name: &[u8]) -> u64 {
    let letter = |at: usize| name.get(at).copied().map_or(0, usize::from);
    let (middle, last) = (letter(name.len() / 2), letter(name.len().wrapping_sub(1)));
    1 << ((name.len() ^ last ^ (middle << 1)) % 64)
}

fn may_stand_in_a_field(text: &[u8]) -> bool {
    // To the end in any case: without a way out, many bytes are looked at together.
    let wrong = |byte: u8| (byte < b' ' && byte != b'\t') | (byte == 0x7f);
    !text.iter().fold(false, |found, byte| found | wrong(*byte))
}

/// The overlay that the edge brings along. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Overlay(Arc<Mutex<Lines>>);

impl Overlay {
    /// The fields so far.
    pub fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderMap, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const NAMES: [HeaderName; 4] = [
        header::SERVER,
        header::ALLOW,
        header::REFERRER_POLICY,
        // As long as the one before.
        HeaderName::from_static("x-frame-options"),
    ];

    #[derive(Clone, Debug)]
    enum Step {
        Put(Rule, usize, u64),
        Remove(usize),
        /// Those of another overlay.
        Lay(Vec<(Rule, usize, u64)>),
    }

    fn line() -> impl Strategy<Value = (Rule, usize, u64)> {
        let rule = prop_oneof![Just(Rule::Over), Just(Rule::Under), Just(Rule::Beside)];
        (rule, 0..NAMES.len(), 0..5_u64)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            line().prop_map(|(rule, name, value)| Step::Put(rule, name, value)),
            (0..NAMES.len()).prop_map(Step::Remove),
            prop::collection::vec(line(), 0..4).prop_map(Step::Lay),
        ]
    }

    fn put(sink: &mut impl Sink, (rule, name, value): (Rule, usize, u64)) {
        sink.put(rule, &NAMES[name], Value::Number(value));
    }

    proptest! {
        /// Whatever is done: the head reads as if it had been done to the map.
        #[test]
        fn an_overlay_is_as_good_as_the_map(
            of_app in prop::collection::vec((0..NAMES.len(), 10..15_u64), 0..4),
            steps in prop::collection::vec(step(), 0..8),
        ) {
            let (mut map, mut lines) = (HeaderMap::new(), Lines::NONE);
            for (name, value) in of_app {
                map.append(&NAMES[name], HeaderValue::from(value));
            }
            let head = map.clone();
            for step in steps {
                match step {
                    Step::Put(rule, name, value) => {
                        put(&mut map, (rule, name, value));
                        put(&mut lines, (rule, name, value));
                    }
                    Step::Remove(name) => {
                        Sink::remove(&mut map, &NAMES[name]);
                        Sink::remove(&mut lines, &NAMES[name]);
                    }
                    Step::Lay(others) => {
                        let mut overlay = Lines::NONE;
                        for other in others {
                            put(&mut overlay, other);
                        }
                        // A set decides among its own fields first, as it does when it is put together.
                        for line in overlay.lines.clone() {
                            let (name, rest) = overlay.text[line.start..line.end].split_at(line.name);
                            let name = HeaderName::from_bytes(name).expect("one of ours");
                            if !line.hidden {
                                map.put(line.rule, &name, Value::Text(&rest[2..rest.len() - 2]));
                            }
                        }
                        lines.lay(&overlay);
                    }
                }
            }
            let mut written = Vec::new();
            for (name, value) in &head {
                if !lines.covers(name) {
                    crate::h1::field::write(&mut written, name, value);
                }
            }
            lines.write(&mut written);
            let mut found: Vec<_> = std::str::from_utf8(&written).expect("text").lines().map(str::to_owned).collect();
            let mut wanted: Vec<_> = map
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
                .collect();
            found.sort();
            wanted.sort();
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn what_is_to_be_last_gives_way_to_nothing() {
        let name = &header::SERVER;
        let mut lines = Lines::NONE;
        lines.put(Rule::Beside, name, Value::Text(b"before"));
        lines.put(Rule::Last, name, Value::Text(b"last"));
        let mut other = Lines::NONE;
        other.put(Rule::Over, name, Value::Text(b"laid"));
        lines.lay(&other);
        for rule in [Rule::Over, Rule::Under, Rule::Beside] {
            lines.put(rule, name, Value::Text(b"after"));
        }
        lines.put(Rule::Over, &header::ALLOW, Value::Text(b"other"));
        Sink::remove(&mut lines, name);
        assert!(lines.covers(name));
        let mut written = Vec::new();
        lines.write(&mut written);
        assert_eq!(written, b"server: last\r\nallow: other\r\n");
    }

    #[test]
    fn no_value_is_shown() {
        let mut lines = Lines::NONE;
        lines.put(Rule::Over, &header::SERVER, Value::Text(b"s3cret"));
        // Neither as text nor as the numbers of its bytes.
        assert_eq!(format!("{lines:?}"), "Lines { fields: 1, .. }");
    }

    #[test]
    fn no_value_ends_its_line() {
        let mut lines = Lines::NONE;
        for text in [&b"a\r\nset-cookie: b"[..], b"a\nb", b"a\0"] {
            lines.put(Rule::Over, &header::SERVER, Value::Text(text));
        }
        assert_eq!(lines, Lines::NONE);
    }
}
