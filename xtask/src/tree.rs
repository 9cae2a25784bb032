//! The text files of the repository, read once.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;

/// Folders that hold no source of ours.
const SKIPPED: [&str; 7] = [
    "target",
    ".git",
    "node_modules",
    ".venv",
    "__pycache__",
    "corpus",
    "artifacts",
];

/// Every text file by its path relative to the root, with `/` between folders.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Path to content.
    pub(crate) files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the tree below `root`; files that are no UTF-8 are known by name, with empty content.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.add(root, "")?;
        Ok(tree)
    }

    fn add(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        for entry in
            std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?
        {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                self.add(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() {
                let text = String::from_utf8(std::fs::read(entry.path())?).unwrap_or_default();
                self.files.insert(path, text);
            } else if kind.is_symlink() {
                self.files.insert(path, String::new());
            }
        }
        Ok(())
    }

    /// Files whose name ends in `suffix`.
    pub(crate) fn ending<'a>(
        &'a self,
        suffix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self
            .files
            .iter()
            .filter(move |(path, _)| path.ends_with(suffix));
        all.map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Whether there is a file or folder at `path`.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        path.is_empty()
            || self.files.contains_key(path)
            || self.files.keys().any(|file| file.starts_with(&folder))
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let owned = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self {
            files: owned.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_files_and_folders() {
        let tree = Tree::of(&[("docs/a.md", ""), ("README.md", "")]);
        assert!(
            tree.has("docs") && tree.has("docs/") && tree.has("docs/a.md") && tree.has("README.md")
        );
        assert!(!tree.has("doc") && !tree.has("docs/b.md"));
    }
}
