//! Celery workers of the app in `tests/fixtures/celery_app.py`.

use super::daemon::{Daemon, Ready};
use super::python;

/// One worker. It listens nowhere: what can be slow is its broker.
#[derive(Debug)]
pub struct Celery {
    pub(super) daemon: Daemon,
}

impl Celery {
    /// Starts the worker `name@fixture` on the broker at `url`, with these variables, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not installed or does not become ready.
    pub async fn start(name: &str, url: &str, env: &[(&str, &str)]) -> crate::Result<Self> {
        let program = python("celery")?;
        let mut daemon = Daemon::new("a Celery worker", &program, Ready::Says(" ready."))?;
        daemon
            .command()
            .args(["--app", "celery_app", "worker", "--loglevel", "INFO"])
            .args(["--concurrency", "1", "--hostname"])
            .arg(format!("{name}@fixture"))
            // Root may be whoever runs the tests.
            .env("C_FORCE_ROOT", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CELERY_BROKER_URL", url)
            .envs(env.iter().copied())
            .current_dir(crate::fixtures());
        daemon.start().await?;
        Ok(Self { daemon })
    }
}
