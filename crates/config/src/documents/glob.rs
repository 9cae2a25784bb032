//! Which files belong together: a folder, and a pattern for the names in it.

use std::borrow::Cow;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// `configs/adapters/*.yaml`: a folder, and a name in which `*` stands for any characters and `?` for one. A name that begins
/// with a dot is matched by none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob {
    folder: PathBuf,
    name: String,
}

/// A text that is no such pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no files: write a folder and a pattern such as `configs/adapters/*.yaml`; wildcards stand in the last part only, and no part is `..`"
)]
pub struct BadGlob(String);

impl Glob {
    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a file of this name belongs to it.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let pattern: Vec<char> = self.name.chars().collect();
        let name: Vec<char> = name.chars().collect();
        name.first() != Some(&'.') && wild(&pattern, &name)
    }
}

/// Matches greedily and goes back to the last star alone, so its time is the product of the lengths at worst.
fn wild(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut within) = (0, 0);
    let mut star = None;
    while within < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, within));
                at += 1;
            }
            Some(one) if *one == '?' || *one == name[within] => {
                at += 1;
                within += 1;
            }
            _ => match star {
                Some((last, from)) => {
                    star = Some((last, from + 1));
                    at = last + 1;
                    within = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|one| *one == '*')
}

impl TryFrom<String> for Glob {
    type Error = BadGlob;

    fn try_from(text: String) -> Result<Self, BadGlob> {
        text.parse()
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.to_string()
    }
}

impl JsonSchema for Glob {
    fn schema_name() -> Cow<'static, str> {
        "Glob".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A folder and a pattern for the names in it.",
            "examples": ["configs/adapters/*.yaml"],
        })
    }
}

impl FromStr for Glob {
    type Err = BadGlob;

    fn from_str(text: &str) -> Result<Self, BadGlob> {
        let bad = || BadGlob(text.chars().take(200).collect());
        let path = Path::new(text);
        let name = path.file_name().and_then(|name| name.to_str());
        let folder = path.parent().unwrap_or(Path::new(""));
        let plain = |component: Component<'_>| match component {
            Component::Normal(part) => !part.to_string_lossy().contains(['*', '?', '\0']),
            Component::ParentDir => false,
            _ => true,
        };
        match name {
            Some(name) if folder.components().all(plain) && !text.ends_with('/') => Ok(Self {
                folder: folder.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.folder.join(&self.name).display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (glob, name, matches) in [
            ("a/*.yaml", "csv.yaml", true),
            ("a/*.yaml", ".yaml", false),
            ("a/*.yaml", "..data", false),
            ("a/*", "x", true),
            ("a/c?v.*", "csv.json", true),
            ("a/c?v.*", "csvv.json", false),
            ("a/*a*b", "xxaxxb", true),
            ("a/*a*b", "xxaxx", false),
            ("a/pdf.yaml", "pdf.yaml", true),
        ] {
            let glob: Glob = glob.parse().expect("a glob");
            assert_eq!(glob.matches(name), matches, "{glob} {name}");
        }
    }

    #[test]
    fn a_glob_stays_in_its_folder() {
        for bad in [
            "",
            "a/",
            "../a/*.yaml",
            "a/../*.yaml",
            "a/*/b.yaml",
            "a/..",
            "/",
        ] {
            assert!(bad.parse::<Glob>().is_err(), "{bad}");
        }
        for fine in ["*.yaml", "./a/*.yaml", "/etc/shop/*.yaml"] {
            assert!(fine.parse::<Glob>().is_ok(), "{fine}");
        }
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_a_star(name in "[a-z][a-z.]{0,20}") {
            let same: Glob = format!("x/{name}").parse().expect("a glob");
            prop_assert!(same.matches(&name));
            let all: Glob = "x/*".parse().expect("a glob");
            prop_assert!(all.matches(&name));
        }
    }
}
