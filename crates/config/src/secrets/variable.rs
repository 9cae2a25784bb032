//! Secrets in variables, or in a file that a variable names.

use std::collections::BTreeMap;

use super::{Asking, File, Given, Provider, Trouble, read_secret};

/// The end of the name of a variable that names a file with the secret in it.
const FILE: &str = "_FILE";

/// The value of a variable `NAME`, or the content of the file that `NAME_FILE` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    name: String,
    found: Found,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Value(crate::secret::Secret),
    File(File),
    Both,
    Nothing,
}

impl Variable {
    /// Looks for it among `variables` now; a file is read whenever the secret is asked for.
    #[must_use]
    pub fn new(name: &str, variables: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let found = match (get(name), get(&format!("{name}{FILE}"))) {
            (Some(_), Some(_)) => Found::Both,
            (Some(value), None) => Found::Value(crate::secret::Secret::new(value)),
            (None, Some(file)) => Found::File(File(file.into())),
            (None, None) => Found::Nothing,
        };
        Self {
            name: name.to_owned(),
            found,
        }
    }

    /// Whether it may change while this process runs.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.found, Found::File(_))
    }
}

impl Provider for Variable {
    fn ask(&self) -> Asking<'_> {
        let name = &self.name;
        let said = match &self.found {
            Found::File(file) => return file.ask(),
            Found::Value(value) => read_secret(value.expose().as_bytes().to_vec())
                .map(Given::from)
                .map_err(|trouble| Trouble {
                    what: format!("the variable `{name}`: {}", trouble.what),
                    ..trouble
                }),
            Found::Both => Err(
                Trouble::new(format!("both `{name}` and `{name}{FILE}` are set"))
                    .help("leave one of them"),
            ),
            Found::Nothing => Err(Trouble::new(format!("the variable `{name}` is not set"))
                .help(format!("set it, or `{name}{FILE}` to the path of a file"))),
        };
        Box::pin(std::future::ready(said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_variable_or_the_file_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("db");
        std::fs::write(&file, "from file\n").unwrap();
        let set = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            Variable::new("DB", &pairs.collect())
        };
        let path = file.to_string_lossy();
        for (variable, expected) in [
            (set(&[("DB", "from variable")]), Ok("from variable")),
            (set(&[("DB_FILE", &path), ("DB", "")]), Ok("from file")),
            (
                set(&[("DB", "x"), ("DB_FILE", &path)]),
                Err("both `DB` and `DB_FILE`"),
            ),
            (set(&[]), Err("`DB` is not set")),
        ] {
            let asked = variable.ask().await;
            match (asked, expected) {
                (Ok(given), Ok(value)) => assert_eq!(given.value.expose(), value),
                (Err(trouble), Err(why)) => assert!(trouble.what.contains(why), "{trouble}"),
                (got, _) => panic!("{got:?}"),
            }
        }
    }
}
