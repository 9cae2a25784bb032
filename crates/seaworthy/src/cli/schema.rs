//! `seaworthy schema list|show|validate`: what the documents of Seaworthy look like, and whether one does.

use std::fmt::Write as _;
use std::io::Read as _;

use clap::{Args, Subcommand};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use seaworthy_config::closest;
use serde::Serialize;
use serde_json::{Value, json};

use super::{FINDINGS, FINE, Global, output};
use crate::failure::Failure;
use crate::schemas::{self, Document};

/// More than any document of ours has.
const LARGEST: u64 = 16 << 20;

/// Arguments of `schema`.
#[derive(Args, Clone, Debug)]
pub struct SchemaArgs {
    /// What to do with them
    #[command(subcommand)]
    pub verb: SchemaVerb,
}

/// What to do with schemas.
#[derive(Clone, Debug, Subcommand)]
pub enum SchemaVerb {
    /// List the documents that have a schema
    List,
    /// Print the JSON Schema of a document
    Show {
        /// Its name, such as `health`
        name: String,
    },
    /// Say everything in which a document departs from its schema
    Validate {
        /// The name of the schema, such as `health`
        name: String,
        /// The file with the document, `-` for stdin
        file: String,
    },
}

/// Does what the verb says, and gives the exit code.
pub(super) fn execute(global: &Global, args: &SchemaArgs) -> anyhow::Result<u8> {
    match &args.verb {
        SchemaVerb::List => list(global),
        SchemaVerb::Show { name } => output::json(&find(name)?.schema()),
        SchemaVerb::Validate { name, file } => return validate(global, find(name)?, file),
    }
    Ok(FINE)
}

fn find(name: &str) -> Result<Document, Failure> {
    schemas::find(name).ok_or_else(|| {
        let names = schemas::ALL.iter().map(|document| document.name);
        let meant = closest(name, names).map_or_else(
            || ";".to_owned(),
            |meant| format!("; did you mean `{meant}`?"),
        );
        Failure::usage(format!(
            "there is no schema `{name}`{meant} `seaworthy schema list` lists them all"
        ))
    })
}

fn list(global: &Global) {
    if global.json {
        let all = schemas::ALL.iter();
        let all = all.map(|one| json!({"name": one.name, "about": one.about, "file": one.file()}));
        return output::json(&all.collect::<Value>());
    }
    let mut text = String::new();
    for document in schemas::ALL {
        writeln!(text, "{:16}  {}", document.name, document.about)
            .expect("a String takes everything");
    }
    output::data(&text);
}

/// Something in which a document departs from its schema.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Fault {
    /// Where, as a JSON pointer.
    path: String,
    message: String,
}

fn validate(global: &Global, document: Document, file: &str) -> anyhow::Result<u8> {
    let text = read(file)?;
    let found = faults(document, &text)?;
    let name = document.name;
    if global.json {
        output::json(&json!({"ok": found.is_empty(), "schema": name, "problems": found}));
    } else if found.is_empty() {
        output::data(&format!("{file}: a `{name}` document"));
    } else {
        let lines = found.iter().map(|fault| {
            let at = if fault.path.is_empty() {
                "/"
            } else {
                &fault.path
            };
            format!("{file}: {at}: {}\n", fault.message)
        });
        output::data(&lines.collect::<String>());
        if let Some(other) = other(document, &text) {
            output::talk(&format!("it is a `{}` document", other.name));
        }
    }
    Ok(if found.is_empty() { FINE } else { FINDINGS })
}

fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().take(LARGEST).read_to_end(&mut bytes),
        _ => std::fs::File::open(file)
            .and_then(|opened| opened.take(LARGEST).read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        Failure::usage(format!(
            "{file} cannot be read: {error}; name a file, or `-` for stdin"
        ))
    })?;
    Ok(bytes)
}

fn faults(document: Document, text: &[u8]) -> anyhow::Result<Vec<Fault>> {
    let value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => {
            return Ok(vec![Fault {
                path: String::new(),
                message: format!("no JSON: {error}"),
            }]);
        }
    };
    let validator = validator(document)?;
    Ok(validator
        .iter_errors(&value)
        .flat_map(|error| told(&error))
        .collect())
}

fn validator(document: Document) -> anyhow::Result<Validator> {
    Ok(jsonschema::draft202012::new(&document.schema())?)
}

/// Of alternatives, what is wrong with the one that fits best.
fn told(error: &ValidationError<'_>) -> Vec<Fault> {
    if let ValidationErrorKind::AnyOf { context } = error.kind()
        && let Some(best) = context.iter().min_by_key(|faults| faults.len())
    {
        return best.iter().flat_map(told).collect();
    }
    vec![Fault {
        path: error.instance_path().to_string(),
        message: error.to_string(),
    }]
}

/// The first document that it is instead.
fn other(document: Document, text: &[u8]) -> Option<Document> {
    let value = serde_json::from_slice(text).ok()?;
    let others = schemas::ALL
        .into_iter()
        .filter(|one| one.name != document.name);
    let mut fitting = others.filter(|one| validator(*one).is_ok_and(|one| one.is_valid(&value)));
    fitting.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Vec<Fault> {
        faults(find(name).unwrap(), text.as_bytes()).unwrap()
    }

    #[test]
    fn faults_are_told_where_they_are() {
        let good = r#"{"status":"healthy","service":"x","checked_at":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(of("health", good), []);
        let bad = r#"{"status":"fine","service":1}"#;
        let paths: Vec<_> = of("health", bad).into_iter().map(|one| one.path).collect();
        assert_eq!(paths.len(), 3, "{paths:?}");
        for path in ["/status", "/service", ""] {
            assert!(paths.iter().any(|found| found == path), "{paths:?}");
        }
        assert!(
            of("health", "{")
                .first()
                .unwrap()
                .message
                .starts_with("no JSON")
        );
    }

    #[test]
    fn of_alternatives_the_one_that_fits_best_is_held_against_it() {
        let bad = r#"{"status":"fine","service":"x","checked_at":"2026-01-01T00:00:00Z"}"#;
        let found = of("health-scry", bad);
        assert_eq!((found.len(), found[0].path.as_str()), (1, "/status"));
    }

    #[test]
    fn near_misses_are_helped() {
        let near = find("helth").unwrap_err();
        assert!(near.message.contains("did you mean `health`?"), "{near}");
        assert_eq!(near.code, 2);
        let soma = br#"{"status":"alive"}"#;
        assert_eq!(
            other(find("health").unwrap(), soma).unwrap().name,
            "health-soma"
        );
    }
}
