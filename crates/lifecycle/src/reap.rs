//! Waiting for children, one's own and those that others left behind.
//!
//! In a container Seaworthy is often process 1, and elsewhere it makes itself a subreaper: processes whose parents die
//! become its children, and stay as zombies until it asks for them. It must ask for those without asking for children that
//! another part of the program waits for. So it looks at who has ended without reaping (`WNOWAIT`), gives its own children
//! their notice, leaves those alone for which an [`Exempt`] is held, and reaps the rest.
//!
//! The list of known children belongs to the process and not to a value, because SIGCHLD and zombies do too. The lock on it
//! is held while a child is being started, so nobody ever sees a child that is not on the list yet.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::child::Child;
use crate::exit::Exit;
use crate::signals::Name;
use crate::spawn::{self, Program, first_ended};

static KNOWN: Mutex<BTreeMap<i32, Known>> = Mutex::new(BTreeMap::new());
static ORPHANS: AtomicU64 = AtomicU64::new(0);

/// How many are reaped before others get their turn.
const AT_ONCE: usize = 256;
/// How soon to look again while somebody else's child hides those behind it.
const HIDDEN: Duration = Duration::from_millis(100);

#[derive(Debug)]
enum Known {
    /// Ours to reap.
    Ours {
        ended: oneshot::Sender<Exit>,
        sweep: Arc<AtomicBool>,
    },
    /// Somebody else waits for it.
    Exempt,
}

/// Starts children and reaps them as long as one of its clones lives.
#[derive(Debug, Clone)]
pub struct Reaper {
    _task: Arc<Task>,
}

#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// While it lives, the child with this pid is left for somebody else to reap.
#[derive(Debug)]
pub struct Exempt(Pid);

impl Drop for Exempt {
    fn drop(&mut self) {
        known().remove(&self.0.as_raw_nonzero().get());
    }
}

impl Reaper {
    /// Begins to reap, on the current runtime; with `orphans`, also those whose parents die.
    ///
    /// # Errors
    /// When the handler for SIGCHLD cannot be installed.
    pub fn start(orphans: bool) -> io::Result<Reaper> {
        #[cfg(target_os = "linux")]
        if orphans {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        }
        let mut children = signal(SignalKind::child())?;
        let task = tokio::spawn(async move {
            loop {
                match pass(orphans) {
                    Pass::All => {
                        children.recv().await;
                    }
                    Pass::More => tokio::task::yield_now().await,
                    Pass::Hidden => tokio::time::sleep(HIDDEN).await,
                }
            }
        });
        Ok(Reaper {
            _task: Arc::new(Task(task)),
        })
    }

    /// Starts a program; see [`crate::spawn`] for what it gets, and for why the main thread must call this.
    ///
    /// # Errors
    /// When it cannot be started; nothing is left behind then.
    pub fn spawn(&self, program: &Program) -> Result<Child, spawn::Error> {
        let mut known = known();
        let pid = program.start()?;
        let (ended, receiver) = oneshot::channel();
        let sweep = Arc::new(AtomicBool::new(true));
        known.insert(
            pid.as_raw_nonzero().get(),
            Known::Ours {
                ended,
                sweep: Arc::clone(&sweep),
            },
        );
        Ok(Child::new(pid, receiver, sweep))
    }

    /// Runs `start`, which starts a child that the caller itself will reap, and leaves that child alone for as long as the
    /// guard lives. `start` gives the child and its pid.
    ///
    /// # Errors
    /// What `start` gives.
    pub fn exempt<T, E>(
        &self,
        start: impl FnOnce() -> Result<(T, Pid), E>,
    ) -> Result<(T, Exempt), E> {
        let mut known = known();
        let (child, pid) = start()?;
        known.insert(pid.as_raw_nonzero().get(), Known::Exempt);
        Ok((child, Exempt(pid)))
    }

    /// How many orphans have been reaped so far.
    pub fn orphans_total(&self) -> u64 {
        ORPHANS.load(Ordering::Relaxed)
    }
}

/// What one look at the children came to.
enum Pass {
    /// Nobody is left who has ended.
    All,
    /// There may be more.
    More,
    /// A child of somebody else stands first and hides those behind it.
    Hidden,
}

fn known() -> MutexGuard<'static, BTreeMap<i32, Known>> {
    // Every change to the map is a single insert or remove, so a panic elsewhere leaves it whole.
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reaps whoever has ended: all of ours, and with `orphans` all that nobody knows.
fn pass(orphans: bool) -> Pass {
    let mut known = known();
    notify(&mut known);
    if !orphans {
        return Pass::All;
    }
    for _ in 0..AT_ONCE {
        match first_ended() {
            Ok(None) => return Pass::All,
            Ok(Some(pid)) => match known.get(&pid.as_raw_nonzero().get()) {
                Some(Known::Exempt) => {
                    reap_behind(&known);
                    return Pass::Hidden;
                }
                Some(Known::Ours { .. }) => notify(&mut known),
                None => reap_orphan(pid),
            },
            Err(error) => {
                tracing::warn!(%error, "children cannot be waited for");
                return Pass::All;
            }
        }
    }
    Pass::More
}

/// Gives those of our children that have ended their notice.
fn notify(known: &mut BTreeMap<i32, Known>) {
    let ours: Vec<i32> = known
        .iter()
        .filter(|(_, kind)| matches!(kind, Known::Ours { .. }))
        .map(|(pid, _)| *pid)
        .collect();
    for number in ours {
        let Some(pid) = Pid::from_raw(number) else {
            continue;
        };
        let Some(exit) = peek(pid) else { continue };
        let Some(Known::Ours { ended, sweep }) = known.remove(&number) else {
            continue;
        };
        // The zombie still holds the number of the group, so this cannot hit a stranger.
        if sweep.load(Ordering::Acquire) {
            match kill_process_group(pid, Signal::KILL) {
                Ok(()) | Err(_) => {}
            }
        }
        reap(pid);
        // Whoever started it may have lost interest.
        match ended.send(exit) {
            Ok(()) | Err(_) => {}
        }
    }
}

/// How this child ended, if it has; it is not reaped.
fn peek(pid: Pid) -> Option<Exit> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(None) => None,
        Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Code(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
            (None, Some(number)) => Exit::Signal(Name::from_number(number)),
            (None, None) => Exit::Unknown,
        }),
        // Somebody else has reaped it.
        Err(rustix::io::Errno::CHILD) => Some(Exit::Unknown),
        Err(_) => None,
    }
}

/// Reaps this child if it has ended, and says whether it had.
fn reap(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_)))
}

fn reap_orphan(pid: Pid) {
    if reap(pid) {
        ORPHANS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reaps orphans that stand behind somebody else's child, found by their parent's number.
#[cfg(target_os = "linux")]
fn reap_behind(known: &BTreeMap<i32, Known>) {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let Ok(processes) = procfs::process::all_processes() else {
        return;
    };
    for stat in processes
        .flatten()
        .filter_map(|process| process.stat().ok())
    {
        if stat.ppid == own
            && !known.contains_key(&stat.pid)
            && let Some(pid) = Pid::from_raw(stat.pid)
        {
            reap_orphan(pid);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn reap_behind(_: &BTreeMap<i32, Known>) {}
