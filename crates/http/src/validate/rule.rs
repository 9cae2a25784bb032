//! Rules of one's own about what a body holds.
//!
//! The rules about what is missing are tried before those that need it, whatever order they are written in, so that an answer
//! names what is wrong and not what follows from it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::Value;

use super::Violation;
use super::path::{Found, Path};

/// An expression that was compiled.
#[cfg(feature = "rules")]
pub type Expression = super::when::Compiled;
/// Expressions are not read without the feature `rules`.
#[cfg(not(feature = "rules"))]
pub type Expression = std::convert::Infallible;

/// One rule.
#[derive(Debug)]
pub enum Rule {
    /// What is there is neither missing, null nor a text that means no number.
    NotNull(Path),
    /// Lists are equally long.
    SameLength(Vec<Path>),
    /// Numbers, or texts and times, do not go down; with `strict` they go up.
    Ascending {
        /// The list, or the places.
        path: Path,
        /// Whether two may not be the same.
        strict: bool,
    },
    /// A condition holds for every item, or for the body.
    Holds {
        /// Each of these; without it the body itself.
        each: Option<Path>,
        /// The condition.
        condition: Expression,
        /// What it is called in answers.
        name: String,
    },
}

impl Rule {
    /// When it is tried, among others.
    pub fn turn(&self) -> u8 {
        match self {
            Self::NotNull(_) => 0,
            Self::SameLength(_) => 1,
            Self::Ascending { .. } => 2,
            Self::Holds { .. } => 3,
        }
    }

    /// Whether a large body takes it long.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Self::Holds { .. })
    }

    pub(super) fn check(&self, body: &Value) -> Result<(), Violation> {
        match self {
            Self::NotNull(path) => not_null(path, body),
            Self::SameLength(paths) => same_length(paths, body),
            Self::Ascending { path, strict } => ascending(path, *strict, body),
            #[cfg(feature = "rules")]
            Self::Holds {
                each,
                condition,
                name,
            } => super::when::check(each.as_ref(), condition, name, body),
            #[cfg(not(feature = "rules"))]
            Self::Holds { condition, .. } => match *condition {},
        }
    }
}

/// Whether lists at `path` have at most `most` items.
pub(super) fn count(path: &Path, most: usize, body: &Value) -> Result<(), Violation> {
    path.walk(body, &mut |found: Found<'_>| match found.value {
        Some(Value::Array(items)) if items.len() > most => Err(Violation {
            problem: format!("{} has more than {most} items", found.field),
            value: Box::new(items.len().into()),
            index: Some(most),
            field: found.field,
        }),
        _ => Ok(()),
    })
}

/// What programs write where they have no number.
const NO_NUMBERS: [&str; 7] = ["nan", "inf", "infinity", "null", "none", "undefined", "n/a"];

fn not_null(path: &Path, body: &Value) -> Result<(), Violation> {
    let wrong = |found: Found<'_>, what: &str| {
        Err(Violation {
            problem: format!("{} {what}", found.field),
            value: Box::new(found.value.cloned().unwrap_or_default()),
            index: found.index,
            field: found.field,
        })
    };
    // With `*` a field is missing that another item of the list has.
    let mut known: Vec<(String, BTreeSet<String>)> = Vec::new();
    path.walk(body, &mut |found: Found<'_>| {
        if path.as_str().ends_with('*')
            && let Some((item, field)) = found.field.rsplit_once('.')
        {
            match known.last_mut().filter(|(last, _)| last == item) {
                Some((_, fields)) => drop(fields.insert(field.to_owned())),
                None => known.push((item.to_owned(), [field.to_owned()].into())),
            }
        }
        match found.value {
            None => wrong(found, "is missing"),
            Some(Value::Null) => wrong(found, "is null"),
            Some(Value::String(text)) if is_no_number(text) => wrong(found, "is no number"),
            Some(_) => Ok(()),
        }
    })?;
    let all: BTreeSet<&String> = known.iter().flat_map(|(_, fields)| fields).collect();
    for (item, fields) in &known {
        if let Some(missing) = all.iter().find(|field| !fields.contains(**field)) {
            let index = item.rsplit_once('[');
            return Err(Violation {
                field: format!("{item}.{missing}"),
                index: index.and_then(|(_, index)| index.trim_end_matches(']').parse().ok()),
                value: Box::default(),
                problem: format!("{item}.{missing} is missing"),
            });
        }
    }
    Ok(())
}

fn is_no_number(text: &str) -> bool {
    let text = text.trim().trim_start_matches(['+', '-']);
    text.len() <= 9
        && NO_NUMBERS
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
}

fn same_length(paths: &[Path], body: &Value) -> Result<(), Violation> {
    let mut first: Option<(String, usize)> = None;
    for path in paths {
        path.walk(body, &mut |found: Found<'_>| {
            let length = found.value.and_then(Value::as_array).map_or(0, Vec::len);
            match &first {
                Some((name, other)) if *other != length => Err(Violation {
                    problem: format!("{} is not as long as {name}", found.field),
                    index: Some(length.min(*other)),
                    value: Box::new(length.into()),
                    field: found.field,
                }),
                Some(_) => Ok(()),
                None => {
                    first = Some((found.field, length));
                    Ok(())
                }
            }
        })?;
    }
    Ok(())
}

/// What stands in a line.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Rank<'a> {
    Number(f64),
    Time(Timestamp),
    Local(DateTime),
    Text(&'a str),
}

impl<'a> Rank<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_f64().map(Self::Number),
            // Plain digits are no date, although a short form of one would be.
            Value::String(text) if text.as_bytes().get(4) == Some(&b'-') => Some(
                text.parse()
                    .map(Self::Time)
                    .or_else(|_| text.parse().map(Self::Local))
                    .unwrap_or(Self::Text(text)),
            ),
            Value::String(text) => Some(Self::Text(text)),
            _ => None,
        }
    }

    /// The order of two of a kind; others have none.
    fn order(self, other: Self) -> Option<Ordering> {
        let alike = std::mem::discriminant(&self) == std::mem::discriminant(&other);
        alike.then(|| self.partial_cmp(&other)).flatten()
    }
}

fn ascending(path: &Path, strict: bool, body: &Value) -> Result<(), Violation> {
    let name = path.as_str();
    let order = if strict {
        "strictly ascending"
    } else {
        "ascending"
    };
    let step = |index, field: &str, value: &Value, before: Option<Rank<'_>>| {
        let goes_up = match (before, Rank::of(value)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(rank)) => match before.order(rank) {
                Some(Ordering::Less) => true,
                Some(Ordering::Equal) => !strict,
                _ => false,
            },
        };
        if goes_up {
            return Ok(());
        }
        Err(Violation {
            field: field.to_owned(),
            index: Some(index),
            value: Box::new(value.clone()),
            problem: format!("{name} not in {order} order"),
        })
    };
    let mut last = None;
    path.walk(body, &mut |found| {
        if let Some(Value::Array(items)) = found.value {
            let mut before = None;
            for (index, item) in items.iter().enumerate() {
                step(index, &found.field, item, before)?;
                before = Rank::of(item);
            }
        } else if let (Some(value), Some(index)) = (found.value, found.index) {
            step(index, &found.field, value, last)?;
            last = Rank::of(value);
        }
        Ok(())
    })
}
