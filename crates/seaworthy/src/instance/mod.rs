//! The running instance as other processes find it: a file in its state folder, and what its admin API answers.
//!
//! The file is for its owner only, because the token in it allows every change. It is replaced in one step, so a reader
//! never sees half of it. It may outlive a killed instance; a reader asks whether the process is alive.

pub mod client;
pub mod folder;
pub mod process;
pub mod status;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use crate::draft::Draft;

pub use status::{Phase, Status};

/// The name of the file inside the state folder.
pub const FILE: &str = "instance.json";

/// What an instance says of itself to whoever may read its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its process.
    pub pid: u32,
    /// Where it serves.
    pub public: String,
    /// Where its admin API listens, as `HOST:PORT` or `unix:PATH`; nothing when that is off.
    pub admin: Option<String>,
    /// Allows changes through the admin API.
    pub token: String,
    /// When it started, as RFC 3339.
    pub started_at: String,
}

/// Why the file of an instance gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    /// There is one that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
}

impl Instance {
    /// Writes the file into `folder`, which is made when it is missing.
    ///
    /// # Errors
    /// When the folder is not ours alone or cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        folder::prepare(folder)?;
        let text = serde_json::to_vec_pretty(self)?;
        Draft::write(&folder.join(FILE), &text, 0o600)?.commit()
    }

    /// Reads the file in `folder`.
    ///
    /// # Errors
    /// When there is none, or none that makes sense.
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ReadError::Missing(path));
            }
            Err(source) => return Err(ReadError::Unreadable { path, source }),
        };
        serde_json::from_slice(&text).map_err(|error| ReadError::Unreadable {
            path,
            source: error.into(),
        })
    }

    /// Removes the file in `folder` if it is this instance's own, and not that of one that took over.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, folder: &Path) -> io::Result<()> {
        match Self::read(folder) {
            Ok(found) if found == *self => fs::remove_file(folder.join(FILE)),
            _ => Ok(()),
        }
    }

    /// Whether its process is still there.
    pub fn is_alive(&self) -> bool {
        process::is_alive(self.pid)
    }
}

/// A new token of 256 random bits.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_token() -> io::Result<String> {
    let mut random = [0_u8; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether a request shows the token. Compared in constant time, so that the time of an answer tells nothing about it.
pub fn shows_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
        .unwrap_or_default();
    let pairs = given.iter().zip(token.as_bytes());
    let differences = pairs.fold(0, |sum, (left, right)| sum | (left ^ right));
    given.len() == token.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn instance(pid: u32) -> Instance {
        Instance {
            pid,
            public: "0.0.0.0:8000".to_owned(),
            admin: Some("127.0.0.1:9900".to_owned()),
            token: new_token().unwrap(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_read_and_only_the_owner_may() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let written = instance(1);
        written.write(&folder).unwrap();
        assert_eq!(Instance::read(&folder).unwrap(), written);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.join(FILE)), mode(&folder)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn only_the_own_file_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let (old, new) = (instance(1), instance(2));
        new.write(root.path()).unwrap();
        old.remove(root.path()).unwrap();
        assert_eq!(Instance::read(root.path()).unwrap(), new);
        new.remove(root.path()).unwrap();
        assert!(matches!(
            Instance::read(root.path()),
            Err(ReadError::Missing(_))
        ));
    }

    #[test]
    fn a_file_without_sense_is_told_from_none() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(FILE), "{").unwrap();
        assert!(matches!(
            Instance::read(root.path()),
            Err(ReadError::Unreadable { .. })
        ));
    }

    #[test]
    fn tokens_differ() {
        let (one, other) = (new_token().unwrap(), new_token().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }

    #[test]
    fn only_the_whole_token_counts() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("a value"));
            shows_token(&headers, "secret")
        };
        assert!(with("Bearer secret"));
        for bad in [
            "Bearer secre",
            "Bearer secrett",
            "Bearer ",
            "secret",
            "Bearer Secret",
        ] {
            assert!(!with(bad), "{bad}");
        }
        assert!(!shows_token(&HeaderMap::new(), "secret"));
    }
}
