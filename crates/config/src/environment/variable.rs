//! One variable that is expected.

use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json};

use super::kind::Kind;
use super::report::{Found, Origin};
use super::required::Required;
use super::shown::quoted;
use super::typed::Typed;
use crate::path::Path;
use crate::problem::Findings;

/// A compiled pattern may take so much memory: `\w{30,}` knows all letters there are.
const PATTERN: usize = 8 << 20;
/// A list holds at most so many items.
const MOST_ITEMS: usize = 10_000;
/// So many errors of one variable are told.
const MOST_ERRORS: usize = 8;

/// What is expected of one variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Variable {
    /// What it holds: `int`, `float`, `bool` (`true`, `1`, `yes`, `on` and their opposites), `str`, `secret` (a text that is
    /// never shown) or `list<int>` and the like (with commas between the items). Default `str`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whether it has to be there. `warn`: it is told when it is missing, and everything goes on. Default `false`.
    pub required: Required,
    /// What holds where it is not set; the app gets it as a variable too. Default: nothing.
    #[schemars(extend("type" = ["string", "number", "boolean", "array"]))]
    pub default: Option<Json>,
    /// The least that a number may be, in a list each of them. Default: no bound.
    pub min: Option<Number>,
    /// The most that a number may be, in a list each of them. Default: no bound.
    pub max: Option<Number>,
    /// The least characters of a text, or items of a list. Default: no bound.
    pub min_len: Option<u32>,
    /// The most characters of a text, or items of a list. Default: no bound.
    pub max_len: Option<u32>,
    /// A regular expression that a text must match somewhere, in a list each of them; `^` and `$` bind it to the ends.
    /// Default: none.
    pub pattern: Option<String>,
    /// Whether a text that does not match the pattern is told and accepted. Default `false`.
    pub pattern_warn: bool,
    /// The only values that it may have, in a list each of them. Default: any.
    #[serde(rename = "enum")]
    pub allowed: Option<Vec<Json>>,
    /// The heading that it is shown under. Default: none.
    pub group: Option<String>,
    /// What it is for. Default: nothing is said.
    pub about: Option<String>,
}

impl Variable {
    /// A variable of a kind, which may be missing and hold anything of that kind.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// The default as the text that the app gets.
    #[must_use]
    pub fn default_text(&self) -> Option<String> {
        self.default.as_ref().map(text_of)
    }

    pub(super) fn check(&self, name: &str, given: Option<&str>) -> Found {
        let is_blank = |text: &str| text.trim().is_empty();
        // What Compose and Kubernetes leave of a variable that nobody set is empty, and no number.
        let given = given.filter(|text| self.kind.may_be_empty() || !is_blank(text));
        let missing = match given {
            None => self.default.is_none() && self.required != Required::No,
            Some(text) => is_blank(text) && self.required != Required::No,
        };
        let mut found = self.unset(name);
        if missing {
            let what = match given {
                None => "required, but not set",
                Some(_) => "required, but empty",
            };
            found.errors.push(format!("{name}: {what}"));
            found.refuses = self.required == Required::Yes;
            return found;
        }
        let default = self.default_text();
        let (origin, text) = match (given, &default) {
            (Some(text), _) => (Origin::Set, text),
            (None, Some(default)) => (Origin::Default, default.as_str()),
            (None, None) => return found,
        };
        let judged = self.judge(name, text);
        found.origin = origin;
        found.refuses = !judged.errors.is_empty();
        found.raw = Some(text.to_owned());
        found.value = judged.value;
        found.errors = judged.errors;
        found.warnings = judged.warnings;
        found
    }

    /// What is found where there is nothing.
    fn unset(&self, name: &str) -> Found {
        Found {
            name: name.to_owned(),
            kind: self.kind,
            required: self.required,
            default: self.default.clone(),
            group: self.group.clone(),
            origin: Origin::Unset,
            value: None,
            errors: Vec::new(),
            warnings: Vec::new(),
            refuses: false,
            raw: None,
        }
    }

    /// Reads a text and holds it against every bound.
    fn judge(&self, name: &str, text: &str) -> Judged {
        let mut judge = Judge {
            variable: self,
            pattern: None,
            judged: Judged::default(),
        };
        match self.pattern.as_deref().map(compiled).transpose() {
            Ok(pattern) => judge.pattern = pattern,
            Err(why) => judge.judged.errors.push(format!("{name}: {why}")),
        }
        let Some(item) = self.kind.item() else {
            judge.judged.value = judge.one(name, self.kind, text);
            judge.length(name, "characters", text.chars().count());
            return judge.judged;
        };
        let mut items = Vec::new();
        let texts: Vec<&str> = match text.trim() {
            "" => Vec::new(),
            text => text.split(',').collect(),
        };
        if texts.len() > MOST_ITEMS {
            let what = format!("{name}: more than {MOST_ITEMS} items");
            judge.judged.errors.push(what);
            return judge.judged;
        }
        for (index, text) in texts.iter().enumerate() {
            items.extend(judge.one(&format!("{name}[{index}]"), item, text.trim()));
            if judge.judged.errors.len() >= MOST_ERRORS {
                break;
            }
        }
        judge.length(name, "items", texts.len());
        if items.len() == texts.len() {
            judge.judged.value = Some(Typed::List(items));
        }
        judge.judged
    }

    pub(super) fn faults(&self, name: &str, at: &Path, findings: &mut Findings) {
        if name.is_empty() || name.contains(['=', '\0']) {
            findings.error(
                at.clone(),
                format!("`{name}` cannot be the name of a variable"),
            );
        }
        self.misplaced(at, findings);
        if let (Some(min), Some(max)) = (&self.min, &self.max)
            && min.as_f64() > max.as_f64()
        {
            findings
                .error(at.key("min"), format!("{min} is more than the most, {max}"))
                .related(at.key("max"));
        }
        if let (Some(min), Some(max)) = (self.min_len, self.max_len)
            && min > max
        {
            findings
                .error(
                    at.key("min_len"),
                    format!("{min} is more than the most, {max}"),
                )
                .related(at.key("max_len"));
        }
        if let Some(Err(why)) = self.pattern.as_deref().map(compiled) {
            findings
                .error(at.key("pattern"), why)
                .help("look-around and back references are not known here");
            return;
        }
        self.values(name, at, findings);
    }

    /// Bounds that mean nothing for what the variable holds.
    fn misplaced(&self, at: &Path, findings: &mut Findings) {
        let kind = self.kind;
        let (number, text) = (kind.is_number(), kind.is_text());
        let counts = kind.item().is_some() || text;
        for (key, is_said, fits) in [
            ("min", self.min.is_some(), number),
            ("max", self.max.is_some(), number),
            ("min_len", self.min_len.is_some(), counts),
            ("max_len", self.max_len.is_some(), counts),
            ("pattern", self.pattern.is_some(), text),
            ("pattern_warn", self.pattern_warn, self.pattern.is_some()),
        ] {
            if is_said && !fits {
                let what = match key {
                    "pattern_warn" => "there is no pattern".to_owned(),
                    _ => format!("this means nothing for {kind}"),
                };
                findings.error(at.key(key), what).related(at.key("type"));
            }
        }
    }

    /// The default and the values that are allowed, by the rules for all others.
    fn values(&self, name: &str, at: &Path, findings: &mut Findings) {
        if self.kind == Kind::Secret && self.default.is_some() {
            findings
                .error(
                    at.key("default"),
                    "a secret that stands in the configuration is none",
                )
                .help("leave it out, and say `required: true`");
            return;
        }
        for (index, value) in self.allowed.iter().flatten().enumerate() {
            let read = Typed::read(self.kind.single(), &text_of(value));
            if let Err(why) = read {
                findings.error(at.key("enum").index(index), why);
                return;
            }
        }
        let judged = self.default_text().map(|text| self.judge(name, &text));
        for why in judged.iter().flat_map(|judged| &judged.errors) {
            findings.error(at.key("default"), why.clone());
        }
    }
}

#[derive(Debug, Default)]
struct Judged {
    value: Option<Typed>,
    errors: Vec<String>,
    warnings: Vec<String>,
}

struct Judge<'a> {
    variable: &'a Variable,
    pattern: Option<Regex>,
    judged: Judged,
}

impl Judge<'_> {
    /// One value that is no list.
    fn one(&mut self, name: &str, kind: Kind, text: &str) -> Option<Typed> {
        let Self {
            variable,
            pattern,
            judged,
        } = self;
        let value = match Typed::read(kind, text) {
            Ok(value) => value,
            Err(why) => {
                judged.errors.push(format!("{name}: {why}"));
                return None;
            }
        };
        let shown = match kind {
            Kind::Secret => String::new(),
            _ => format!(", got {}", quoted(text)),
        };
        if let Some(min) = &variable.min
            && is_below(&value, min)
        {
            let what = format!("{name}: expected at least {min}{shown}");
            judged.errors.push(what);
        }
        if let Some(max) = &variable.max
            && is_above(&value, max)
        {
            let what = format!("{name}: expected at most {max}{shown}");
            judged.errors.push(what);
        }
        if let Some(allowed) = &variable.allowed {
            let is = |one: &Json| Typed::read(kind, &text_of(one)).as_ref() == Ok(&value);
            if !allowed.iter().any(is) {
                let words: Vec<String> = allowed.iter().map(text_of).collect();
                let known = match kind {
                    Kind::Secret => "one of those that are allowed".to_owned(),
                    _ => format!("one of {}", words.join(", ")),
                };
                judged
                    .errors
                    .push(format!("{name}: expected {known}{shown}"));
            }
        }
        if let Some(pattern) = pattern
            && !pattern.is_match(text)
        {
            let what = format!("{name}: expected a match of {}{shown}", pattern.as_str());
            match variable.pattern_warn {
                true => judged.warnings.push(what),
                false => judged.errors.push(what),
            }
        }
        Some(value)
    }

    fn length(&mut self, name: &str, unit: &str, length: usize) {
        let bound = |bound: Option<u32>| bound.and_then(|bound| usize::try_from(bound).ok());
        let Self {
            variable, judged, ..
        } = self;
        if let Some(least) = bound(variable.min_len).filter(|least| length < *least) {
            let what = format!("{name}: expected at least {least} {unit}, got {length}");
            judged.errors.push(what);
        }
        if let Some(most) = bound(variable.max_len).filter(|most| length > *most) {
            let what = format!("{name}: expected at most {most} {unit}, got {length}");
            judged.errors.push(what);
        }
    }
}

fn is_below(value: &Typed, bound: &Number) -> bool {
    match (value, bound.as_i64()) {
        (Typed::Int(value), Some(bound)) => *value < bound,
        (Typed::Int(value), None) => whole(*value) < bound.as_f64(),
        (Typed::Float(value), _) => Some(*value) < bound.as_f64(),
        _ => false,
    }
}

fn is_above(value: &Typed, bound: &Number) -> bool {
    match (value, bound.as_i64()) {
        (Typed::Int(value), Some(bound)) => *value > bound,
        (Typed::Int(value), None) => whole(*value) > bound.as_f64(),
        (Typed::Float(value), _) => Some(*value) > bound.as_f64(),
        _ => false,
    }
}

/// A whole number beside a bound that is none.
fn whole(value: i64) -> Option<f64> {
    Number::from(value).as_f64()
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern)
        .size_limit(PATTERN)
        .dfa_size_limit(PATTERN)
        .build();
    built.map_err(|error| {
        let text = error.to_string();
        // The last line says what is wrong; the ones before draw the pattern once more.
        let why = text.lines().last().unwrap_or_default();
        format!(
            "this is no regular expression: {}",
            why.trim_start_matches("error: ")
        )
    })
}

/// A value of the file as the text that a variable would hold.
pub(super) fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(text_of).collect();
            items.join(",")
        }
        Json::Null => String::new(),
        other => other.to_string(),
    }
}
