//! Finds secrets that are written into a file, where everybody who may read the repository reads them too.
//!
//! Three signs count: the shape that an issuer gives its tokens, the name of the key, and text that no person would write.
//! None is a proof, so what is found is told with its place and its sign, and never with its text. References are left out: a
//! name is no secret.

mod shape;
mod word;

use serde::Serialize;

use crate::node::{Node, Value};
use crate::path::{Path, Segment};
use crate::problem::Problem;
use crate::problems::Problems;
use crate::read::{self, Format};
use crate::reference::{Kind, parse};
use crate::source::{Layer, Origin, Source, Sources};

/// A value that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RawSecret {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key, such as `egress[0].headers.Authorization`.
    pub key: String,
    /// What it looks like.
    pub looks_like: String,
}

/// Looks for secrets in a text, which may be the configuration of anything.
///
/// # Errors
/// When it cannot be read in this format.
pub fn lint(name: &str, text: &str, format: Format) -> Result<Vec<RawSecret>, Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sources = Sources::default();
    let source = sources.add(Source {
        layer: Layer::File,
        name: name.to_owned(),
        text: text.to_owned(),
        is_file: true,
    });
    let tree = match read::read(text, format, source) {
        Ok(tree) => tree,
        Err(faults) => {
            // A text that cannot be read may have a secret anywhere, so none of it is drawn.
            sources.blot(Origin::new(source, 0, text.len()), std::iter::empty());
            let problems = faults.into_iter().map(Problem::from);
            return Err(Problems::new(problems.collect(), sources));
        }
    };
    let found = look(&tree).into_iter().map(|found| {
        let place = sources.place(found.origin);
        RawSecret {
            file: name.to_owned(),
            line: place.line.unwrap_or_default(),
            column: place.column.unwrap_or_default(),
            key: found.path.to_string(),
            looks_like: found.sign,
        }
    });
    Ok(found.collect())
}

/// A value of a tree that looks like a secret.
pub(crate) struct Found {
    pub(crate) path: Path,
    pub(crate) origin: Origin,
    pub(crate) sign: String,
}

/// Looks at every value of a tree.
pub(crate) fn look(tree: &Node) -> Vec<Found> {
    let mut found = Vec::new();
    walk(tree, &Path::root(), &mut found);
    found
}

fn walk(node: &Node, path: &Path, found: &mut Vec<Found>) {
    let sign = match &node.value {
        Value::Text(text) => sign(path, text),
        Value::Number(_, written) => word::is_password(key(path))
            .then(|| format!("the value of `{}`", key(path)))
            .filter(|_| !written.is_empty()),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &path.index(index), found);
            }
            None
        }
        Value::Map(entries) => {
            for entry in entries {
                walk(&entry.node, &path.key(entry.key.as_str()), found);
            }
            None
        }
        Value::Null | Value::Bool(_) => None,
    };
    if let Some(sign) = sign {
        found.push(Found {
            path: path.clone(),
            origin: node.origin,
            sign,
        });
    }
}

/// The last key of a path: that of the list for an item of one.
fn key(path: &Path) -> &str {
    let mut keys = path.segments().iter().rev();
    keys.find_map(|segment| match segment {
        Segment::Key(key) => Some(key.as_str()),
        Segment::Index(_) => None,
    })
    .unwrap_or_default()
}

/// What a text looks like, without its references.
fn sign(path: &Path, text: &str) -> Option<String> {
    let plain = plain(text);
    let has_reference = plain.len() != text.len();
    if let Some(shape) = shape::known(&plain) {
        return Some(shape.to_owned());
    }
    let key = key(path);
    // What stands around a reference is a word such as `Bearer`.
    if !has_reference && word::names_a_secret(key, &plain) {
        return Some(format!("the value of `{key}`"));
    }
    (!word::names_a_digest(key) && shape::is_random(&plain))
        .then(|| "text that nobody would write".to_owned())
}

fn plain(text: &str) -> String {
    let Ok(pieces) = parse(text) else {
        return text.to_owned();
    };
    let pieces = pieces.into_iter().map(|piece| match piece.kind {
        Kind::Text(text) => text,
        // The word for a variable that is not set stands in the file.
        Kind::Variable { default, .. } => default.unwrap_or_default(),
        Kind::Secret(_) => String::new(),
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(yaml: &str) -> Vec<String> {
        let found = lint("a.yaml", yaml, Format::Yaml).unwrap();
        found
            .into_iter()
            .map(|one| format!("{}:{}", one.line, one.key))
            .collect()
    }

    #[test]
    fn finds_what_is_written_and_says_where() {
        let yaml = "a: 1\nopenai_key: sk-abc...\ndb:\n  - {password: hunter2}\nurl: postgres://u:hunter2@db/x\n";
        assert_eq!(keys(yaml), ["2:openai_key", "4:db[0].password", "5:url"]);
        let shown = format!("{:?}", lint("a.yaml", yaml, Format::Yaml));
        assert!(
            !shown.contains("hunter2") && !shown.contains("sk-abc"),
            "{shown}"
        );
    }

    #[test]
    fn a_reference_is_none() {
        let yaml = "openai_key: ${secret:openai}\nAuthorization: Bearer ${env:TOKEN}\nurl: redis://:${secret:r}@cache\n";
        assert_eq!(keys(yaml), Vec::<String>::new());
        assert_eq!(
            keys("password: ${env:P:-hunter2}\nurl: redis://:${env:P:-hunter2}@c"),
            ["2:url"]
        );
    }

    #[test]
    fn what_only_sounds_like_a_secret_is_left_alone() {
        let yaml = "\
max_tokens: 4096
keys_header: X-Api-Key
token_url: https://login/token
password_file: /run/secrets/db
secret: /run/secrets/db
token: ''
primary_key: tenant_id
image: app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
id: 018f3c5e-7b1a-7c3d-9e2f-4a5b6c7d8e9f
match: /v1/organizations/:organizationId/completions2024
scanner_paths: [/wp-login.php, /.env, /.git/config]
content-security-policy: default-src 'none'; frame-ancestors 'none'
secrets: {openai: {file: /run/secrets/openai}}
";
        assert_eq!(keys(yaml), Vec::<String>::new());
    }

    #[test]
    fn a_text_that_cannot_be_read_is_not_drawn() {
        let error = lint("a.yaml", "password: \"hunter2\n", Format::Yaml).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
