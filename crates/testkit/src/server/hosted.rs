//! A server that tests stop, pause and bring back: a free port and a folder of its own, both kept over a restart.
//!
//! [`Redis`](super::Redis), [`Postgres`](super::Postgres) and [`MariaDb`](super::MariaDb) say which program it is and what it
//! writes when it is ready. As root it runs as `nobody`, because some servers refuse root.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::address;
use crate::process::Group;
use crate::wait::{self, PATIENCE};

/// The user and the group `nobody`, whose numbers are the same everywhere.
const NOBODY: u32 = 65534;

/// A program and what it listens at, running or not.
#[derive(Debug)]
pub struct Hosted {
    name: &'static str,
    program: PathBuf,
    words: Vec<OsString>,
    ready: &'static str,
    address: SocketAddr,
    group: Option<Group>,
    folder: TempDir,
}

impl Hosted {
    /// Nothing runs yet: a folder that the program may write into and a port that was free.
    pub(super) fn new(
        name: &'static str,
        program: PathBuf,
        ready: &'static str,
    ) -> crate::Result<Self> {
        let folder = tempfile::tempdir()?;
        if is_root(folder.path())? {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        Ok(Self {
            name,
            program,
            words: Vec::new(),
            ready,
            address: address::free()?,
            group: None,
            folder,
        })
    }

    /// The words that the program is started with.
    pub(super) fn words<W: Into<OsString>>(&mut self, words: impl IntoIterator<Item = W>) {
        self.words.extend(words.into_iter().map(Into::into));
    }

    /// Runs `program` in the folder to its end, as the user that the server runs as.
    pub(super) async fn prepare(&self, program: PathBuf, words: &[&str]) -> crate::Result<()> {
        let mut command = self.command(&program)?;
        command.args(words);
        let group = Group::start(self.name, command)?;
        let ended = group.ended(PATIENCE * 3).await?;
        anyhow::ensure!(
            ended.status.success(),
            "{} failed:\n{}\n{}",
            program.display(),
            ended.stdout,
            ended.stderr
        );
        Ok(())
    }

    /// Writes a file that the server can read and nobody else.
    pub(super) fn write(&self, name: &str, text: &str) -> crate::Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let folder = self.folder.path().metadata()?;
        std::os::unix::fs::chown(&path, Some(folder.uid()), Some(folder.gid()))?;
        Ok(path)
    }

    fn command(&self, program: &Path) -> crate::Result<Command> {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            // MariaDB clears what others have left in a folder that is shared, while they still use it.
            .env("TMPDIR", self.folder.path())
            .env("LC_ALL", "C");
        let folder = self.folder.path().metadata()?;
        if folder.uid() == NOBODY && is_root(Path::new("/proc/self"))? {
            command.uid(NOBODY).gid(NOBODY);
        }
        Ok(command)
    }

    /// Where it listens, or will.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it and waits until it says that it is ready. Does nothing when it runs.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub async fn start(&mut self) -> crate::Result<()> {
        if self.group.is_some() {
            return Ok(());
        }
        let mut command = self.command(&self.program)?;
        command.args(&self.words);
        let mut group = Group::start(self.name, command)?;
        let what = format!("{} to be ready", self.name);
        wait::holds(&what, PATIENCE, || {
            let output = group.output();
            output.stdout().contains(self.ready)
                || output.stderr().contains(self.ready)
                || group.has_ended()
        })
        .await?;
        anyhow::ensure!(
            !group.has_ended(),
            "{} ended:\n{}\n{}",
            self.name,
            group.output().stdout(),
            group.output().stderr()
        );
        self.group = Some(group);
        Ok(())
    }

    /// Kills it and waits for its end. Its folder and its port stay. Does nothing when it does not run.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> crate::Result<()> {
        let Some(mut group) = self.group.take() else {
            return Ok(());
        };
        // Some of them wait for their clients when they are asked kindly.
        for pid in tree(&group) {
            rustix::process::kill_process(pid, Signal::KILL).ok();
        }
        group.wait(PATIENCE).await?;
        // A process below it may have its socket a little longer.
        let what = format!("the port of {} to be closed", self.name);
        wait::until(&what, PATIENCE, || async {
            TcpStream::connect(self.address).await.err().map(drop)
        })
        .await
    }

    /// Stops all its processes where they are (SIGSTOP): connections stay, the kernel accepts new ones, nobody answers.
    ///
    /// # Errors
    /// When it does not run, or does not stop.
    pub async fn pause(&self) -> crate::Result<()> {
        self.signal(Signal::STOP)?;
        let group = self.group.iter();
        let pids: Vec<u32> = group
            .flat_map(|group| {
                group
                    .descendants()
                    .into_iter()
                    .map(|p| p.pid)
                    .chain([group.pid()])
            })
            .collect();
        // Each thread stops by itself; one that has not yet could answer once more.
        let what = format!("all threads of {} to stop", self.name);
        wait::holds(&what, PATIENCE, || pids.iter().all(|pid| is_stopped(*pid))).await
    }

    /// Lets it go on after [`Hosted::pause`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> crate::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> crate::Result<()> {
        let group = self.group.as_ref();
        let group = group.ok_or_else(|| anyhow::anyhow!("{} does not run", self.name))?;
        for pid in tree(group) {
            rustix::process::kill_process(pid, signal).ok();
        }
        Ok(())
    }
}

/// The program and everything below it: Postgres gives each connection a process with a group of its own. The program comes
/// first, so that it starts nothing while the others are signalled.
fn tree(group: &Group) -> Vec<Pid> {
    let pids = std::iter::once(group.pid()).chain(group.descendants().into_iter().map(|p| p.pid));
    pids.filter_map(|pid| Pid::from_raw(pid.cast_signed()))
        .collect()
}

/// Whether all threads of a process are stopped, or it is gone.
fn is_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state is behind the name, which may hold anything.
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.trim_start().chars().next());
        state.is_none_or(|state| matches!(state, 'T' | 't' | 'Z' | 'X'))
    })
}

/// Whether whoever made `path` is root; what this process makes belongs to whoever it runs as.
fn is_root(path: &Path) -> crate::Result<bool> {
    Ok(path.metadata()?.uid() == 0)
}
