//! A hook that removes a directory.
//!
//! A slip of the pen must not cost a disk. Only an absolute path of at least two levels without `..` is taken; it must be a
//! directory and not a symbolic link to one; and neither it nor anything in it may be the root of a mounted file system,
//! because what is mounted there belongs to somebody else.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use tokio::sync::oneshot;

/// Removes it. The work is done by a thread of its own, which does not hold up the end of the process when it takes too long.
pub(super) async fn remove(path: &Path) -> Result<(), String> {
    let path = path.to_owned();
    let (done, result) = oneshot::channel();
    let started = std::thread::Builder::new()
        .name("remove-tree".to_owned())
        .spawn(move || {
            // Nobody listens any more when the time was over.
            match done.send(remove_now(&path)) {
                Ok(()) | Err(_) => {}
            }
        });
    match started {
        Ok(_) => result
            .await
            .unwrap_or_else(|_| Err("it was broken off".to_owned())),
        Err(error) => Err(format!("no thread could be started for it: {error}")),
    }
}

fn remove_now(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let names = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    let steps_back = path.components().any(|part| part == Component::ParentDir);
    if !path.is_absolute() || steps_back || names.count() < 2 {
        return Err(format!(
            "`{shown}` is not removed: write an absolute path at least two levels deep, without `..`"
        ));
    }
    let told = |error: io::Error| format!("`{shown}` could not be removed: {error}");
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(told(error)),
        Ok(found) => found,
    };
    if found.is_symlink() {
        return Err(format!(
            "`{shown}` is not removed: it is a symbolic link. Name the directory it leads to"
        ));
    }
    if !found.is_dir() {
        return Err(format!("`{shown}` is not removed: it is not a directory"));
    }
    // Symbolic links further up may lead anywhere.
    let real = fs::canonicalize(path).map_err(told)?;
    if real.components().count() < 3 {
        return Err(format!(
            "`{shown}` is not removed: it is in truth `{}`",
            real.display()
        ));
    }
    let mounts = mounts().map_err(|error| {
        format!("`{shown}` is not removed: what is mounted in it is unknown ({error})")
    })?;
    if let Some(mount) = mounted_within(&real, &mounts) {
        return Err(format!(
            "`{shown}` is not removed: a file system is mounted on `{}`",
            mount.display()
        ));
    }
    match fs::remove_dir_all(&real) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(told),
    }
}

/// The mounted file system that would lose files with this directory.
fn mounted_within<'a>(real: &Path, mounts: &'a [PathBuf]) -> Option<&'a PathBuf> {
    mounts.iter().find(|mount| mount.starts_with(real))
}

#[cfg(target_os = "linux")]
fn mounts() -> Result<Vec<PathBuf>, procfs::ProcError> {
    let mounts = procfs::process::Process::myself()?.mountinfo()?;
    Ok(mounts.into_iter().map(|mount| mount.mount_point).collect())
}

#[cfg(not(target_os = "linux"))]
fn mounts() -> Result<Vec<PathBuf>, std::convert::Infallible> {
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_a_tree_and_does_not_miss_an_absent_one() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        let tree = dir.path().join("cache");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("a/link")).unwrap();
        assert_eq!(remove_now(&tree), Ok(()));
        assert!(!tree.exists() && outside.join("kept").exists());
        assert_eq!(remove_now(&tree), Ok(()));
    }

    #[test]
    fn refuses_what_could_cost_too_much() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        for (path, why) in [
            (Path::new("/"), "two levels"),
            (Path::new("/etc"), "two levels"),
            (Path::new("cache/x"), "absolute"),
            (Path::new("/tmp/../etc/x"), "without `..`"),
            (link.as_path(), "symbolic link"),
            (file.as_path(), "not a directory"),
        ] {
            let error = remove_now(path).unwrap_err();
            assert!(error.contains(why), "{}: {error}", path.display());
        }
        assert!(Path::new("/etc").exists() && file.exists());
    }

    #[test]
    fn sees_what_is_mounted_on_it_and_in_it() {
        let mounts = ["/", "/srv/data", "/srv/cache/tmp"].map(PathBuf::from);
        let within = |path: &str| mounted_within(Path::new(path), &mounts).is_some();
        assert!(within("/srv/data") && within("/srv/cache") && within("/srv/cache/tmp"));
        assert!(!within("/srv/other") && !within("/srv/data/x") && !within("/srv/dat"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn knows_what_is_mounted() {
        assert!(mounts().unwrap().contains(&PathBuf::from("/proc")));
    }
}
