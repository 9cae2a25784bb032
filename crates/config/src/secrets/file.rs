//! Secrets in files, as Docker and Kubernetes mount them.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{Asking, Given, MAX_SECRET, Provider, Trouble, read_secret};

/// Who may do more than this with a file of secrets may do too much.
const MOST_MODE: u32 = 0o640;

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File(pub PathBuf);

impl Provider for File {
    fn ask(&self) -> Asking<'_> {
        let path = self.0.clone();
        Box::pin(async move {
            // A file may lie on a network that is gone.
            let read = tokio::task::spawn_blocking(move || read(&path));
            read.await
                .unwrap_or_else(|_| Err(Trouble::new("reading it failed")))
        })
    }
}

fn read(path: &Path) -> Result<Given, Trouble> {
    let shown = path.display();
    let about = |trouble: Trouble| Trouble {
        what: format!("{shown}: {}", trouble.what),
        ..trouble
    };
    // Without the flag, opening a pipe that nobody writes into would never end.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    let file = opened.map_err(|error| about(explain(&error)))?;
    let meta = file.metadata().map_err(|error| about(explain(&error)))?;
    if !meta.is_file() {
        let what = if meta.is_dir() {
            "a folder"
        } else {
            "a pipe or a device"
        };
        return Err(about(
            Trouble::new(format!("this is {what}")).help("name a plain file"),
        ));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SECRET as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| about(explain(&error)))?;
    Ok(Given {
        warning: too_open(path, meta.mode()),
        ..Given::from(read_secret(bytes).map_err(about)?)
    })
}

fn explain(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Trouble::new("there is no such file").help("mount it, or correct its path")
        }
        io::ErrorKind::PermissionDenied => Trouble::new("it may not be read")
            .help("let the user of this process read it, and nobody else"),
        kind => Trouble::new(format!("it cannot be read ({kind})")),
    }
}

/// What to say of a file of secrets with this mode, when more people can read or change it than should.
#[must_use]
pub fn too_open(path: &Path, mode: u32) -> Option<String> {
    let mode = mode & 0o777;
    // The owner may do with his file what he likes.
    (mode & 0o077 & !MOST_MODE != 0).then(|| {
        format!(
            "{} has the mode {mode:04o}, so more people than its owner and group can use it; {MOST_MODE:04o} or less is enough",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(path: PathBuf) -> Result<Given, Trouble> {
        File(path).ask().await
    }

    #[tokio::test]
    async fn a_plain_file_is_read_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "hunter2\n").unwrap();
        assert_eq!(ask(file).await.unwrap().value.expose(), "hunter2");
        for (path, why) in [
            (folder.path().join("none"), "no such file"),
            (folder.path().to_owned(), "a folder"),
            ("/dev/zero".into(), "a device"),
        ] {
            let error = ask(path).await.unwrap_err();
            assert!(error.what.contains(why), "{error}");
        }
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert!(ask(pipe).await.unwrap_err().what.contains("a pipe"));
        let huge = folder.path().join("huge");
        std::fs::write(&huge, vec![b'a'; MAX_SECRET * 2]).unwrap();
        assert!(ask(huge).await.unwrap_err().what.contains("64 KiB"));
    }

    #[test]
    fn a_mode_beyond_owner_and_group_is_warned_of() {
        for (mode, warns) in [
            (0o600, false),
            (0o640, false),
            (0o400, false),
            (0o700, false),
            (0o100_440, false),
            (0o644, true),
            (0o660, true),
            (0o604, true),
            (0o777, true),
        ] {
            assert_eq!(too_open(Path::new("x"), mode).is_some(), warns, "{mode:o}");
        }
    }
}
