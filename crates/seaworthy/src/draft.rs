//! A file that is complete on the disk and not yet in its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A complete file beside the one that it will replace. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Draft {
    draft: PathBuf,
    place: PathBuf,
    is_kept: bool,
}

impl Draft {
    /// Writes `text` beside `place`, for those whom `mode` names, as far as the umask lets it.
    pub(crate) fn write(place: &Path, text: &[u8], mode: u32) -> io::Result<Self> {
        let name = place
            .file_name()
            .ok_or_else(|| io::Error::other("it names no file"))?;
        if place.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut draft = name.to_owned();
        draft.push(format!(".{}.draft", std::process::id()));
        let draft = Self {
            draft: place.with_file_name(draft),
            place: place.to_owned(),
            is_kept: false,
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&draft.draft)?;
        file.write_all(text)?;
        file.sync_all()?;
        Ok(draft)
    }

    /// Writes `text` in the place of a user's own file, which stays beside it as `.bak`; a link goes on leading to it.
    ///
    /// # Errors
    /// It cannot be written, or there is another `.bak` that would be lost. The file is as it was.
    pub(crate) fn replace(place: &Path, text: &str) -> Result<(), Failure> {
        let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        let wrong = |error: io::Error| {
            let name = place.display();
            Failure::usage(format!(
                "{name} cannot be written: {error}; check who may write into its folder"
            ))
        };
        let Ok(found) = fs::metadata(&place) else {
            let draft = Self::write(&place, text.as_bytes(), 0o644);
            return draft.and_then(Self::commit).map_err(wrong);
        };
        let mut old = place.as_os_str().to_owned();
        old.push(".bak");
        let old = PathBuf::from(old);
        let before = fs::read(&place).map_err(wrong)?;
        if fs::read(&old).is_ok_and(|older| older != before) {
            let (name, old) = (place.display(), old.display());
            return Err(Failure::usage(format!(
                "{name} would take the place of an older {old}; move that away first"
            )));
        }
        fs::copy(&place, old).map_err(wrong)?;
        let draft = Self::write(&place, text.as_bytes(), 0o600).map_err(wrong)?;
        fs::set_permissions(&draft.draft, found.permissions()).map_err(wrong)?;
        draft.commit().map_err(wrong)
    }

    /// Puts it in its place at once: whoever reads meanwhile sees the old file or the new one.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        fs::rename(&self.draft, &self.place)?;
        self.is_kept = true;
        let folder = self
            .place
            .parent()
            .filter(|folder| *folder != Path::new(""));
        // Everybody sees it by now; only whether it outlives a power cut is not sure, and the old one would do no better.
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).ok();
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            fs::remove_file(&self.draft).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_users_own_file_keeps_its_link_its_mode_and_its_past() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.yaml"), folder.path().join("link"));
        fs::write(&file, "one").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Draft::replace(&link, "two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o664
        );
        let old = folder.path().join("real.yaml.bak");
        assert_eq!(fs::read_to_string(&old).unwrap(), "one");
        let refused = Draft::replace(&file, "three").unwrap_err();
        assert!(refused.message.contains("move that away"), "{refused}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        fs::remove_file(old).unwrap();
        Draft::replace(&file, "three").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "three");
    }

    #[test]
    fn a_draft_takes_its_place_whole_or_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("state.json");
        let count = || fs::read_dir(folder.path()).unwrap().count();
        drop(Draft::write(&place, b"never", 0o600).unwrap());
        assert_eq!(count(), 0);
        Draft::write(&place, b"one", 0o600)
            .unwrap()
            .commit()
            .unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"one");
        assert_eq!(
            fs::metadata(&place).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let draft = Draft::write(&place, b"two", 0o600).unwrap();
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        assert!(draft.commit().is_err(), "there is a folder in its place");
        assert_eq!(count(), 1, "the draft is gone");
    }
}
