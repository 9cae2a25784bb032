//! Celery workers of the app in `tests/fixtures/celery_app.py`.

use tokio::process::Command;

use super::launched::Launched;
use super::python;

/// One worker.
#[derive(Debug)]
pub struct Celery {
    server: Launched,
}

impl Celery {
    /// Starts the worker `name@fixture` on the broker at `url`, with these variables, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not installed or does not become ready.
    pub async fn start(name: &str, url: &str, env: &[(&str, &str)]) -> crate::Result<Self> {
        let program = python("celery")?;
        let host = format!("{name}@fixture");
        let mut variables = vec![("CELERY_BROKER_URL".to_owned(), url.to_owned())];
        variables.extend(
            env.iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        );
        let server = Launched::new("a Celery worker", move || {
            let mut command = Command::new(&program);
            command
                .args([
                    "--app",
                    "celery_app",
                    "worker",
                    "--loglevel",
                    "INFO",
                    "--concurrency",
                    "1",
                ])
                .args(["--hostname", &host])
                // Root may be whoever runs the tests.
                .env("C_FORCE_ROOT", "1")
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .envs(variables.iter().cloned())
                .current_dir(crate::fixtures());
            command
        });
        let mut celery = Self { server };
        celery.restart().await?;
        Ok(celery)
    }

    /// Starts it again, after [`stop`](Self::stop).
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self) -> crate::Result<()> {
        let ready = |output: &crate::process::Output| {
            std::future::ready(output.stderr().contains(" ready."))
        };
        self.server.start(ready).await
    }

    /// Kills it with its pool.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> crate::Result<()> {
        self.server.stop().await
    }

    /// Stops it with SIGSTOP.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn pause(&self) -> crate::Result<()> {
        self.server.pause().await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> crate::Result<()> {
        self.server.resume()
    }
}
