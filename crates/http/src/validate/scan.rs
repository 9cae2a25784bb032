//! One look over a body before it is parsed: without recursion, and without building anything from it.
//!
//! It refuses what is no JSON (RFC 8259), what is nested too deeply, numbers that nobody can mean, and objects in which the
//! same name stands twice, because parsers differ about which one counts. What it lets through, a parser need not fear.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

/// No limit for depth may be higher: the parser after this stops at 128.
pub const DEEPEST: usize = 120;
/// A number with more digits than this is no number that anybody means.
const LONGEST_NUMBER: usize = 128;
/// With more names than this an object's names go into a table.
const FEW: usize = 16;

/// The names of an object that is open: their hashes, which a client cannot choose.
enum Names {
    Few(Vec<u64>),
    Many(HashSet<u64>),
}

impl Names {
    /// Whether it was not there before.
    fn insert(&mut self, name: u64) -> bool {
        match self {
            Self::Few(names) => {
                if names.contains(&name) {
                    return false;
                }
                names.push(name);
                if names.len() > FEW {
                    *self = Self::Many(names.iter().copied().collect());
                }
                true
            }
            Self::Many(names) => names.insert(name),
        }
    }
}

/// What is open, and what must come next.
enum Open {
    Array,
    Object(Names),
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
    deepest: usize,
    hasher: RandomState,
}

/// Whether `body` is JSON that may be parsed.
///
/// # Errors
/// What is wrong with it.
pub fn scan(body: &[u8], deepest: usize) -> Result<(), &'static str> {
    if std::str::from_utf8(body).is_err() {
        return Err("the body is not UTF-8");
    }
    let mut scanner = Scanner {
        bytes: body,
        at: 0,
        open: Vec::new(),
        deepest: deepest.min(DEEPEST),
        hasher: RandomState::new(),
    };
    scanner.blanks();
    if scanner.peek().is_none() {
        return Err("the body is empty");
    }
    scanner.document()?;
    scanner.blanks();
    match scanner.peek() {
        None => Ok(()),
        Some(_) => Err("the body goes on after its end"),
    }
}

const NOT_JSON: &str = "the body is no JSON";

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), &'static str> {
        loop {
            self.blanks();
            let ended = self.value()?;
            if ended && !self.after_value()? {
                return Ok(());
            }
        }
    }

    /// Reads the beginning of a value. Whether that was all of it.
    fn value(&mut self) -> Result<bool, &'static str> {
        match self.peek().ok_or(NOT_JSON)? {
            b'[' => {
                self.enter(Open::Array)?;
                self.blanks();
                if self.peek() == Some(b']') {
                    self.leave();
                    return Ok(true);
                }
                Ok(false)
            }
            b'{' => {
                self.enter(Open::Object(Names::Few(Vec::new())))?;
                self.blanks();
                if self.peek() == Some(b'}') {
                    self.leave();
                    return Ok(true);
                }
                self.name()?;
                Ok(false)
            }
            b'"' => self.text().map(|_| true),
            b'-' | b'0'..=b'9' => self.number().map(|()| true),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'N' | b'I' => Err("NaN and Infinity are no numbers in JSON"),
            _ => Err(NOT_JSON),
        }
    }

    /// What follows a value: another one, or the end of what is open. Whether another value comes.
    fn after_value(&mut self) -> Result<bool, &'static str> {
        loop {
            self.blanks();
            match (self.open.last(), self.peek()) {
                (None, _) => return Ok(false),
                (Some(Open::Array), Some(b']')) | (Some(Open::Object(_)), Some(b'}')) => {
                    self.leave()
                }
                (Some(Open::Array), Some(b',')) => {
                    self.at += 1;
                    return Ok(true);
                }
                (Some(Open::Object(_)), Some(b',')) => {
                    self.at += 1;
                    self.blanks();
                    self.name()?;
                    return Ok(true);
                }
                _ => return Err(NOT_JSON),
            }
        }
    }

    fn enter(&mut self, open: Open) -> Result<(), &'static str> {
        if self.open.len() >= self.deepest {
            return Err("the body is nested too deeply");
        }
        self.open.push(open);
        self.at += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.open.pop();
        self.at += 1;
    }

    /// A name and its colon.
    fn name(&mut self) -> Result<(), &'static str> {
        if self.peek() != Some(b'"') {
            return Err(NOT_JSON);
        }
        let (place, escaped) = self.text()?;
        let raw = &self.bytes[place];
        let hash = if escaped {
            let name: String = serde_json::from_slice(raw).map_err(|_| NOT_JSON)?;
            self.hasher.hash_one(name.as_bytes())
        } else {
            self.hasher.hash_one(&raw[1..raw.len() - 1])
        };
        if let Some(Open::Object(names)) = self.open.last_mut()
            && !names.insert(hash)
        {
            return Err("an object has the same name twice");
        }
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(NOT_JSON);
        }
        self.at += 1;
        Ok(())
    }

    /// Where a text stands, its quotes among it, and whether something in it is escaped.
    fn text(&mut self) -> Result<(Range<usize>, bool), &'static str> {
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            match self.peek().ok_or(NOT_JSON)? {
                b'"' => {
                    self.at += 1;
                    return Ok((start..self.at, escaped));
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                byte if byte < 0x20 => return Err("a text holds a control character"),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        match self.peek().ok_or(NOT_JSON)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                let digits = self.bytes.get(self.at + 1..self.at + 5).ok_or(NOT_JSON)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(NOT_JSON);
                }
                self.at += 5;
            }
            _ => return Err(NOT_JSON),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), &'static str> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            Some(b'I') => return Err("NaN and Infinity are no numbers in JSON"),
            _ => return Err(NOT_JSON),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.at - start > LONGEST_NUMBER {
            return Err("a number has too many digits");
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), &'static str> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(NOT_JSON);
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<bool, &'static str> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(NOT_JSON);
        }
        self.at += word.len();
        Ok(true)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}
