//! A gRPC server whose health can be set (`tests/fixtures/grpc_server.py`).

use tempfile::TempDir;
use tokio::process::Command;

use super::{Daemon, python};
use crate::certificate::Certificate;

/// Serves `grpc.health.v1`.
#[derive(Debug)]
pub struct GrpcHealth {
    /// The server.
    pub daemon: Daemon,
    folder: TempDir,
}

impl GrpcHealth {
    /// Starts it; what `statuses` names is served. Without any it does not know that service at all.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(statuses: &[(&str, &str)]) -> crate::Result<Self> {
        Self::start_with(statuses, None).await
    }

    /// Starts it with TLS.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_tls(
        statuses: &[(&str, &str)],
        certificate: &Certificate,
    ) -> crate::Result<Self> {
        Self::start_with(statuses, Some(certificate)).await
    }

    async fn start_with(
        statuses: &[(&str, &str)],
        certificate: Option<&Certificate>,
    ) -> crate::Result<Self> {
        let folder = tempfile::tempdir()?;
        write(&folder, statuses)?;
        if let Some(certificate) = certificate {
            certificate.write(folder.path())?;
        }
        let tls = certificate.is_some();
        let program = python("python")?;
        let script = crate::fixtures().join("grpc_server.py");
        let path = folder.path().to_owned();
        let knows = !statuses.is_empty();
        let daemon = Daemon::start_with("the gRPC server", move |address| {
            let mut command = Command::new(&program);
            command.arg(&script).current_dir(&path);
            command.env("PORT", address.port().to_string());
            if tls {
                command.env("TLS", "1");
            }
            if !knows {
                command.env("UNIMPLEMENTED", "1");
            }
            command
        });
        let daemon = daemon.await?;
        Ok(Self { daemon, folder })
    }

    /// Changes what is served; a name that was served before keeps its status.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, statuses: &[(&str, &str)]) -> crate::Result<()> {
        write(&self.folder, statuses)
    }
}

/// Written beside and renamed, so that nobody reads half of it.
fn write(folder: &TempDir, statuses: &[(&str, &str)]) -> crate::Result<()> {
    let lines: String = statuses
        .iter()
        .map(|(name, status)| format!("{name} {status}\n"))
        .collect();
    let fresh = folder.path().join("statuses.new");
    std::fs::write(&fresh, lines)?;
    std::fs::rename(fresh, folder.path().join("statuses"))?;
    Ok(())
}
