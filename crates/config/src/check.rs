//! Holds a tree against a JSON Schema and says everything that is wrong with it, in the words of a person.
//!
//! A general validator reports "is not valid under any of the schemas"; this one knows the shapes that derived schemas have
//! and can say which key was probably meant. It also tidies the tree for the deserializer: the users' own `x-` keys go, and
//! a number or boolean where text is wanted becomes the text that was written.

use std::mem;

use serde_json::Value as Json;

use crate::node::{Entry, Node, Value, is_extension};
use crate::path::Path;
use crate::schema::{alias, branches, resolve};
use crate::source::Origin;
use crate::suggest;

/// Something wrong at a path.
#[derive(Debug, Clone)]
pub(crate) struct Complaint {
    pub(crate) path: Path,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Where to point, when that is not the value at the path.
    pub(crate) at: Option<Origin>,
    /// Whether the value at the path must go before the rest can be read.
    pub(crate) unreadable: bool,
}

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) complaints: Vec<Complaint>,
    /// Secrets, and where they are written.
    pub(crate) secrets: Vec<(Path, Origin)>,
}

/// Checks and tidies a tree.
pub(crate) fn check(root: &Json, tree: &mut Node) -> Checked {
    let mut checker = Checker {
        root,
        found: Checked::default(),
    };
    if matches!(tree.value, Value::Null) {
        tree.value = Value::Map(Vec::new());
    }
    checker.node(root, tree, &Path::root());
    checker.found
}

struct Checker<'a> {
    root: &'a Json,
    found: Checked,
}

impl Checker<'_> {
    fn complain(&mut self, path: &Path, message: String, help: Option<String>) {
        self.found.complaints.push(Complaint {
            path: path.clone(),
            message,
            help,
            at: None,
            unreadable: true,
        });
    }

    fn node(&mut self, schema: &Json, node: &mut Node, path: &Path) {
        let schema = resolve(self.root, schema);
        if schema
            .get("writeOnly")
            .is_some_and(|secret| secret == &Json::Bool(true))
        {
            self.found.secrets.push((path.clone(), node.origin));
        }
        for part in schema
            .get("allOf")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
        {
            self.node(part, node, path);
        }
        if let Some(words) = words(self.root, schema) {
            return self.word(&words, node, path);
        }
        if let Some(branches) = branches(schema) {
            return self.alternatives(branches, node, path);
        }
        if !self.kind(schema, node, path) {
            return;
        }
        match &mut node.value {
            Value::Map(entries) => self.map(schema, entries, path),
            Value::List(items) => {
                if let Some(schema) = schema.get("items") {
                    for (index, item) in items.iter_mut().enumerate() {
                        self.item(schema, item, &path.index(index));
                    }
                }
            }
            Value::Number(..) => self.range(schema, node, path),
            _ => {}
        }
    }

    fn item(&mut self, schema: &Json, item: &mut Node, path: &Path) {
        if matches!(item.value, Value::Null) {
            return self.complain(
                path,
                "this list item is empty".into(),
                Some("give it a value or remove it".into()),
            );
        }
        self.node(schema, item, path);
    }

    /// Whether the value is of a type that the schema allows; turns scalars into text where text is wanted.
    fn kind(&mut self, schema: &Json, node: &mut Node, path: &Path) -> bool {
        let allowed = kinds(schema);
        if allowed.is_empty() || allowed.iter().any(|kind| is_kind(kind, &node.value)) {
            return true;
        }
        let text = match &mut node.value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Number(_, written) => Some(mem::take(written)),
            _ => None,
        };
        if let (Some(text), true) = (text, allowed.contains(&"string")) {
            node.value = Value::Text(text);
            return true;
        }
        let help = match &node.value {
            Value::Text(text) if allowed.contains(&"boolean") => matches!(
                text.to_lowercase().as_str(),
                "yes" | "on" | "y" | "true" | "no" | "off" | "n" | "false"
            )
            .then(|| "write `true` or `false`, without quotes".to_owned()),
            Value::Text(text) if text.parse::<f64>().is_ok() => {
                Some("remove the quotes".to_owned())
            }
            Value::Text(_) | Value::Number(..) | Value::Bool(_) if allowed.contains(&"array") => {
                Some("a list is written as `[a, b]` or with one `- item` per line".to_owned())
            }
            _ => None,
        };
        self.complain(
            path,
            format!(
                "expected {}, found {}",
                wanted(schema, &allowed),
                node.kind()
            ),
            help,
        );
        false
    }

    fn range(&mut self, schema: &Json, node: &Node, path: &Path) {
        let Value::Number(number, written) = &node.value else {
            return;
        };
        let Some(value) = number.as_f64() else { return };
        let bound = |keyword: &str| schema.get(keyword).filter(|bound| bound.as_f64().is_some());
        if let Some(least) = bound("minimum").filter(|least| least.as_f64() > Some(value)) {
            self.complain(
                path,
                format!("{written} is too small: at least {least}"),
                None,
            );
        } else if let Some(most) = bound("maximum").filter(|most| most.as_f64() < Some(value)) {
            self.complain(
                path,
                format!("{written} is too large: at most {most}"),
                None,
            );
        }
    }

    fn word(&mut self, words: &[&str], node: &mut Node, path: &Path) {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Number(_, written) => written.clone(),
            _ => {
                let message = format!(
                    "expected one of {}, found {}",
                    suggest::known(words),
                    node.kind()
                );
                return self.complain(path, message, None);
            }
        };
        if words.contains(&text.as_str()) {
            node.value = Value::Text(text);
            return;
        }
        let help = match suggest::closest(&text, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`? Known are {}", suggest::known(words)),
            None => format!("write one of {}", suggest::known(words)),
        };
        let text: String = text.chars().take(40).collect();
        self.complain(path, format!("unknown word `{text}`"), Some(help));
    }

    fn map(&mut self, schema: &Json, entries: &mut Vec<Entry>, path: &Path) {
        let properties = schema.get("properties").and_then(Json::as_object);
        let rest = schema.get("additionalProperties");
        self.settle_aliases(schema, entries, path);
        entries.retain(|entry| {
            !matches!(entry.node.value, Value::Null)
                || properties.is_some_and(|p| !p.contains_key(&entry.key))
        });
        let closed = rest == Some(&Json::Bool(false));
        if closed {
            entries.retain(|entry| !is_extension(&entry.key));
        }
        for entry in entries.iter_mut() {
            let below = path.key(entry.key.as_str());
            match properties
                .and_then(|properties| properties.get(&entry.key))
                .or(rest)
            {
                Some(Json::Bool(false)) => {
                    let known: Vec<&str> = properties
                        .into_iter()
                        .flat_map(|p| p.keys().map(String::as_str))
                        .collect();
                    self.unknown(entry, &known, below);
                }
                Some(schema) => self.node(schema, &mut entry.node, &below),
                None => {}
            }
        }
        entries.retain(|entry| !matches!(entry.node.value, Value::Null));
        for key in schema
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
        {
            if !entries.iter().any(|entry| entry.key == key) {
                let help = Some(format!("add `{key}: …`"));
                self.complain(
                    &path.key(key),
                    format!("the key `{key}` is missing here"),
                    help,
                );
            }
        }
    }

    /// Gives keys that have another name the one that everything else goes by.
    fn settle_aliases(&mut self, schema: &Json, entries: &mut Vec<Entry>, path: &Path) {
        let mut at = 0;
        while let Some(entry) = entries.get(at) {
            let Some(name) = alias(self.root, schema, &entry.key) else {
                at += 1;
                continue;
            };
            if entries.iter().any(|entry| entry.key == name) {
                // Read as well, it would be complained of once more.
                let twice = entries.remove(at).key;
                let help = Some(format!("leave one of `{twice}` and `{name}`"));
                self.complain(
                    &path.key(twice.as_str()),
                    format!("this is `{name}` once more"),
                    help,
                );
            } else {
                entries[at].key = name.to_owned();
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, known: &[&str], path: Path) {
        let help = match suggest::closest(&entry.key, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!(
                "known here are {}; a key of your own begins with `x-`",
                suggest::known(known)
            ),
        };
        let key: String = entry.key.chars().take(60).collect();
        self.found.complaints.push(Complaint {
            path,
            message: format!("unknown key `{key}`"),
            help: Some(help),
            at: Some(entry.at),
            unreadable: true,
        });
    }

    /// Takes the alternative that fits, else complains about the one that comes closest.
    fn alternatives(&mut self, branches: &[Json], node: &mut Node, path: &Path) {
        let root = self.root;
        let branches: Vec<&Json> = branches
            .iter()
            .map(|branch| resolve(root, branch))
            .filter(|branch| kinds(branch) != ["null"])
            .collect();
        if self.is_mistagged(&branches, node, path) {
            return;
        }
        let mut best: Option<Trial> = None;
        for branch in &branches {
            let trial = Trial::of(root, branch, node, path);
            let fits = trial.score == 0;
            if best.as_ref().is_none_or(|best| trial.score < best.score) {
                best = Some(trial);
            }
            if fits {
                break;
            }
        }
        let Some(best) = best else { return };
        if best.score >= WRONG_SHAPE && branches.len() > 1 {
            let mut shapes: Vec<String> = branches
                .iter()
                .flat_map(|branch| shapes(root, branch))
                .collect();
            shapes.dedup();
            let message = format!("expected {}, found {}", shapes.join(" or "), found_as(node));
            return self.complain(path, message, suggestion(root, &branches, node));
        }
        self.found.complaints.extend(best.found.complaints);
        self.found.secrets.extend(best.found.secrets);
        *node = best.node;
    }

    /// Whether the key that tells the alternatives apart holds none of their words; complains if so.
    fn is_mistagged(&mut self, branches: &[&Json], node: &mut Node, path: &Path) -> bool {
        let Some((tag, words)) = tag(self.root, branches) else {
            return false;
        };
        let before = self.found.complaints.len();
        if let Some(entry) = entry_mut(node, tag) {
            self.word(&words, &mut entry.node, &path.key(tag));
        }
        self.found.complaints.len() > before
    }
}

/// A complaint about the value as a whole: this alternative was not meant at all.
const WRONG_SHAPE: usize = 1_000;

/// One alternative, tried on a copy.
struct Trial {
    score: usize,
    found: Checked,
    node: Node,
}

impl Trial {
    fn of(root: &Json, schema: &Json, node: &Node, path: &Path) -> Self {
        let mut node = node.clone();
        let mut checker = Checker {
            root,
            found: Checked::default(),
        };
        checker.node(schema, &mut node, path);
        let found = checker.found;
        let wrong_shape = found
            .complaints
            .iter()
            .any(|complaint| complaint.path == *path);
        let score = found.complaints.len() + if wrong_shape { WRONG_SHAPE } else { 0 };
        Self { score, found, node }
    }
}

fn entry_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Entry> {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().find(|entry| entry.key == key),
        _ => None,
    }
}

/// The types a schema allows; empty when it says nothing.
fn kinds(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(kind)) => vec![kind.as_str()],
        Some(Json::Array(kinds)) => kinds
            .iter()
            .filter_map(Json::as_str)
            .filter(|kind| *kind != "null")
            .collect(),
        _ => Vec::new(),
    }
}

fn is_kind(kind: &str, value: &Value) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(number, _) => kind == "number" || kind == "integer" && !number.is_f64(),
        Value::Text(_) => kind == "string",
        Value::List(_) => kind == "array",
        Value::Map(_) => kind == "object",
    }
}

/// The words of a schema that allows nothing but certain words.
fn words<'a>(root: &'a Json, schema: &'a Json) -> Option<Vec<&'a str>> {
    let schema = resolve(root, schema);
    if let Some(word) = schema.get("const") {
        return word.as_str().map(|word| vec![word]);
    }
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        // `null` stands in the list for an optional one.
        return words
            .iter()
            .filter(|word| !word.is_null())
            .map(Json::as_str)
            .collect();
    }
    let all: Option<Vec<Vec<&str>>> = branches(schema)?
        .iter()
        .filter(|branch| kinds(branch) != ["null"])
        .map(|branch| words(root, branch))
        .collect();
    all.map(|all| all.concat())
}

/// The key whose value tells the alternatives apart, and its words.
fn tag<'a>(root: &'a Json, branches: &[&'a Json]) -> Option<(&'a str, Vec<&'a str>)> {
    let properties = |branch: &'a Json| branch.get("properties").and_then(Json::as_object);
    let constant = |branch: &'a Json, key: &str| {
        properties(branch)?
            .get(key)
            .and_then(|schema| resolve(root, schema).get("const"))
            .and_then(Json::as_str)
    };
    let first = properties(branches.first()?)?;
    first.keys().find_map(|key| {
        let words: Option<Vec<&str>> = branches
            .iter()
            .map(|branch| constant(branch, key))
            .collect();
        words.map(|words| (key.as_str(), words))
    })
}

fn shapes(root: &Json, schema: &Json) -> Vec<String> {
    let schema = resolve(root, schema);
    if let Some(words) = words(root, schema) {
        return words.into_iter().map(|word| format!("`{word}`")).collect();
    }
    match branches(schema) {
        Some(branches) => branches
            .iter()
            .flat_map(|branch| shapes(root, branch))
            .collect(),
        None => vec![wanted(schema, &kinds(schema))],
    }
}

/// What the schema wants, in words.
fn wanted(schema: &Json, kinds: &[&str]) -> String {
    if let Some(title) = schema.get("title").and_then(Json::as_str) {
        let article = if title.starts_with(['a', 'e', 'i', 'o', 'u']) {
            "an"
        } else {
            "a"
        };
        return format!("{article} {title}");
    }
    let words: Vec<&str> = kinds
        .iter()
        .map(|kind| match *kind {
            "string" => "text",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "`true` or `false`",
            "array" => "a list",
            "object" => "a mapping",
            other => other,
        })
        .collect();
    words.join(" or ")
}

fn found_as(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => format!("`{}`", text.chars().take(40).collect::<String>()),
        _ => node.kind().to_owned(),
    }
}

fn suggestion(root: &Json, branches: &[&Json], node: &Node) -> Option<String> {
    let Value::Text(text) = &node.value else {
        return None;
    };
    let words: Vec<&str> = branches
        .iter()
        .filter_map(|branch| words(root, branch))
        .flatten()
        .collect();
    suggest::closest(text, words).map(|word| format!("did you mean `{word}`?"))
}
