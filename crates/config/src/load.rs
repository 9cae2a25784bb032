//! The road from sources to a value.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::check::{self, Complaint};
use crate::merge::merge;
use crate::node::{Entry, Node, Value};
use crate::path::{Path, Segment};
use crate::problem::{Finding, Findings, Problem, Severity, Validate};
use crate::problems::Problems;
use crate::read::{self, Fault, Format};
use crate::schema;
use crate::source::{Layer, Origin, Place, Source, Sources};

/// How often a value may be refused before the rest is left unread.
const MOST_REFUSALS: usize = 64;

/// A configuration with the way it came about.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// The merged tree, without defaults.
    pub tree: Node,
    /// The texts it was read from.
    pub sources: Sources,
    /// What can be used, but was probably not meant.
    pub warnings: Problems,
}

impl<T> Loaded<T> {
    /// Where the value at a path was written; nothing for a default.
    #[must_use]
    pub fn place(&self, path: &Path) -> Option<Place> {
        let mut path = path.clone();
        loop {
            match self.tree.at(&path) {
                Some(node) if !path.segments().is_empty() => {
                    return Some(self.sources.place(node.origin));
                }
                Some(_) => return None,
                None => {}
            }
            path = path.parent()?;
            // A key that is absent from a mapping that was written is a default; a value inside something that was
            // written as one word or one list came with it.
            if matches!(
                self.tree.at(&path),
                Some(Node {
                    value: Value::Map(_),
                    ..
                })
            ) {
                return None;
            }
        }
    }

    /// Whether the user or a preset said anything at a path.
    #[must_use]
    pub fn is_set(&self, path: impl Into<Path>) -> bool {
        self.tree.at(&path.into()).is_some()
    }
}

/// Gathers sources and loads a `T` from them.
#[derive(Debug)]
pub struct Loader<T> {
    schema: Json,
    sources: Sources,
    trees: Vec<(Layer, Node)>,
    faults: Vec<Fault>,
    marker: PhantomData<fn() -> T>,
}

impl<T: JsonSchema> Default for Loader<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: JsonSchema> Loader<T> {
    /// Starts without any source: the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            schema: schema::schema_of::<T>(),
            sources: Sources::default(),
            trees: Vec::new(),
            faults: Vec::new(),
            marker: PhantomData,
        }
    }

    /// Adds a whole text: a preset, a file or the file of an environment.
    #[must_use]
    pub fn text(
        mut self,
        layer: Layer,
        name: impl Into<String>,
        text: impl Into<String>,
        format: Format,
    ) -> Self {
        let text = text.into();
        // Byte order marks are noise from editors, and would shift every span.
        let text = text
            .strip_prefix('\u{feff}')
            .map_or(text.clone(), str::to_owned);
        let source = self.sources.add(Source {
            layer,
            name: name.into(),
            text: text.clone(),
            is_file: true,
        });
        match read::read(&text, format, source) {
            Ok(tree) => self.trees.push((layer, tree)),
            Err(faults) => self.faults.extend(faults),
        }
        self
    }

    /// Adds every variable that begins with `prefix__`: `PREFIX__LISTEN__PUBLIC` sets `listen.public`.
    #[must_use]
    pub fn environment<'a>(
        mut self,
        prefix: &str,
        vars: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let prefix = format!("{prefix}__");
        for (name, value) in vars {
            let Some(key) = name.strip_prefix(&prefix).filter(|key| !key.is_empty()) else {
                continue;
            };
            let path = schema::env_path(&self.schema, key);
            self = self.value(
                Layer::Env,
                name,
                &path,
                &format!("{name}={value}"),
                name.len() + 1,
            );
        }
        self
    }

    /// Adds one variable that stands for one setting under a name of its own.
    #[must_use]
    pub fn variable(self, name: &str, path: impl Into<Path>, value: &str) -> Self {
        let text = format!("{name}={value}");
        self.value(Layer::Env, name, &path.into(), &text, name.len() + 1)
    }

    /// Adds `key=value`, as `--set` takes it.
    #[must_use]
    pub fn set(mut self, assignment: &str) -> Self {
        let text = format!("--set {assignment}");
        match assignment.split_once('=') {
            Some((key, _)) if !key.trim().is_empty() => {
                let start = "--set ".len() + key.len() + 1;
                self.value(Layer::Flag, "--set", &Path::from(key.trim()), &text, start)
            }
            _ => {
                let origin = self.word("--set", &text, "--set ".len());
                self.faults.push(Fault {
                    message: format!("`{assignment}` is not KEY=VALUE"),
                    help: Some("write `--set limits.max_body=10MB`".into()),
                    origin,
                });
                self
            }
        }
    }

    /// Adds the value of a flag that stands for one setting.
    #[must_use]
    pub fn flag(self, flag: &str, path: impl Into<Path>, value: &str) -> Self {
        let text = format!("{flag} {value}");
        self.value(Layer::Flag, flag, &path.into(), &text, flag.len() + 1)
    }

    /// Adds a list of words that stood on the command line, such as a command after `--`.
    #[must_use]
    pub fn words(mut self, flag: &str, path: impl Into<Path>, words: &[String]) -> Self {
        let text = format!("{flag} {}", words.join(" "));
        let origin = self.word(flag, &text, flag.len() + 1);
        let items = words.iter().map(|word| Node {
            value: Value::Text(word.clone()),
            origin,
        });
        let node = Node {
            value: Value::List(items.collect()),
            origin,
        };
        self.put(Layer::Flag, &path.into(), node);
        self
    }

    /// Adds an item to a list, below all other layers: what a variable lets one guess that was made for something else.
    #[must_use]
    pub fn found(mut self, variable: &str, list: impl Into<Path>, item: &Json) -> Self {
        let source = self.sources.add(Source {
            layer: Layer::Found,
            name: variable.into(),
            // What it holds is not shown: nobody wrote it for us.
            text: variable.into(),
            is_file: false,
        });
        let origin = Origin::new(source, 0, variable.len());
        let list_of_one = Node {
            value: Value::List(vec![Node::of(item, origin)]),
            origin,
        };
        self.put(Layer::Found, &list.into(), list_of_one);
        self
    }

    /// Whether a source so far has an item in a list with this text at a key.
    #[must_use]
    pub fn has_item(&self, list: impl Into<Path>, key: &str, text: &str) -> bool {
        let list = list.into();
        let has = |item: &Node| match item.get(key).map(|node| &node.value) {
            Some(Value::Text(found)) => found == text,
            _ => false,
        };
        self.trees.iter().any(|(_, tree)| match tree.at(&list) {
            Some(Node {
                value: Value::List(items),
                ..
            }) => items.iter().any(has),
            _ => false,
        })
    }

    /// What the sources so far say at a path, as text; the winning layer's word.
    #[must_use]
    pub fn peek(&self, path: impl Into<Path>) -> Option<String> {
        let path = path.into();
        let mut layers: Vec<_> = self.trees.iter().collect();
        layers.sort_by_key(|(layer, _)| *layer);
        layers
            .iter()
            .rev()
            .find_map(|(_, tree)| match &tree.at(&path)?.value {
                Value::Text(text) => Some(text.clone()),
                Value::Number(_, written) => Some(written.clone()),
                Value::Bool(value) => Some(value.to_string()),
                _ => None,
            })
    }

    fn word(&mut self, name: &str, text: &str, start: usize) -> Origin {
        let source = Source {
            layer: Layer::Flag,
            name: name.into(),
            text: text.into(),
            is_file: false,
        };
        let source = self.sources.add(source);
        Origin::new(source, start, text.len())
    }

    fn value(mut self, layer: Layer, name: &str, path: &Path, text: &str, start: usize) -> Self {
        let source = self.sources.add(Source {
            layer,
            name: name.into(),
            text: text.into(),
            is_file: false,
        });
        if path
            .segments()
            .iter()
            .any(|segment| matches!(segment, Segment::Index(_)))
        {
            self.faults.push(Fault {
                message: format!("`{path}` is inside a list"),
                help: Some("give the whole list: `key=[a, b]`".into()),
                origin: Origin::new(source, 0, start),
            });
            return self;
        }
        if schema::at(&self.schema, path)
            .is_some_and(|schema| schema::is_text(&self.schema, schema))
        {
            self.put(layer, path, read::verbatim(text, start, source));
            return self;
        }
        match read::inline(text, start, source) {
            Ok(node) => self.put(layer, path, self.listed(path, node)),
            Err(fault) => self.faults.push(fault),
        }
        self
    }

    /// A single word where only a list fits is a list of one: `--set listen.trusted_proxies=private`.
    fn listed(&self, path: &Path, node: Node) -> Node {
        let schema =
            schema::at(&self.schema, path).map(|schema| schema::resolve(&self.schema, schema));
        let is_list =
            schema.is_some_and(|schema| schema.get("type").is_some_and(|kind| kind == "array"));
        if is_list
            && matches!(
                node.value,
                Value::Text(_) | Value::Number(..) | Value::Bool(_)
            )
        {
            let origin = node.origin;
            return Node {
                value: Value::List(vec![node]),
                origin,
            };
        }
        node
    }

    fn put(&mut self, layer: Layer, path: &Path, node: Node) {
        let tree = path.segments().iter().rev().fold(node, |node, segment| {
            let Segment::Key(key) = segment else {
                return node;
            };
            let origin = node.origin;
            let at = Origin::new(origin.source(), 0, origin.range().start.saturating_sub(1));
            Node::map(
                vec![Entry {
                    key: key.clone(),
                    at,
                    node,
                }],
                origin,
            )
        });
        self.trees.push((layer, tree));
    }
}

impl<T: DeserializeOwned + JsonSchema + Validate> Loader<T> {
    /// Merges, checks and reads it all.
    ///
    /// # Errors
    /// Everything that is wrong, at once; warnings are among it.
    pub fn load(self) -> Result<Loaded<T>, Problems> {
        self.load_with(|_| {})
    }

    /// The same, with what no source can say: `complete` adds it before the value is checked.
    ///
    /// # Errors
    /// Everything that is wrong, at once; warnings are among it.
    pub fn load_with(mut self, complete: impl FnOnce(&mut T)) -> Result<Loaded<T>, Problems> {
        if !self.faults.is_empty() {
            let problems = self.faults.into_iter().map(|fault| Problem {
                severity: Severity::Error,
                path: String::new(),
                message: fault.message,
                help: fault.help,
                place: None,
                origin: Some(fault.origin),
            });
            return Err(Problems::new(problems.collect(), self.sources));
        }
        // The sort is stable: within a layer, what was added later wins.
        self.trees.sort_by_key(|(layer, _)| *layer);
        let empty = Node::map(Vec::new(), Origin::new(0, 0, 0));
        let trees = std::mem::take(&mut self.trees);
        let mut tree = trees.into_iter().fold(empty, |base, (_, over)| {
            merge(&self.schema, Some(&self.schema), base, over)
        });
        let written = tree.clone();
        let checked = check::check(&self.schema, &mut tree);
        let mut complaints = checked.complaints;
        for origin in checked.secrets {
            self.mask(origin);
        }
        let mut value = read_value::<T>(tree.clone(), &mut complaints);
        if let Some(value) = &mut value {
            complete(value);
        }
        let mut problems: Vec<Problem> = complaints
            .iter()
            .map(|complaint| located(complaint, &written))
            .collect();
        if let Some(value) = &value {
            problems.extend(judge(value, &complaints, &written));
        }
        let problems = Problems::new(problems, self.sources.clone());
        match value {
            Some(value) if problems.errors() == 0 => Ok(Loaded {
                value,
                tree,
                sources: self.sources,
                warnings: problems,
            }),
            _ => Err(problems),
        }
    }

    /// Blots a secret out of its source, so that no snippet can show it.
    fn mask(&mut self, origin: Origin) {
        let source = self.sources.get(origin.source());
        let range = origin.range();
        let Some(secret) = source.text.get(range.clone()) else {
            return;
        };
        let blot: String = secret
            .bytes()
            .map(|byte| if byte == b'\n' { '\n' } else { '*' })
            .collect();
        let mut text = source.text.clone();
        text.replace_range(range, &blot);
        self.sources.replace(origin.source(), text);
    }
}

/// What the value says against itself, less what is said of values that were refused.
fn judge<T: Validate>(value: &T, complaints: &[Complaint], tree: &Node) -> Vec<Problem> {
    let spoilt = |path: &Path| {
        complaints
            .iter()
            .any(|complaint| complaint.path.overlaps(path))
    };
    let mut findings = Findings::default();
    value.validate(&mut findings);
    let sound = findings
        .0
        .into_iter()
        .filter(|finding| !spoilt(&finding.path) && !finding.related.iter().any(spoilt));
    let problem = |finding: Finding| Problem {
        severity: finding.severity,
        origin: tree.nearest(&finding.path),
        path: finding.path.to_string(),
        message: finding.message,
        help: finding.help,
        place: None,
    };
    sound.map(problem).collect()
}

fn located(complaint: &Complaint, tree: &Node) -> Problem {
    Problem {
        severity: Severity::Error,
        path: complaint.path.to_string(),
        message: complaint.message.clone(),
        help: complaint.help.clone(),
        place: None,
        origin: complaint.at.or_else(|| tree.nearest(&complaint.path)),
    }
}

/// Reads the value, taking out what is refused, so that all that remains is judged too.
fn read_value<T: DeserializeOwned>(mut tree: Node, complaints: &mut Vec<Complaint>) -> Option<T> {
    for complaint in complaints.iter().filter(|complaint| complaint.unreadable) {
        tree.remove(&complaint.path);
    }
    for _ in 0..MOST_REFUSALS {
        let error = match serde_path_to_error::deserialize::<_, T>(&tree.to_json()) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let path = Path::from(error.path());
        if !complaints
            .iter()
            .any(|complaint| complaint.path.overlaps(&path))
            || complaints.is_empty()
        {
            let message = error.inner().to_string();
            complaints.push(Complaint {
                path: path.clone(),
                message,
                help: None,
                at: None,
                unreadable: true,
            });
        }
        if !tree.remove(&path) {
            return None;
        }
    }
    None
}
