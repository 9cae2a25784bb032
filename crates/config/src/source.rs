//! Where values come from: layers, texts, and the place of a value in its text.
//!
//! Every source keeps its text, environment variables and flags included (`NAME=value`), so that one renderer can point a
//! caret at any of them. An [`Origin`] is a few integers; lines and columns are computed only when something is shown.

use std::sync::Arc;

use serde::Serialize;

/// Who said it. A later layer wins over an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// What follows from a variable that was made for something else, unless anybody says otherwise.
    Found,
    /// A preset that ships with the product.
    Preset,
    /// The configuration file.
    File,
    /// The file of one environment, beside the configuration file.
    Overlay,
    /// An environment variable.
    Env,
    /// What many instances are told alike while they run.
    Remote,
    /// A command line flag.
    Flag,
}

/// One text that was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// The layer it belongs to.
    pub layer: Layer,
    /// A path, the name of a variable, a flag or a preset.
    pub name: String,
    /// What was written there.
    pub text: String,
    /// Whether line numbers mean something here.
    pub is_file: bool,
}

/// A stretch of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    source: usize,
    start: usize,
    end: usize,
}

/// A place as people say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The layer it belongs to.
    pub layer: Layer,
    /// A path, the name of a variable, a flag or a preset.
    pub name: String,
    /// The line, from 1; absent where lines mean nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.layer, self.line) {
            (Layer::Preset, Some(line)) => write!(f, "preset {}:{line}", self.name),
            (_, Some(line)) => write!(f, "{}:{line}", self.name),
            (Layer::Env | Layer::Found, None) => write!(f, "env {}", self.name),
            (Layer::Flag, None) => write!(f, "flag {}", self.name),
            (_, None) => f.write_str(&self.name),
        }
    }
}

impl Origin {
    pub(crate) fn new(source: usize, start: usize, end: usize) -> Self {
        Self {
            source,
            start,
            end: end.max(start),
        }
    }

    /// The stretch in bytes.
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start..self.end
    }

    pub(crate) fn source(self) -> usize {
        self.source
    }

    /// The same stretch of the source with another number.
    pub(crate) fn moved(self, source: usize) -> Self {
        Self { source, ..self }
    }
}

/// All texts that were read for one configuration.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Arc<Source>>);

impl Sources {
    pub(crate) fn add(&mut self, source: Source) -> usize {
        self.0.push(Arc::new(source));
        self.0.len() - 1
    }

    pub(crate) fn get(&self, index: usize) -> &Source {
        &self.0[index]
    }

    /// Takes over the source of `origin` from `others`, once, and says where the stretch is here.
    pub(crate) fn adopt(&mut self, others: &Self, origin: Origin) -> Origin {
        let theirs = &others.0[origin.source];
        let known = self.0.iter().position(|ours| Arc::ptr_eq(ours, theirs));
        let source = known.unwrap_or_else(|| {
            self.0.push(theirs.clone());
            self.0.len() - 1
        });
        origin.moved(source)
    }

    /// Makes a stretch illegible, so that no snippet can show it. It keeps its length and its lines, and the `names` of secrets that stand
    /// elsewhere.
    pub(crate) fn blot(&mut self, origin: Origin, names: impl Iterator<Item = Origin>) {
        let source = &self.0[origin.source];
        let range = origin.range();
        let Some(secret) = source.text.get(range.clone()) else {
            return;
        };
        // A mention is a name in ASCII, but where quotes hide it the whole value stands for it.
        let is_name = |name: &std::ops::Range<usize>| {
            let text = source.text.get(name.clone()).unwrap_or_default();
            text.starts_with("${secret:")
                && text.find('}') == Some(text.len() - 1)
                && text.is_ascii()
        };
        let names: Vec<_> = names
            .filter(|name| name.source == origin.source)
            .map(Origin::range)
            .filter(is_name)
            .collect();
        let blot: String = secret
            .bytes()
            .enumerate()
            .map(|(at, byte)| match byte {
                b'\n' => '\n',
                byte if names.iter().any(|name| name.contains(&(range.start + at))) => {
                    char::from(byte)
                }
                _ => '*',
            })
            .collect();
        // Another configuration may still share the text, and has it illegible already.
        if *secret != blot {
            let source = Arc::make_mut(&mut self.0[origin.source]);
            source.text.replace_range(range, &blot);
        }
    }

    /// All of them, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().map(Arc::as_ref)
    }

    /// Gives what stands at an origin, as it was written.
    #[must_use]
    pub fn text(&self, origin: Origin) -> &str {
        self.get(origin.source)
            .text
            .get(origin.range())
            .unwrap_or_default()
    }

    /// Turns an origin into a place that people can find.
    #[must_use]
    pub fn place(&self, origin: Origin) -> Place {
        let source = self.get(origin.source);
        let (line, column) = if source.is_file {
            let before = source.text.get(..origin.start).unwrap_or(&source.text);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
            (Some(line), Some(before[line_start..].chars().count() + 1))
        } else {
            (None, None)
        };
        Place {
            layer: source.layer,
            name: source.name.clone(),
            line,
            column,
        }
    }
}
