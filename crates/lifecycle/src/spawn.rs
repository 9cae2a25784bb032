//! Starting a process.
//!
//! Every child leads a process group of its own, so that a Ctrl+C in the terminal reaches Seaworthy alone and a signal from
//! Seaworthy reaches everything the child has started. It dies with us (`PR_SET_PDEATHSIG`), ignores SIGHUP unless it
//! installs a handler (a closed terminal must not take the app down before its drain), and begins with an empty signal mask.
//! Standard input, output and error are inherited untouched.
//!
//! **Call it from the main thread.** Linux sends the death signal when the *thread* that started the child ends, so a child
//! started from a thread of a pool dies with that thread.
//!
//! This is the only file of the workspace with unsafe code: what must happen between `fork` and `exec`, and the one question
//! about children that the safe crates cannot ask. It reaps nobody; see [`crate::reap`].

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A command to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// A path, or a name that is looked up in `PATH`.
    pub program: OsString,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Changes to the inherited environment; `None` takes a variable away.
    pub env: Vec<(OsString, Option<OsString>)>,
    /// Where it runs; here when unset.
    pub cwd: Option<PathBuf>,
    /// Whether it may read our standard input.
    pub stdin: bool,
}

/// Why a command could not be started, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that name in `PATH`.
    #[error(
        "the command `{0}` was not found in PATH. Install it, activate the environment it is installed in, or write its full path"
    )]
    NotInPath(String),
    /// No file at that path.
    #[error(
        "there is no file `{0}`. Correct the path of the command; a relative one is seen from the directory it runs in"
    )]
    NoSuchFile(String),
    /// The file is there, what it needs in order to run is not.
    #[error(
        "`{0}` is there, but the interpreter in its first line (or its dynamic loader) is not. Correct the line that begins with #!, or install what it names"
    )]
    NoInterpreter(String),
    /// The file may not be executed.
    #[error(
        "`{0}` is not executable. Make it so with `chmod +x {0}`, or put its interpreter in front of it"
    )]
    NotExecutable(String),
    /// The file is no program.
    #[error(
        "`{0}` is neither a program for this machine nor a script that begins with #!. Put its interpreter in front of it"
    )]
    NotAProgram(String),
    /// The directory to run in is missing.
    #[error(
        "the directory `{0}` that the command is to run in does not exist. Create it or correct the path"
    )]
    NoDirectory(PathBuf),
    /// The system had a reason of its own, such as a limit on processes.
    #[error("`{program}` could not be started: {source}")]
    System {
        /// What was to be started.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// Whether trying again is pointless until somebody changes something.
    pub fn is_final(&self) -> bool {
        !matches!(self, Error::System { .. })
    }
}

impl Program {
    /// The command line as one would type it, for messages.
    pub fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        let words: Vec<String> = words
            .map(|word| {
                let word = word.to_string_lossy();
                if word.is_empty() || word.contains([' ', '\'', '"', '\n', '$']) {
                    format!("'{}'", word.replace('\'', "'\\''"))
                } else {
                    word.into_owned()
                }
            })
            .collect();
        words.join(" ")
    }

    /// Starts it and gives its pid, which is also the number of its process group. Nobody waits for it yet.
    pub(crate) fn start(&self) -> Result<rustix::process::Pid, Error> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).process_group(0);
        if !self.stdin {
            command.stdin(Stdio::null());
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        prepare(&mut command);
        let child = command.spawn().map_err(|error| self.explain(error))?;
        // The handle is dropped unwaited: whoever registered the pid reaps it.
        i32::try_from(child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .ok_or_else(|| Error::System {
                program: self.line(),
                source: io::Error::other("its process id is out of range"),
            })
    }

    /// Turns the system's word into a sentence with a remedy.
    fn explain(&self, source: io::Error) -> Error {
        let name = self.program.to_string_lossy().into_owned();
        if let Some(cwd) = &self.cwd
            && !cwd.is_dir()
        {
            return Error::NoDirectory(cwd.clone());
        }
        let here = self.cwd.as_deref().unwrap_or(Path::new("."));
        let path = here.join(&self.program);
        match source.kind() {
            io::ErrorKind::NotFound if !name.contains('/') => Error::NotInPath(name),
            io::ErrorKind::NotFound if path.exists() => Error::NoInterpreter(name),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NoSuchFile(name),
            io::ErrorKind::PermissionDenied => Error::NotExecutable(name),
            _ if source.raw_os_error() == Some(libc::ENOEXEC) => Error::NotAProgram(name),
            _ => Error::System {
                program: self.line(),
                source,
            },
        }
    }
}

/// Has [`before_exec`] run in the child.
#[allow(unsafe_code)]
fn prepare(command: &mut Command) {
    let parent = i32::try_from(std::process::id()).unwrap_or(0);
    // SAFETY: `before_exec` runs between fork and exec in a copy of a program with several threads. It allocates nothing,
    // takes no lock and calls only functions that POSIX lists as safe there, and prctl, which is a plain system call.
    unsafe {
        command.pre_exec(move || before_exec(parent));
    }
}

#[allow(unsafe_code)]
fn before_exec(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: plain system calls on values of this stack frame; `mask` is initialised by sigemptyset before it is read.
    unsafe {
        if libc::signal(libc::SIGHUP, libc::SIG_IGN) == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
        let mut mask = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        if libc::sigemptyset(mask.as_mut_ptr()) != 0
            || libc::sigprocmask(libc::SIG_SETMASK, mask.as_ptr(), std::ptr::null_mut()) != 0
        {
            return Err(io::Error::last_os_error());
        }
        #[cfg(target_os = "linux")]
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            return Err(io::Error::last_os_error());
        }
        // The parent may have died before the line above took effect; then nobody would ever send the signal.
        if libc::getppid() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    Ok(())
}

/// The first child that has ended and that nobody has reaped yet; it is left as it is.
#[allow(unsafe_code)]
pub(crate) fn first_ended() -> io::Result<Option<rustix::process::Pid>> {
    // SAFETY: all bytes zero is a valid siginfo_t; waitid only writes to it, and with WNOHANG leaves it untouched when no
    // child has ended, in which case the pid reads as zero.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        if libc::waitid(libc::P_ALL, 0, &raw mut info, flags) != 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ECHILD) => Ok(None),
                _ => Err(error),
            };
        }
        Ok(rustix::process::Pid::from_raw(info.si_pid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_command_as_one_would_type_it() {
        let program = Program {
            program: "sh".into(),
            args: vec!["-c".into(), "echo it's".into(), String::new().into()],
            ..Program::default()
        };
        assert_eq!(program.line(), r"sh -c 'echo it'\''s' ''");
    }
}
