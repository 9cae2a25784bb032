//! Where an instance keeps its state: sockets and the file that says how to reach it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The folder of all instances of this user: below `$XDG_RUNTIME_DIR`, else in `/tmp` under the user's number.
pub fn base(runtime_dir: Option<&Path>) -> PathBuf {
    match runtime_dir.filter(|folder| folder.is_absolute()) {
        Some(folder) => folder.join("seaworthy"),
        None => PathBuf::from(format!(
            "/tmp/seaworthy-{}",
            rustix::process::getuid().as_raw()
        )),
    }
}

/// The state folder of the instance that is started in `cwd`, unless `state_dir` says another.
pub fn default_for(base: &Path, cwd: &Path) -> PathBuf {
    base.join(format!(
        "{:016x}",
        fingerprint(cwd.as_os_str().as_encoded_bytes())
    ))
}

/// Makes `folder` for this user alone.
///
/// # Errors
/// When it cannot be made, or someone else could put files into it.
pub fn prepare(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    // The parent too: in /tmp somebody could have made it first.
    for folder in [Some(folder), folder.parent()]
        .into_iter()
        .flatten()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let metadata = fs::metadata(folder)?;
        let trusted = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
        let (for_all, sticky) = (metadata.mode() & 0o002 != 0, metadata.mode() & 0o1000 != 0);
        if !trusted || (for_all && !sticky) {
            let why = format!(
                "{} belongs to someone else or is writable by everyone; choose another state_dir",
                folder.display()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
    }
    Ok(())
}

/// FNV-1a: the same in every version of this program, so that a new `status` finds an old `run`.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn folders_are_per_user_and_per_working_directory() {
        assert_eq!(
            base(Some(Path::new("/run/user/7"))),
            Path::new("/run/user/7/seaworthy")
        );
        assert!(base(Some(Path::new(""))).starts_with("/tmp"));
        let base = Path::new("/run");
        assert_eq!(
            default_for(base, Path::new("a")),
            Path::new("/run/af63dc4c8601ec8c")
        );
        assert_ne!(
            default_for(base, Path::new("/a")),
            default_for(base, Path::new("/b"))
        );
    }

    #[test]
    fn a_folder_that_everyone_may_write_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("open");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(
            prepare(&folder)
                .unwrap_err()
                .to_string()
                .contains("state_dir")
        );
        assert!(prepare(&folder.join("inside")).is_err());
    }
}
