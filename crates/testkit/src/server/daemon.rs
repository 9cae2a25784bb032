//! A server that tests stop, pause and bring back: a free port and a folder of its own, both kept over a restart.
//!
//! [`Redis`](super::Redis), [`Kafka`](super::Kafka) and the like say which program it is and how it shows that it is ready;
//! whatever one can do to a server is here. Each of them owns a daemon and stands for it. A slow network is a
//! [`Gap`](super::Gap) before it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::address;
use crate::certificate::Certificate;
use crate::process::{Group, Process, Signal, kill};
use crate::wait::{self, PATIENCE};

/// How long a heavy server may take to come up on a busy machine.
const START: Duration = Duration::from_secs(120);

/// The user and the group `nobody`, whose numbers are the same everywhere.
const NOBODY: u32 = 65534;

/// How a server shows that it is ready.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ready {
    /// It writes this.
    Says(&'static str),
    /// It answers anything at all to these bytes: many listen before they answer.
    Answers(&'static [u8]),
}

/// A program and what it listens at, running or not. Dropping it kills the program and removes the folder.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    ready: Ready,
    command: Command,
    address: SocketAddr,
    owner: Option<u32>,
    group: Option<Group>,
    folder: TempDir,
}

impl Daemon {
    /// Nothing runs yet: a folder that the program may write into and a port that was free.
    pub(super) fn new(name: &'static str, program: &Path, ready: Ready) -> crate::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        let mut daemon = Self {
            name,
            ready,
            command: Command::new(program),
            address: address::free()?,
            owner: None,
            group: None,
            folder,
        };
        daemon.command = daemon.beside(program);
        Ok(daemon)
    }

    /// Runs it as `nobody` where the tests run as root, which it refuses to be.
    pub(super) fn never_root(mut self) -> crate::Result<Self> {
        if rustix::process::geteuid().is_root() {
            self.owner = Some(NOBODY);
            chown(self.folder.path(), self.owner, self.owner)?;
            self.command.uid(NOBODY).gid(NOBODY);
        }
        Ok(self)
    }

    /// What it is started with; the folder, its words and its variables may be added to.
    pub(super) fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Another program with the folder, the user and the variables of this one.
    pub(super) fn beside(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder())
            .env("HOME", self.folder())
            // MariaDB clears what others have left in a folder that is shared, while they still use it.
            .env("TMPDIR", self.folder())
            .env("LC_ALL", "C");
        for (name, value) in self.command.as_std().get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        if let Some(owner) = self.owner {
            command.uid(owner).gid(owner);
        }
        command
    }

    /// Writes a file that the server can read and nobody else.
    pub(super) fn write(&self, name: &str, text: &str) -> crate::Result<PathBuf> {
        let path = self.folder().join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        chown(&path, self.owner, self.owner)?;
        Ok(path)
    }

    /// Gives it a certificate in `cert.pem` and the key of it in `key.pem`.
    pub(super) fn certify(&self) -> crate::Result<Certificate> {
        let made = Certificate::new()?;
        self.write("cert.pem", &made.certificate)?;
        self.write("key.pem", &made.key)?;
        Ok(made)
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

    /// The certificate that it shows where it speaks TLS.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder().join("cert.pem")
    }

    /// Starts it and waits until it is ready. Does nothing when it runs.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub async fn start(&mut self) -> crate::Result<()> {
        if self.group.is_some() {
            return Ok(());
        }
        let (ready, address) = (self.ready, self.address);
        let mut group = Group::start(self.name, &mut self.command)?;
        let what = format!("{} to be ready", self.name);
        let waited = wait::until(&what, START, || {
            let ended = group.has_ended();
            let written = written(&group);
            async move { (ended || is_ready(ready, address, &written).await).then_some(()) }
        });
        waited.await.with_context(|| written(&group))?;
        ensure!(
            !group.has_ended(),
            "{} ended:\n{}",
            self.name,
            written(&group)
        );
        self.group = Some(group);
        Ok(())
    }

    /// Kills it and waits for its end. Its folder and its port stay. Does nothing when it does not run.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> crate::Result<()> {
        let Some(group) = &self.group else {
            return Ok(());
        };
        // Listed first: a server's own child sits in another group, and may hold what the next life needs, such as Postgres'
        // shared memory.
        let below = group.descendants();
        // Some of them wait for their clients when they are asked kindly.
        self.signal(Signal::KILL)?;
        if let Some(mut group) = self.group.take() {
            group.wait(PATIENCE).await?;
        }
        let what = format!("the processes below {} to end", self.name);
        wait::holds(&what, PATIENCE, || {
            below.iter().all(|process| !lives_on(process))
        })
        .await?;
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
        let group = self.group()?;
        let below = group.descendants().into_iter().map(|process| process.pid);
        let pids: Vec<u32> = below.chain([group.pid()]).collect();
        // Each thread stops by itself; one that has not yet could answer once more.
        let what = format!("all threads of {} to stop", self.name);
        wait::holds(&what, PATIENCE, || pids.iter().all(|pid| is_stopped(*pid))).await
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> crate::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Signals the program and everything below it: Postgres gives each connection a process with a group of its own.
    fn signal(&self, signal: Signal) -> crate::Result<()> {
        let group = self.group()?;
        // A program that stands starts nothing while those below it are listed.
        group.signal(Signal::STOP)?;
        for process in group.descendants() {
            // One that is gone by now needs no signal.
            kill(process.pid, signal).ok();
        }
        group.signal(signal)
    }

    fn group(&self) -> crate::Result<&Group> {
        let group = self.group.as_ref();
        group.with_context(|| format!("{} does not run", self.name))
    }
}

fn written(group: &Group) -> String {
    group.output().stdout() + &group.output().stderr()
}

async fn is_ready(ready: Ready, address: SocketAddr, written: &str) -> bool {
    let answer = async |question| {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(question).await?;
        stream.read_u8().await
    };
    match ready {
        Ready::Says(text) => written.contains(text),
        Ready::Answers(question) => {
            let answered = tokio::time::timeout(Duration::from_secs(1), answer(question)).await;
            matches!(answered, Ok(Ok(_)))
        }
    }
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

/// Whether a process is still there, and not another under its number.
fn lives_on(process: &Process) -> bool {
    Process::read(process.pid).is_some_and(|now| now.name == process.name && now.state != 'Z')
}
