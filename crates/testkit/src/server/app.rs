//! The servers that users run, all serving the same few routes (`tests/fixtures/app.py`, `server.js`, `wsgi.py`).

use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Command;

use super::{python, tool};
use crate::process::Group;
use crate::wait::{self, PATIENCE};
use crate::{address, binary, client};

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// FastAPI under uvicorn.
    Uvicorn,
    /// FastAPI under gunicorn with two uvicorn workers.
    Gunicorn,
    /// FastAPI under hypercorn.
    Hypercorn,
    /// FastAPI under granian.
    Granian,
    /// Flask's own server.
    Flask,
    /// Node's `http`, which reads `PORT`.
    Node,
    /// `python3 -m http.server`, with the system's Python.
    HttpServer,
    /// The product's own `seaworthy mock`.
    Mock,
    /// `ledger.py` with the system's Python: writes each POST into the file `LEDGER` before it answers.
    Ledger,
}

impl App {
    /// All that serve `tests/fixtures/app.py`.
    pub const ASGI: [Self; 4] = [
        Self::Uvicorn,
        Self::Gunicorn,
        Self::Hypercorn,
        Self::Granian,
    ];

    /// What a user would type after `seaworthy run --`, to be run in [`crate::fixtures`].
    ///
    /// # Errors
    /// When the server is not installed and cannot be.
    pub fn command(self) -> crate::Result<Vec<String>> {
        let (program, words): (_, &[&str]) = match self {
            Self::Uvicorn => (python("uvicorn")?, &["app:app"]),
            Self::Gunicorn => (
                python("gunicorn")?,
                &["app:app", "-w", "2", "-k", "uvicorn_worker.UvicornWorker"],
            ),
            Self::Hypercorn => (python("hypercorn")?, &["app:app"]),
            Self::Granian => (python("granian")?, &["--interface", "asgi", "app:app"]),
            Self::Flask => (python("flask")?, &["--app", "wsgi", "run"]),
            Self::Node => (tool::find("node")?, &["server.js"]),
            Self::HttpServer => (tool::find("python3")?, &["-m", "http.server"]),
            Self::Mock => (binary::seaworthy()?, &["mock"]),
            Self::Ledger => (tool::find("python3")?, &["ledger.py"]),
        };
        let program = program.to_string_lossy().into_owned();
        Ok(std::iter::once(program)
            .chain(words.iter().map(|word| (*word).to_owned()))
            .collect())
    }

    /// The words that make it listen at `address`.
    fn listen(self, address: SocketAddr) -> Vec<String> {
        let port = address.port().to_string();
        let host = address.ip().to_string();
        match self {
            Self::Uvicorn | Self::Granian | Self::Flask => {
                vec!["--host".to_owned(), host, "--port".to_owned(), port]
            }
            Self::Gunicorn | Self::Hypercorn => vec!["--bind".to_owned(), address.to_string()],
            Self::HttpServer => vec!["--bind".to_owned(), host, port],
            Self::Mock => vec!["--listen".to_owned(), address.to_string()],
            Self::Node | Self::Ledger => vec![],
        }
    }

    /// Starts it alone on a free port, in `folder`, with these variables, and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed or does not answer in time.
    pub async fn start_in(self, folder: &Path, env: &[(&str, &str)]) -> crate::Result<Server> {
        let address = address::free()?;
        let mut words = self.command()?;
        words.extend(self.listen(address));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(folder);
        command
            .env("PORT", address.port().to_string())
            .envs(env.iter().copied());
        let mut group = Group::start(&format!("{self:?}"), command)?;
        wait::until(&format!("{self:?} to answer"), PATIENCE, || {
            let ended = group.has_ended();
            async move {
                let answers = client::get(address, "/").await.is_ok();
                (answers || ended).then_some(())
            }
        })
        .await?;
        anyhow::ensure!(
            !group.has_ended(),
            "{self:?} ended:\n{}",
            group.output().stderr()
        );
        Ok(Server { address, group })
    }

    /// Starts it alone in the fixtures' folder.
    ///
    /// # Errors
    /// When it is not installed or does not answer in time.
    pub async fn start(self) -> crate::Result<Server> {
        self.start_in(&crate::fixtures(), &[]).await
    }
}

/// A server that runs alone.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its processes.
    pub group: Group,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn serves_a_folder_with_the_systems_python() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
        let server = App::HttpServer.start_in(folder.path(), &[]).await.unwrap();
        let answer = client::get(server.address, "/a.txt").await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    }
}
