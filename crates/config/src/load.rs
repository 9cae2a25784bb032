//! The road from sources to a value.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::change::{self, Reloaded};
use crate::check;
use crate::judge::{judge, located, read_value};
use crate::loaded::Loaded;
use crate::merge::merge;
use crate::node::{Entry, Node, Value};
use crate::path::{Path, Segment};
use crate::problem::{Problem, Validate};
use crate::problems::Problems;
use crate::read::{self, Fault, Format};
use crate::reference::{self, Context, Expanded, References};
use crate::schema;
use crate::secret::MASK;
use crate::source::{Layer, Origin, Source, Sources};
use crate::trace::raw;

/// Gathers sources and loads a `T` from them.
#[derive(Debug)]
pub struct Loader<T> {
    schema: Json,
    sources: Sources,
    trees: Vec<(Layer, Node)>,
    faults: Vec<Fault>,
    references: Option<References>,
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
            references: None,
            marker: PhantomData,
        }
    }

    /// Says what `${secret:NAME}` and `${env:NAME}` stand for. Without it they are text like any other.
    #[must_use]
    pub fn references(mut self, references: References) -> Self {
        self.references = Some(references);
        self
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

    /// Adds a version that there was, as [`Loaded::record`] gave it. What is masked there is what it is in `running`.
    #[must_use]
    pub fn version(mut self, name: impl Into<String>, record: &Json, running: &Loaded<T>) -> Self {
        let name = name.into();
        let source = self.sources.add(Source {
            layer: Layer::File,
            text: name.clone(),
            name,
            is_file: false,
        });
        let origin = Origin::new(source, 0, 0);
        let mut tree = Node::of(record, origin);
        for (path, secret) in running.secret_values() {
            let is_masked = |node: &Node| matches!(&node.value, Value::Text(text) if text == MASK);
            if tree.at(&path).is_some_and(is_masked)
                && let Some(origin) = running.tree.at(&path).map(|node| node.origin)
            {
                let origin = self.sources.adopt(&running.sources, origin);
                // It is what it stands for already.
                let mut today = Node::of(&secret, origin);
                if self.references.is_some()
                    && let Value::Text(text) = &mut today.value
                {
                    *text = text.replace("${", "$${");
                }
                tree.set(&path, today);
            }
        }
        let mut unknown = Vec::new();
        tree.each(&Path::root(), &mut |path, node| {
            if node.origin == origin && matches!(&node.value, Value::Text(text) if text == MASK) {
                unknown.push(path.clone());
            }
        });
        for path in unknown {
            self.faults.push(Fault {
                message: format!("the secret `{path}` of that version is not known any more"),
                help: Some("put it into a file or a variable, and name it by a reference".into()),
                origin,
            });
        }
        self.trees.push((Layer::File, tree));
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
                Value::Text(text) => match &self.references {
                    Some(references) => references.say(text),
                    None => Some(text.clone()),
                },
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
        let merged = self.merged()?;
        self.finish(merged, None, complete)
    }

    /// Loads what a running service is to have from now on, instead of `running`: all of it is checked, but what only a restart
    /// can change stays as it is.
    ///
    /// # Errors
    /// Everything that is wrong, at once. Also when what may change does not go with what must not.
    pub fn reload_with(
        mut self,
        running: &Loaded<T>,
        complete: impl Fn(&mut T),
    ) -> Result<Reloaded<T>, Problems>
    where
        T: Serialize,
    {
        let merged = self.merged()?;
        let whole = self.finish(merged.clone(), None, &complete)?;
        let mut changes = change::between(&self.schema, running, &whole);
        let kept = change::kept(&self.schema, &changes, &whole);
        let hash = whole.hash();
        if kept.is_empty() {
            let loaded = whole;
            return Ok(Reloaded {
                loaded,
                hash,
                changes,
            });
        }
        let loaded = self.finish(merged, Some((running, &kept)), &complete)?;
        change::settle(&mut changes, &whole, &loaded);
        Ok(Reloaded {
            loaded,
            hash,
            changes,
        })
    }

    /// The trees of all sources as one.
    fn merged(&mut self) -> Result<Merged, Problems> {
        if !self.faults.is_empty() {
            let problems = std::mem::take(&mut self.faults).into_iter();
            let problems = problems.map(Problem::from);
            let sources = std::mem::take(&mut self.sources);
            return Err(Problems::new(problems.collect(), sources));
        }
        // The sort is stable: within a layer, what was added later wins.
        self.trees.sort_by_key(|(layer, _)| *layer);
        let empty = Node::map(Vec::new(), Origin::new(0, 0, 0));
        let trees = std::mem::take(&mut self.trees);
        let raw = raw(&trees);
        let tree = trees.into_iter().fold(empty, |base, (_, over)| {
            merge(&self.schema, Some(&self.schema), base, over)
        });
        Ok(Merged { tree, raw })
    }

    /// Puts in what references stand for, checks the tree and reads the value. What is `kept` stays as it is in the configuration that
    /// runs.
    fn finish(
        &self,
        merged: Merged,
        kept: Option<(&Loaded<T>, &[Path])>,
        complete: impl FnOnce(&mut T),
    ) -> Result<Loaded<T>, Problems> {
        let (mut tree, mut sources) = (merged.tree, self.sources.clone());
        let mut expanded = self.expand(&mut tree, &sources);
        let lent = kept
            .map(|(running, paths)| running.lend(paths, &mut tree, &mut sources, &mut expanded));
        let written = tree.clone();
        let checked = check::check(&self.schema, &mut tree);
        let mut complaints = std::mem::take(&mut expanded.complaints);
        for (_, origin) in &checked.secrets {
            let names = expanded.mentions.iter().map(|mention| mention.origin);
            sources.blot(*origin, names);
        }
        let mut shown = expanded.written;
        shown.extend(lent.into_iter().flatten());
        let waiting = expanded.unresolved;
        let known: Vec<Path> = complaints.iter().map(|one| one.path.clone()).collect();
        // What is wrong with a reference is said once, and what stands for an unknown secret is not judged.
        let news = checked.complaints.into_iter().filter(|one| {
            let mut settled = waiting.iter().chain(&known);
            !settled.any(|path| path.overlaps(&one.path))
        });
        complaints.extend(news);
        let mut value = read_value::<T>(tree.clone(), &mut complaints);
        if let Some(value) = &mut value {
            complete(value);
        }
        let mut problems: Vec<Problem> = complaints
            .iter()
            .map(|complaint| located(complaint, &written))
            .collect();
        if let Some(value) = &value {
            problems.extend(judge(value, &complaints, &waiting, &written));
        }
        let problems = Problems::new(problems, sources.clone());
        match value {
            Some(value) if problems.errors() == 0 => Ok(Loaded {
                value,
                tree,
                mentions: expanded.mentions,
                raw: Problems::new(merged.raw, sources.clone()),
                sources,
                warnings: problems,
                secrets: checked.secrets.into_iter().map(|(path, _)| path).collect(),
                written: shown,
            }),
            _ => Err(problems),
        }
    }

    fn expand(&self, tree: &mut Node, sources: &Sources) -> Expanded {
        let Some(references) = &self.references else {
            return Expanded::default();
        };
        let context = Context {
            schema: &self.schema,
            sources,
            references,
        };
        reference::expand(&context, tree)
    }
}

/// The trees of all sources as one, and what in them looks like a secret.
#[derive(Clone)]
struct Merged {
    tree: Node,
    raw: Vec<Problem>,
}
