//! Files that strangers may have put there, read with care.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::glob::Glob;
use crate::read::MAX_FILE;
use crate::show::fnv1a;

/// So many files of one set are read.
const MOST_FILES: usize = 1_000;
/// So many names of one folder are looked at.
const MOST_NAMES: usize = 20_000;
/// So many bytes of all sets are read.
const MOST_BYTES: usize = 64 << 20;
/// A folder that is swapped while it is read is read again so often.
const TRIES: usize = 5;
/// What Kubernetes swaps when the files of a volume change.
const SWAPPED: &str = "..data";

/// One file as it was read.
#[derive(Debug)]
pub(super) struct Read {
    /// The name of the document.
    pub(super) name: String,
    /// The file as people call it.
    pub(super) shown: String,
    /// The name of the file.
    pub(super) file: String,
    pub(super) text: String,
    pub(super) hash: u128,
    /// Who may read it.
    pub(super) mode: u32,
}

/// How much may still be read.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MOST_BYTES)
    }
}

/// Reads the files that a glob names, sorted by name. A folder that is not there has none.
pub(super) fn matching(
    folder: &Path,
    glob: &Glob,
    budget: &mut Budget,
) -> Result<Vec<Read>, Vec<String>> {
    let place = folder.join(glob.folder());
    let mut last = swapped(&place);
    for _ in 0..TRIES {
        let before = budget.0;
        let read = every(folder, &place, glob, budget);
        let now = swapped(&place);
        if now == last {
            return read;
        }
        // Some files may be of the old version and some of the new one.
        budget.0 = before;
        last = now;
    }
    Err(vec![format!(
        "{} changes faster than it can be read",
        place.display()
    )])
}

fn swapped(place: &Path) -> Option<PathBuf> {
    fs::read_link(place.join(SWAPPED)).ok()
}

fn every(
    folder: &Path,
    place: &Path,
    glob: &Glob,
    budget: &mut Budget,
) -> Result<Vec<Read>, Vec<String>> {
    let failed = |error: io::Error| vec![format!("{}: {error}", place.display())];
    let listed = match fs::read_dir(place) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for (count, entry) in listed.enumerate() {
        if count >= MOST_NAMES {
            return Err(vec![format!(
                "{} holds more than {MOST_NAMES} names",
                place.display()
            )]);
        }
        let name = entry.map_err(failed)?.file_name();
        if let Some(name) = name.to_str().filter(|name| glob.matches(name)) {
            names.push(name.to_owned());
        }
    }
    if names.len() > MOST_FILES {
        return Err(vec![format!(
            "{glob} names {} files; at most {MOST_FILES} are read",
            names.len()
        )]);
    }
    names.sort();
    let root = root(folder, glob.folder()).canonicalize().map_err(failed)?;
    let (mut read, mut faults) = (Vec::new(), Vec::new());
    for name in names {
        let shown = glob.folder().join(&name).display().to_string();
        match one(&place.join(&name), shown, &root, budget) {
            Ok(one) => read.push(one),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(read),
        false => Err(faults),
    }
}

/// The folder that links must not lead out of: that of the configuration, or the one that was named in full.
fn root<'a>(folder: &'a Path, named: &'a Path) -> &'a Path {
    match named.is_absolute() {
        true => named,
        false => folder,
    }
}

/// Reads one file that was named.
pub(super) fn single(folder: &Path, path: &Path, budget: &mut Budget) -> Result<Read, String> {
    let shown = path.display().to_string();
    let parent = path.parent().unwrap_or(Path::new(""));
    let root = root(folder, parent);
    let root = root
        .canonicalize()
        .map_err(|error| format!("{shown}: {error}"))?;
    one(&folder.join(path), shown, &root, budget)
}

fn one(path: &Path, shown: String, root: &Path, budget: &mut Budget) -> Result<Read, String> {
    let told = |what: String| format!("{shown}: {what}");
    let (file, mode) = open(path, root).map_err(told)?;
    let most = MAX_FILE.min(budget.0);
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| told(error.to_string()))?;
    if bytes.len() > most {
        let what = match most == MAX_FILE {
            true => format!(
                "it is larger than {} MiB, the most that is read",
                MAX_FILE >> 20
            ),
            false => format!(
                "all documents together are larger than {} MiB",
                MOST_BYTES >> 20
            ),
        };
        return Err(told(what));
    }
    budget.0 -= bytes.len();
    let hash = fnv1a(&bytes);
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        told(format!("line {line} is not UTF-8"))
    })?;
    let part = |part: Option<&OsStr>| part.and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let name = part(path.file_stem());
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(told(
            "the name of a document has letters, digits, `_`, `-` and `.` only".to_owned(),
        ));
    }
    Ok(Read {
        name,
        file: part(path.file_name()),
        shown,
        text,
        hash,
        mode,
    })
}

/// Opens a plain file below `root`, wherever links lead, and gives its permissions.
fn open(path: &Path, root: &Path) -> Result<(File, u32), String> {
    let outside = |real: &Path| {
        format!(
            "it is a link that leads out of the folder, to {}",
            real.display()
        )
    };
    let real = path.canonicalize().map_err(|error| error.to_string())?;
    if !real.starts_with(root) {
        return Err(outside(&real));
    }
    // Opening a FIFO would wait for somebody to write into it.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&real);
    let file = opened.map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a plain file".to_owned());
    }
    // A folder on the way may have become a link since it was looked at; where the kernel says what was opened, it is asked.
    let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    match fs::read_link(descriptor) {
        Ok(opened) if !opened.starts_with(root) => Err(outside(&opened)),
        _ => Ok((file, metadata.permissions().mode() & 0o777)),
    }
}
