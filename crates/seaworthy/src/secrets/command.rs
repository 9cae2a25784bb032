//! Secrets that a command prints: `sops`, `op`, `age`, `pass`.

use std::io;
use std::process::ExitStatus;

use seaworthy_config::secrets::{Asking, Given, MAX_SECRET, Provider, Trouble, read_secret};
use seaworthy_health::probe::exec::Group;
use tokio::process;

/// What a command prints. No shell reads its words; it has our environment, because that is where such tools find their own
/// keys, and no input. What it says besides is not looked at: it may hold the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command(pub(super) Vec<String>);

impl Provider for Command {
    fn ask(&self) -> Asking<'_> {
        Box::pin(async {
            let program = self.0.first().map_or("", String::as_str);
            let mut command = process::Command::new(program);
            command.args(self.0.iter().skip(1));
            let group = Group::start(command).map_err(|error| cannot_start(program, &error))?;
            let (printed, status) = group
                .end(MAX_SECRET)
                .await
                .map_err(|_| Trouble::new(format!("how `{program}` ended cannot be told")))?;
            judge(program, printed, status)
        })
    }
}

fn cannot_start(program: &str, error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::NotFound => Trouble::new(format!("the command `{program}` does not exist"))
            .help("install it, or write its full path"),
        io::ErrorKind::PermissionDenied => {
            Trouble::new(format!("the command `{program}` may not be run"))
        }
        kind => Trouble::new(format!(
            "the command `{program}` cannot be started ({kind})"
        )),
    }
}

fn judge(program: &str, printed: Vec<u8>, status: ExitStatus) -> Result<Given, Trouble> {
    use std::os::unix::process::ExitStatusExt as _;
    let about = |what: String| Trouble::new(format!("the command `{program}` {what}"));
    if printed.len() > MAX_SECRET {
        return Err(about(format!("prints more than {} KiB", MAX_SECRET >> 10)));
    }
    match (status.code(), status.signal()) {
        (Some(0), _) => read_secret(printed)
            .map(Given::from)
            .map_err(|trouble| about(format!("gives none: {trouble}"))),
        (Some(code), _) => Err(about(format!("ended with exit code {code}"))
            .help("run it by hand to see what it says")),
        (None, signal) => Err(about(format!(
            "was ended by signal {}",
            signal.unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::Pid;

    use super::*;

    async fn ask(words: &[&str]) -> Result<String, String> {
        let command = Command(words.iter().map(|word| (*word).to_owned()).collect());
        let given = command.ask().await;
        given
            .map(|given| given.value.expose().to_owned())
            .map_err(|trouble| trouble.what)
    }

    #[tokio::test]
    async fn what_a_command_prints_is_the_secret() {
        assert_eq!(
            ask(&["printf", "%s\n", "a $HOME b"]).await.as_deref(),
            Ok("a $HOME b")
        );
        for (words, why) in [
            (&["false"][..], "exit code 1"),
            (&["true"], "it is empty"),
            (&["/no/such/program"], "does not exist"),
            (&["cat", "/dev/zero"], "prints more than 64 KiB"),
            (&["sh", "-c", "echo hunter2 >&2; kill -9 $$"], "signal 9"),
            (&[], "does not exist"),
        ] {
            let error = ask(words).await.unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_command_that_is_given_up_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let command = Command(vec!["sh".into(), "-c".into(), script]);
        let asked = tokio::time::timeout(Duration::from_secs(20), async {
            tokio::select! {
                _ = command.ask() => unreachable!("it sleeps"),
                pid = async {
                    loop {
                        let text = std::fs::read_to_string(&file).unwrap_or_default();
                        match text.trim().parse::<i32>() {
                            Ok(pid) => break pid,
                            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                        }
                    }
                } => pid,
            }
        });
        let pid = Pid::from_raw(asked.await.unwrap()).unwrap();
        let gone = async {
            // A zombie of somebody else's is gone as well.
            while std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
                .is_ok_and(|stat| !stat.contains(") Z"))
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone)
            .await
            .unwrap();
    }
}
