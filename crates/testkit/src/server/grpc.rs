//! A gRPC server whose health can be set (`tests/fixtures/grpc_server.py`).

use super::daemon::{Daemon, Ready};
use super::python;

/// Serves `grpc.health.v1`.
#[derive(Debug)]
pub struct GrpcHealth {
    pub(super) daemon: Daemon,
}

impl GrpcHealth {
    /// Starts it; what `statuses` names is served. Without any it does not know that service at all.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(statuses: &[(&str, &str)]) -> crate::Result<Self> {
        Self::with(statuses, &[]).await
    }

    /// Starts it with TLS.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_tls(statuses: &[(&str, &str)]) -> crate::Result<Self> {
        Self::with(statuses, &[("TLS", "1")]).await
    }

    async fn with(statuses: &[(&str, &str)], env: &[(&str, &str)]) -> crate::Result<Self> {
        let program = python("python")?;
        let mut daemon = Daemon::new("the gRPC server", &program, Ready::Says("ready"))?;
        daemon.certify()?;
        let port = daemon.address().port().to_string();
        let command = daemon.command();
        command.arg(crate::fixtures().join("grpc_server.py"));
        command.env("PORT", port).envs(env.iter().copied());
        if statuses.is_empty() {
            command.env("UNIMPLEMENTED", "1");
        }
        let mut server = Self { daemon };
        server.set(statuses)?;
        server.daemon.start().await?;
        Ok(server)
    }

    /// Changes what is served; a name that was served before keeps its status.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, statuses: &[(&str, &str)]) -> crate::Result<()> {
        let lines = statuses.iter();
        let lines: String = lines
            .map(|(name, status)| format!("{name} {status}\n"))
            .collect();
        // Written beside and renamed, so that nobody reads half of it.
        let fresh = self.daemon.write("statuses.new", &lines)?;
        std::fs::rename(fresh, self.daemon.folder().join("statuses"))?;
        Ok(())
    }
}
