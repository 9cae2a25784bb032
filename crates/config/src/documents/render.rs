//! Documents laid out in a folder, all of a set at once.
//!
//! The way is the one that Kubernetes goes with the files of a volume: they stand in a folder of their own version, `..data` is
//! a link to that folder, and each name is a link through `..data`. One rename of `..data` shows the new version whole; a process
//! that is killed at any step leaves the old one or the new one. Only links and folders of this kind are ever removed.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::document::Document;
use crate::show::fnv1a;

/// The link that is swapped.
const DATA: &str = "..data";
/// How the link is called before it is in its place.
const DRAFT: &str = "..data.";
/// How the folders of versions begin.
const VERSION: &str = "..v-";

/// What went wrong while a version was shown.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The folder still shows the old one.
    #[error("{0}")]
    NotShown(#[source] io::Error),
    /// The folder shows it, but not under all of its names.
    #[error("{0}")]
    Partly(#[source] io::Error),
    /// The folder shows it, and something of the old one is left, or may come back after a power cut.
    #[error("{0}")]
    Untidy(#[source] io::Error),
}

/// A version that is complete on the disk and not shown yet. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Staged {
    folder: PathBuf,
    /// The folder of the version, by name.
    version: String,
    names: BTreeSet<String>,
    is_new: bool,
    is_kept: bool,
}

impl Staged {
    /// Writes the documents into a version of their own below `folder`, unless they are shown already.
    pub(super) fn write(folder: &Path, documents: &[&Document]) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut said = Vec::new();
        let mut names = BTreeSet::new();
        for document in documents {
            let (file, text, mode) = document.laid_out();
            stranger(folder, file)?;
            names.insert(file.to_owned());
            for part in [file, text, &mode.to_string()] {
                said.extend_from_slice(part.as_bytes());
                said.push(0);
            }
        }
        let hash = format!("{VERSION}{:032x}", fnv1a(&said));
        let shown = fs::read_link(folder.join(DATA)).ok();
        let shown = shown.as_deref().and_then(Path::to_str);
        if let Some(shown) = shown.filter(|shown| shown.starts_with(&hash))
            && folder.join(shown).is_dir()
        {
            return Ok(Self {
                folder: folder.to_owned(),
                version: shown.to_owned(),
                names,
                is_new: false,
                is_kept: true,
            });
        }
        let staged = Self {
            folder: folder.to_owned(),
            version: format!("{hash}.{}", std::process::id()),
            names,
            is_new: true,
            is_kept: false,
        };
        staged.fill(documents)?;
        Ok(staged)
    }

    fn fill(&self, documents: &[&Document]) -> io::Result<()> {
        let version = self.folder.join(&self.version);
        if version.exists() {
            // One of our own number that was killed before it came to its end.
            fs::remove_dir_all(&version)?;
        }
        fs::create_dir(&version)?;
        for document in documents {
            let (name, text, mode) = document.laid_out();
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode | 0o200)
                .open(version.join(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        File::open(&version)?.sync_all()
    }

    /// Shows it.
    pub(super) fn commit(mut self) -> Result<(), Failed> {
        if self.is_new {
            self.show().map_err(Failed::NotShown)?;
            self.is_kept = true;
        }
        self.link().map_err(Failed::Partly)?;
        self.tidy().map_err(Failed::Untidy)
    }

    fn show(&self) -> io::Result<()> {
        let draft = self.folder.join(format!("{DRAFT}{}", std::process::id()));
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink(&self.version, &draft)?,
        }
        fs::rename(&draft, self.folder.join(DATA))
    }

    /// A link for each name, and none for names that are gone.
    fn link(&self) -> io::Result<()> {
        for name in &self.names {
            let path = self.folder.join(name);
            match symlink(Path::new(DATA).join(name), &path) {
                Err(_) if is_link(&path, name) => {}
                made => made?,
            }
        }
        Ok(())
    }

    fn tidy(&self) -> io::Result<()> {
        // After a power cut nothing may lead to an old version that is gone.
        File::open(&self.folder)?.sync_all()?;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = entry.path();
            let is_gone = is_link(&path, &name) && !self.names.contains(&*name);
            if name.starts_with(VERSION) && name != self.version {
                fs::remove_dir_all(path)?;
            } else if is_gone || name.starts_with(DRAFT) {
                fs::remove_file(path)?;
            }
        }
        File::open(&self.folder)?.sync_all()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_kept {
            fs::remove_dir_all(self.folder.join(&self.version)).ok();
        }
    }
}

/// Whether it is a link of ours.
fn is_link(path: &Path, name: &str) -> bool {
    fs::read_link(path).is_ok_and(|target| target == Path::new(DATA).join(name))
}

/// Refuses to take the place of what somebody else has put there.
fn stranger(folder: &Path, name: &str) -> io::Result<()> {
    let path = folder.join(name);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(_) if is_link(&path, name) => Ok(()),
        Ok(_) => {
            let what = format!(
                "there is another `{name}` already; move it away, or name a folder of its own"
            );
            Err(io::Error::new(io::ErrorKind::AlreadyExists, what))
        }
    }
}
