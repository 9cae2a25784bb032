//! The page of keys, from the JSON Schema.
//!
//! Nested sections are flattened into one table for each key of the first level, so that `app.restart.limit` is found by
//! searching for what one would write. It understands the schemas that are derived here, not every schema there is: what it
//! does not know is an error and not a gap in the page.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::cell;

const HEAD: &str = "# Configuration

Every key of `seaworthy.yaml`. The file is looked for in the current folder and those above, or named with `-c`; `.yml`, `.toml` and
`.json` are read as well. It needs no key at all.

Later layers win: default, preset, file, `seaworthy.ENV.yaml`, environment, registry, flag. The environment has `SEAWORTHY__SECTION__KEY`, as in
`SEAWORTHY__SHUTDOWN__GRACE=20s`; flags have `--set shutdown.grace=20s`. Mappings merge key by key. Lists are replaced, except where
a description says by what they merge. Keys that begin with `x-` are yours: they are read over, and serve as anchors.

`seaworthy config validate` says everything that is wrong, `seaworthy config show --origin` where each value came from, and
`seaworthy config schema` prints the JSON Schema that editors understand.

A *duration* is a number with its unit: `250ms`, `5s`, `15m`, `1h30m`. A *size* is a number of bytes, or has a unit: `64KiB`, `10MB`.

This page is generated from that schema by `cargo xtask reference`.
";

/// The page.
pub(super) fn render(schema: &Value) -> anyhow::Result<String> {
    let book = Book {
        definitions: schema["$defs"].as_object().context("no definitions")?,
    };
    let mut page = HEAD.to_owned();
    for (key, property) in properties(schema)? {
        writeln!(page, "\n## `{key}`\n")?;
        let target = book.resolve(property)?;
        let mut rows = Vec::new();
        let prefix = if target["type"] == "array" { key } else { "" };
        book.rows(prefix, target, &mut rows)?;
        writeln!(page, "{}", describe(property))?;
        if rows.is_empty() {
            writeln!(page, "\nValue: {}.", book.kind(property)?)?;
            continue;
        }
        page.push_str("\n| key | value | what |\n|---|---|---|\n");
        for row in rows {
            writeln!(page, "| `{}` | {} | {} |", row.key, row.kind, row.what)?;
        }
    }
    Ok(page)
}

struct Row {
    key: String,
    kind: String,
    what: String,
}

struct Book<'a> {
    definitions: &'a Map<String, Value>,
}

impl<'a> Book<'a> {
    /// The schema behind references and "or nothing".
    fn resolve(&self, schema: &'a Value) -> anyhow::Result<&'a Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.trim_start_matches("#/$defs/");
            return self
                .definitions
                .get(name)
                .with_context(|| format!("`{reference}` leads nowhere"));
        }
        match schema["anyOf"].as_array().map(Vec::as_slice) {
            Some([inner, null]) if is_null(null) => self.resolve(inner),
            _ => Ok(schema),
        }
    }

    /// A row for each key below a section; nothing when it is none.
    fn rows(&self, prefix: &str, section: &'a Value, rows: &mut Vec<Row>) -> anyhow::Result<()> {
        if section["type"] == "array" {
            let item = self.resolve(&section["items"])?;
            if item.get("properties").is_some() {
                return self.rows(&format!("{prefix}[]."), item, rows);
            }
        }
        let Some(properties) = section["properties"].as_object() else {
            return Ok(());
        };
        let needed = section["required"].as_array();
        for (key, property) in properties {
            let key = format!("{prefix}{key}");
            let name = key.rsplit('.').next().unwrap_or_default();
            let is_needed = needed.is_some_and(|needed| needed.iter().any(|word| word == name));
            let mut what = describe(property);
            if is_needed {
                what.push_str(" Required.");
            } else if let Some(default) = plain(&property["default"])
                && !what.contains("Default")
            {
                write!(what, " Default `{default}`.")?;
            }
            rows.push(Row {
                key: key.clone(),
                kind: self.kind(property)?,
                what: cell(&what),
            });
            let target = self.resolve(property)?;
            let nested = if target["type"] == "array" {
                key
            } else {
                format!("{key}.")
            };
            self.rows(&nested, target, rows)?;
        }
        Ok(())
    }

    /// What may be written, in a few words.
    fn kind(&self, schema: &'a Value) -> anyhow::Result<String> {
        let target = self.resolve(schema)?;
        if let Some(title) = target["title"].as_str() {
            return Ok(title.to_owned());
        }
        if let Some(word) = target["const"].as_str() {
            return Ok(format!("`{word}`"));
        }
        if let Some(choices) = target["oneOf"].as_array().or(target["anyOf"].as_array()) {
            let words: Vec<String> = choices
                .iter()
                .map(|choice| self.kind(choice))
                .collect::<anyhow::Result<_>>()?;
            return Ok(words.join(", ").replacen(", `none`", " or `none`", 1));
        }
        let one = match &target["type"] {
            Value::Array(types) => types.iter().find(|one| !is_null_word(one)),
            other => Some(other),
        };
        Ok(match one.and_then(Value::as_str) {
            Some("string") => "text".to_owned(),
            Some("boolean") => "`true`, `false`".to_owned(),
            Some("integer") => range(target),
            Some("number") => "number".to_owned(),
            Some("array") => format!("list of {}", self.kind(&target["items"])?),
            Some("object") if target.get("properties").is_some() => "section".to_owned(),
            Some("object") => format!("mapping to {}", self.kind(&target["additionalProperties"])?),
            _ => bail!("no word for {target}"),
        })
    }
}

fn properties(schema: &Value) -> anyhow::Result<&Map<String, Value>> {
    schema["properties"].as_object().context("no properties")
}

fn describe(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .replace('\n', " ")
}

fn is_null(schema: &Value) -> bool {
    is_null_word(&schema["type"])
}

fn is_null_word(word: &Value) -> bool {
    word == "null"
}

fn range(schema: &Value) -> String {
    match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        (Some(least), Some(most)) => format!("number from {least} to {most}"),
        (Some(least), None) => format!("number from {least}"),
        _ => "number".to_owned(),
    }
}

/// A default that fits into a table: a plain value that says something.
fn plain(default: &Value) -> Option<String> {
    match default {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(default.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(property: Value) -> anyhow::Result<String> {
        let schema = json!({
            "properties": {"k": property},
            "$defs": {
                "Time": {"type": "string", "title": "duration"},
                "Word": {"oneOf": [{"const": "a"}, {"const": "b"}]},
                "Bound": {"anyOf": [{"$ref": "#/$defs/Time"}, {"const": "none"}]},
                "Item": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string", "description": "A name."},
                    "time": {"anyOf": [{"$ref": "#/$defs/Bound"}, {"type": "null"}], "description": "A|time."},
                }},
                "Section": {"type": "object", "properties": {
                    "word": {"$ref": "#/$defs/Word", "default": "a", "description": "A word."},
                    "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "default": [], "description": "Many."},
                }},
            },
        });
        render(&schema)
    }

    #[test]
    fn sections_are_flattened() {
        let page = page(json!({"$ref": "#/$defs/Section", "description": "It."})).unwrap();
        for row in [
            "## `k`\n\nIt.\n",
            "| `word` | `a`, `b` | A word. Default `a`. |",
            "| `items` | list of section | Many. |",
            "| `items[].name` | text | A name. Required. |",
            "| `items[].time` | duration or `none` | A\\|time. |",
        ] {
            assert!(page.contains(row), "{row} is missing in {page}");
        }
    }

    #[test]
    fn a_plain_key_has_no_table() {
        let number =
            json!({"type": ["integer", "null"], "minimum": 1, "maximum": 9, "description": "N."});
        assert!(
            page(number)
                .unwrap()
                .ends_with("N.\n\nValue: number from 1 to 9.\n")
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(page(json!({"$ref": "#/$defs/Nothing"})).is_err());
        assert!(page(json!({"not": {}})).is_err());
    }
}
