//! A log of files in a folder that all instances see.
//!
//! `ENVIRONMENT/records/` has a file for each record, numbered in the order in which they came; `ENVIRONMENT/acks/` has one for each
//! instance. A file appears whole or not at all: it is written under another name and linked in place, and of two who want one number
//! the second takes the next. Old records may be deleted, but for the latest.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use seaworthy_config::registry::MOST;

use super::trouble::{Trouble, fits};

/// See the [module documentation](self).
#[derive(Debug)]
pub struct DirectoryLog {
    records: PathBuf,
    acks: PathBuf,
    /// The number of the last record that was read.
    read: u64,
}

impl DirectoryLog {
    /// The log of `environment` below `folder`.
    #[must_use]
    pub fn new(folder: &Path, environment: &str) -> Self {
        let folder = folder.join(file_name(environment));
        Self {
            records: folder.join("records"),
            acks: folder.join("acks"),
            read: 0,
        }
    }

    /// Writes one record more.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub async fn append(&mut self, text: &str) -> Result<(), Trouble> {
        fits(&self.records.display().to_string(), text, MOST)?;
        let (records, text) = (self.records.clone(), text.to_owned());
        blocking(&self.records, move || {
            fs::create_dir_all(&records)?;
            let draft = draft(&records, &text)?;
            let mut number = numbers(&records)?.last().copied().unwrap_or(0);
            loop {
                number += 1;
                match fs::hard_link(&draft, records.join(format!("{number:012}.json"))) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    linked => break linked?,
                }
            }
            drop(draft);
            fs::File::open(&records)?.sync_all()
        })
        .await
    }

    /// The records since the last call.
    ///
    /// # Errors
    /// The folder is there and cannot be read.
    pub async fn news(&mut self) -> Result<Vec<String>, Trouble> {
        let (records, read) = (self.records.clone(), self.read);
        let (texts, last) = blocking(&self.records, move || {
            // A folder that was emptied begins anew; the one who judges records passes over those that he has had.
            let is_new = numbers(&records)?.last().is_none_or(|last| *last < read);
            let read = if is_new { 0 } else { read };
            let unread = || -> io::Result<Vec<u64>> {
                let mut numbers = numbers(&records)?;
                numbers.retain(|number| *number > read);
                Ok(numbers)
            };
            let mut numbers = unread()?;
            // A file that appears while a folder is read may be missed, though one that came later is not.
            if numbers.windows(2).any(|two| two[0] + 1 < two[1])
                || numbers.first() > Some(&(read + 1))
            {
                numbers = unread()?;
            }
            let mut texts = Vec::new();
            let mut last = read;
            for number in numbers {
                texts.extend(text(&records.join(format!("{number:012}.json")))?);
                last = number;
            }
            Ok((texts, last))
        })
        .await?;
        self.read = last;
        Ok(texts)
    }

    /// Replaces what `instance` said.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub async fn acknowledge(&mut self, instance: &str, text: &str) -> Result<(), Trouble> {
        let (acks, text) = (self.acks.clone(), text.to_owned());
        let file = acks.join(format!("{}.json", file_name(instance)));
        blocking(&self.acks, move || {
            fs::create_dir_all(&acks)?;
            let mut draft = draft(&acks, &text)?;
            fs::rename(&draft, file)?;
            draft.0.clear();
            Ok(())
        })
        .await
    }

    /// What each instance said last.
    ///
    /// # Errors
    /// The folder is there and cannot be read.
    pub async fn acks(&mut self) -> Result<Vec<String>, Trouble> {
        let acks = self.acks.clone();
        blocking(&self.acks, move || {
            let mut texts = Vec::new();
            for name in names(&acks)? {
                if name.ends_with(".json") {
                    texts.extend(text(&acks.join(name))?);
                }
            }
            Ok(texts)
        })
        .await
    }
}

/// A name that leads nowhere else: what is special in paths is written as its number.
fn file_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let letter = |c: char| match plain(c) {
        true => c.to_string(),
        false => format!("%{:x}", u32::from(c)),
    };
    name.chars().map(letter).collect()
}

/// A file that goes when it is dropped.
struct Draft(PathBuf);

impl AsRef<Path> for Draft {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It may have got its name, and then there is none.
        fs::remove_file(&self.0).ok();
    }
}

fn draft(folder: &Path, text: &str) -> io::Result<Draft> {
    let name = format!(".{}-{:016x}", std::process::id(), fastrand::u64(..));
    let draft = Draft(folder.join(name));
    fs::write(&draft, text)?;
    fs::File::open(&draft)?.sync_all()?;
    Ok(draft)
}

/// The names in a folder; none when there is no such folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let name = |entry: io::Result<fs::DirEntry>| {
        let name = entry?.file_name().into_string().unwrap_or_default();
        Ok((!name.starts_with('.')).then_some(name))
    };
    entries
        .filter_map(|entry| name(entry).transpose())
        .collect()
}

fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let number = |name: String| name.strip_suffix(".json")?.parse().ok();
    let mut numbers: Vec<u64> = names(folder)?.into_iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The text of a file, if it is a file with a text of a length that may be.
fn text(file: &Path) -> io::Result<Option<String>> {
    let found = match fs::symlink_metadata(file) {
        // Somebody tidies up.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if !found.is_file() {
        return Ok(None);
    }
    let most = u64::try_from(MOST).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    fs::File::open(file)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok((bytes.len() <= MOST)
        .then(|| String::from_utf8(bytes).ok())
        .flatten())
}

async fn blocking<T: Send + 'static>(
    folder: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Trouble> {
    let wrong = |why: &dyn std::fmt::Display| {
        let folder = folder.display();
        Trouble::new(format!(
            "{folder} cannot be used: {why}; check `registry.directory` and who may write there"
        ))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| wrong(&error)),
        Err(error) => Err(wrong(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_read_see_one_order_and_a_late_one_sees_everything() {
        let folder = tempfile::tempdir().unwrap();
        let log = || DirectoryLog::new(folder.path(), "production");
        let (mut first, mut early) = (log(), log());
        assert!(early.news().await.unwrap().is_empty());
        first.append("a").await.unwrap();
        assert_eq!(early.news().await.unwrap(), ["a"]);
        let writers = (0..8).map(|number| {
            let mut log = log();
            async move { log.append(&number.to_string()).await.unwrap() }
        });
        futures_util::future::join_all(writers).await;
        let mut seen = early.news().await.unwrap();
        let all = log().news().await.unwrap();
        assert_eq!(all[1..], seen);
        seen.sort();
        assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "7"]);
        let mut elsewhere = DirectoryLog::new(folder.path(), "../production");
        assert!(elsewhere.news().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_no_record_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = DirectoryLog::new(folder.path(), "production");
        let records = folder.path().join("production/records");
        fs::create_dir_all(&records).unwrap();
        fs::write(records.join("000000000001.json"), vec![b'x'; MOST + 1]).unwrap();
        fs::write(records.join("000000000002.json"), [0xff]).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", records.join("000000000003.json")).unwrap();
        fs::create_dir(records.join("000000000004.json")).unwrap();
        log.append("whole").await.unwrap();
        assert_eq!(log.news().await.unwrap(), ["whole"]);
    }

    #[tokio::test]
    async fn what_was_said_before_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = DirectoryLog::new(folder.path(), "production");
        for text in ["one", "two"] {
            log.acknowledge("host:8000", text).await.unwrap();
        }
        log.acknowledge("../other", "three").await.unwrap();
        let mut acks = log.acks().await.unwrap();
        acks.sort();
        assert_eq!(acks, ["three", "two"]);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let mut wrong = DirectoryLog::new(&file, "production");
        let told = wrong.append("a").await.unwrap_err().to_string();
        assert!(told.contains("registry.directory"), "{told}");
    }
}
