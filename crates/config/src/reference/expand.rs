//! Puts what references stand for into a merged tree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::circle::circles;
use super::syntax::{self, Kind, Piece};
use crate::check::Complaint;
use crate::node::{Node, Value, is_extension};
use crate::path::Path;
use crate::read::{MAX_VALUE, plain};
use crate::schema::{self, branches, resolve};
use crate::secret::{MASK, Secret};
use crate::source::{Origin, Sources};
use crate::suggest;

/// The keyword by which a text that is not `writeOnly` says that it may hold a secret and never shows it.
const MAY_HOLD: &str = "x-secret";
/// The keyword of what is put in place of a secret that is not known yet, so that the rest can be checked.
const PLACEHOLDER: &str = "x-placeholder";
/// The keyword of texts that keep their references to secrets and look them up when they are used.
const TEMPLATE: &str = "x-template";
/// The keyword of commands, which are left as they are.
const VERBATIM: &str = "x-verbatim";

/// What references may stand for.
#[derive(Debug, Clone, Default)]
pub struct References {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) definitions: Option<Path>,
    pub(crate) secrets: BTreeMap<String, Secret>,
}

impl References {
    /// Variables by name. There are no secrets yet.
    #[must_use]
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            variables: variables.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Secrets are those that the mapping at this path defines.
    #[must_use]
    pub fn defined_at(mut self, path: impl Into<Path>) -> Self {
        self.definitions = Some(path.into());
        self
    }

    /// The values of secrets that are known by now; others leave a place that is checked later.
    #[must_use]
    pub fn secrets(mut self, known: BTreeMap<String, Secret>) -> Self {
        self.secrets = known;
        self
    }

    /// What a text stands for, as far as it can be said without a secret.
    pub(crate) fn say(&self, text: &str) -> Option<String> {
        let pieces = syntax::parse(text).ok()?;
        let say = |piece: Piece| match piece.kind {
            Kind::Text(text) => Some(text),
            Kind::Variable { name, default } => self.variable(&name, default),
            Kind::Secret(name) => self.secrets.get(&name).map(|one| one.expose().to_owned()),
        };
        pieces.into_iter().map(say).collect()
    }

    fn variable(&self, name: &str, default: Option<String>) -> Option<String> {
        let set = self.variables.get(name);
        match default {
            Some(default) => Some(
                set.filter(|value| !value.is_empty())
                    .cloned()
                    .unwrap_or(default),
            ),
            None => set.cloned(),
        }
    }
}

/// A secret that a value names, and where.
#[derive(Debug, Clone)]
pub struct Mention {
    /// The secret.
    pub name: String,
    /// The value that names it.
    pub path: Path,
    /// Whether it is looked up when it is used, and not when the configuration is loaded.
    pub at_use: bool,
    pub(crate) origin: Origin,
}

/// What was written in place of a value.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) path: Path,
    /// What is shown of it.
    pub(crate) shown: String,
    /// All of it, where nothing of it is a secret.
    pub(crate) whole: Option<String>,
}

/// What expanding a tree came to.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) complaints: Vec<Complaint>,
    /// What was written where values hold references.
    pub(crate) written: Vec<Written>,
    /// Secrets that are named.
    pub(crate) mentions: Vec<Mention>,
    /// Values that wait for a secret.
    pub(crate) unresolved: Vec<Path>,
}

/// All that expanding needs to know.
pub(crate) struct Context<'a> {
    pub(crate) schema: &'a Json,
    pub(crate) sources: &'a Sources,
    pub(crate) references: &'a References,
}

/// Expands the references of a tree.
pub(crate) fn expand(context: &Context<'_>, tree: &mut Node) -> Expanded {
    if !has_any(tree) {
        return Expanded::default();
    }
    let mut walk = Walk {
        context,
        defined: defined(context, tree),
        found: Expanded::default(),
    };
    walk.node(tree, &[context.schema], &Path::root());
    let mut found = walk.found;
    if let Some(place) = &context.references.definitions {
        found.complaints.extend(circles(place, &found.mentions));
    }
    found
}

/// Whether anything could be a reference at all: most configurations have none.
fn has_any(tree: &Node) -> bool {
    let mut found = false;
    tree.each(&Path::root(), &mut |_, node| {
        found |= matches!(&node.value, Value::Text(text) if text.contains("${"));
    });
    found
}

/// The names that the definitions give.
fn defined(context: &Context<'_>, tree: &Node) -> BTreeSet<String> {
    let at = context.references.definitions.as_ref();
    match at.and_then(|path| tree.at(path)).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries
            .iter()
            .filter(|entry| !matches!(entry.node.value, Value::Null))
            .map(|entry| entry.key.clone())
            .collect(),
        _ => BTreeSet::new(),
    }
}

/// What may become of a secret in a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Secret,
    Template,
}

struct Walk<'a> {
    context: &'a Context<'a>,
    defined: BTreeSet<String>,
    found: Expanded,
}

impl<'a> Walk<'a> {
    /// `schemas` are all that may hold for this node: which of the alternatives was meant is not known yet.
    fn node(&mut self, node: &mut Node, schemas: &[&'a Json], path: &Path) {
        let root = self.context.schema;
        let mut all = Vec::new();
        for schema in schemas {
            gather(root, schema, &mut all);
        }
        if all.iter().any(|schema| is_true(schema, VERBATIM)) {
            return self.verbatim(node, path);
        }
        match &mut node.value {
            Value::Text(text) if text.contains("${") => {
                let text = std::mem::take(text);
                node.value = self.text(text, node.origin, &all, path);
            }
            Value::List(items) => {
                let below: Vec<&Json> = all.iter().filter_map(|one| one.get("items")).collect();
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &below, &path.index(index));
                }
            }
            Value::Map(entries) => {
                let free = is_free(&all);
                for entry in entries.iter_mut() {
                    if is_extension(&entry.key) && !free {
                        continue;
                    }
                    // It is shown by its own name later.
                    let name = all
                        .iter()
                        .find_map(|one| schema::alias(root, one, &entry.key));
                    let name = name.unwrap_or(entry.key.as_str());
                    let below: Vec<&Json> = all.iter().filter_map(|one| child(one, name)).collect();
                    let path = path.key(name);
                    self.node(&mut entry.node, &below, &path);
                }
            }
            _ => {}
        }
    }

    /// A shell has references of its own; but who names a secret here is told that it would not come.
    fn verbatim(&mut self, node: &Node, path: &Path) {
        match &node.value {
            Value::Text(text) => {
                if let Some(at) = text.find("${secret:") {
                    let origin = self.within(node.origin, text, at..at + 9);
                    self.complain(
                        path,
                        origin,
                        "the words of a command are seen by everybody on the machine, so no secret goes there",
                        "give it to the process in a variable or a file",
                    );
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.verbatim(item, &path.index(index));
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    self.verbatim(&entry.node, &path.key(entry.key.as_str()));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: String, origin: Origin, schemas: &[&Json], path: &Path) -> Value {
        let pieces = match syntax::parse(&text) {
            Ok(pieces) => pieces,
            Err(bad) => {
                let at = self.within(origin, &text, bad.range);
                self.complain(path, at, &bad.message, &bad.help);
                return Value::Text(text);
            }
        };
        let holds = holds(schemas);
        let has_name = pieces
            .iter()
            .any(|piece| !matches!(piece.kind, Kind::Text(_)));
        let whole = has_name && pieces.len() == 1;
        let holds_text = pieces.iter().any(|piece| match &piece.kind {
            Kind::Text(_) => true,
            Kind::Variable { default, .. } => default.is_some(),
            Kind::Secret(_) => false,
        });
        let said = self.say(pieces, holds, &text, origin, path);
        let keeps = holds != Holds::Secret;
        self.found.written.push(Written {
            path: path.clone(),
            shown: if keeps {
                text.clone()
            } else {
                names_alone(&text)
            },
            whole: (keeps || !holds_text).then(|| text.clone()),
        });
        let Some(said) = said else {
            self.found.unresolved.push(path.clone());
            let placeholder = schemas
                .iter()
                .find_map(|one| one.get(PLACEHOLDER)?.as_str());
            return Value::Text(placeholder.unwrap_or(&text).to_owned());
        };
        if said.len() > MAX_VALUE {
            let message = format!(
                "with its references this has {} bytes; at most {MAX_VALUE} are allowed",
                said.len()
            );
            let help = "put long content into a file of its own and name the file here";
            self.complain(path, origin, &message, help);
            return Value::Text(text);
        }
        match whole && holds == Holds::Nothing && !self.is_text(schemas) {
            true => plain(&said),
            false => Value::Text(said),
        }
    }

    /// What the pieces of a text say together; nothing while a secret is not known.
    fn say(
        &mut self,
        pieces: Vec<Piece>,
        holds: Holds,
        text: &str,
        origin: Origin,
        path: &Path,
    ) -> Option<String> {
        let (mut said, mut waits) = (String::new(), false);
        // A template is taken apart once more, when it is used.
        let push = |said: &mut String, part: &str| match holds {
            Holds::Template => said.push_str(&part.replace("${", "$${")),
            Holds::Nothing | Holds::Secret => said.push_str(part),
        };
        for piece in pieces {
            match piece.kind {
                Kind::Text(plain) => push(&mut said, &plain),
                Kind::Variable { name, default } => {
                    match self.context.references.variable(&name, default) {
                        Some(value) => push(&mut said, &value),
                        None => {
                            let at = self.within(origin, text, piece.range);
                            let message = format!("the variable `{name}` is not set");
                            let help = format!(
                                "set it, or write `${{env:{name}:-word}}` with a word for when it is not"
                            );
                            self.complain(path, at, &message, &help);
                        }
                    }
                }
                Kind::Secret(name) => {
                    let at = self.within(origin, text, piece.range);
                    waits |= self.secret(&name, holds, at, path, &mut said);
                }
            }
        }
        (!waits).then_some(said)
    }

    /// Says a secret; gives whether it has to be waited for.
    fn secret(
        &mut self,
        name: &str,
        holds: Holds,
        at: Origin,
        path: &Path,
        said: &mut String,
    ) -> bool {
        if !self.defined.contains(name) {
            let defined = self.defined.iter().map(String::as_str);
            let place = self.context.references.definitions.as_ref();
            let help = match (suggest::closest(name, defined), place) {
                (Some(meant), _) => format!("did you mean `{meant}`?"),
                (None, Some(place)) => format!("say where it comes from under `{place}.{name}`"),
                (None, None) => "there are no secrets here".to_owned(),
            };
            self.complain(
                path,
                at,
                &format!("there is no secret called `{name}`"),
                &help,
            );
            return false;
        }
        if holds == Holds::Nothing {
            self.complain(
                path,
                at,
                "this setting may be shown and logged, so it cannot hold a secret",
                "write the value itself, or a variable with `${env:NAME}`",
            );
            return false;
        }
        self.found.mentions.push(Mention {
            name: name.to_owned(),
            path: path.clone(),
            at_use: holds == Holds::Template,
            origin: at,
        });
        let known = self.context.references.secrets.get(name);
        match (holds, known) {
            (Holds::Template, _) => said.push_str(&format!("${{secret:{name}}}")),
            (_, Some(value)) => said.push_str(value.expose()),
            (_, None) => return true,
        }
        false
    }

    fn complain(&mut self, path: &Path, at: Origin, message: &str, help: &str) {
        self.found.complaints.push(Complaint {
            path: path.clone(),
            message: message.to_owned(),
            help: Some(help.to_owned()),
            at: Some(at),
            unreadable: true,
        });
    }

    /// The origin of a part of a text. Quotes and escapes can shift it, so it is looked for.
    fn within(&self, origin: Origin, text: &str, part: std::ops::Range<usize>) -> Origin {
        let written = self.context.sources.text(origin);
        let (before, wanted) = (&text[..part.start], &text[part]);
        let nth = before.matches(wanted).count();
        match written.match_indices(wanted).nth(nth) {
            Some((at, _)) => {
                let start = origin.range().start + at;
                Origin::new(origin.source(), start, start + wanted.len())
            }
            None => origin,
        }
    }

    fn is_text(&self, schemas: &[&Json]) -> bool {
        let root = self.context.schema;
        !schemas.is_empty()
            && schemas
                .iter()
                .all(|one| branches(one).is_some() || schema::is_text(root, one) || is_null(one))
    }
}

/// The references of a text that is secret, and nothing of what stands around them.
fn names_alone(text: &str) -> String {
    let pieces = syntax::parse(text).unwrap_or_default();
    let pieces = pieces.into_iter().map(|piece| match piece.kind {
        Kind::Text(_) => MASK.to_owned(),
        Kind::Variable { name, default } => match default {
            Some(_) => format!("${{env:{name}:-{MASK}}}"),
            None => format!("${{env:{name}}}"),
        },
        Kind::Secret(name) => format!("${{secret:{name}}}"),
    });
    pieces.collect()
}

/// A schema with all alternatives below it, those that are nothing but alternatives included: they may have keywords.
fn gather<'a>(root: &'a Json, schema: &'a Json, all: &mut Vec<&'a Json>) {
    // Alternatives of alternatives are few; a circle of them means nothing.
    if all.len() > 256 {
        return;
    }
    all.push(schema);
    let resolved = resolve(root, schema);
    if !std::ptr::eq(resolved, schema) {
        all.push(resolved);
    }
    let parts = resolved.get("allOf").and_then(Json::as_array);
    for one in branches(resolved).into_iter().chain(parts).flatten() {
        gather(root, one, all);
    }
}

fn child<'a>(schema: &'a Json, key: &str) -> Option<&'a Json> {
    let own = schema.get("properties").and_then(|all| all.get(key));
    own.or_else(|| {
        schema
            .get("additionalProperties")
            .filter(|rest| !rest.is_boolean())
    })
}

fn is_free(schemas: &[&Json]) -> bool {
    schemas.iter().any(|one| {
        one.get("additionalProperties")
            .is_some_and(|rest| rest != &Json::Bool(false))
    })
}

fn is_null(schema: &Json) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn is_true(schema: &Json, keyword: &str) -> bool {
    schema.get(keyword) == Some(&Json::Bool(true))
}

fn holds(schemas: &[&Json]) -> Holds {
    let any = |keyword| schemas.iter().any(|one| is_true(one, keyword));
    if any(TEMPLATE) {
        Holds::Template
    } else if any("writeOnly") || any(MAY_HOLD) {
        Holds::Secret
    } else {
        Holds::Nothing
    }
}
