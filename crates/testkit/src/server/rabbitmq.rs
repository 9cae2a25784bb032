//! A RabbitMQ node of its own: own name, folder, ports and port mapper, so that nothing of the machine's is touched.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::launched::{Launched, printed};
use super::{python, tool};
use crate::address;
use crate::certificate::Certificate;

/// Debian's scripts: the ones in `/usr/sbin` insist on a user of their own.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// A node with the virtual host `shop`, the user `shop` and its password `secret`.
#[derive(Debug)]
pub struct RabbitMq {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens with TLS.
    pub tls: SocketAddr,
    /// The certificate it shows there.
    pub ca: PathBuf,
    server: Launched,
    _mapper: Launched,
    node: Node,
    _folder: TempDir,
}

impl RabbitMq {
    /// Starts a node.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub async fn start() -> crate::Result<Self> {
        ensure!(
            Path::new(PROGRAMS).is_dir(),
            "RabbitMQ is not installed; `scripts/tools` installs what tests need"
        );
        let folder = tempfile::tempdir()?;
        let node = Node {
            folder: folder.path().to_path_buf(),
            mapper: address::free()?.port(),
            dist: address::free()?.port(),
        };
        let (address, tls) = (address::free()?, address::free()?);
        let (ca, _) = Certificate::new()?.write(folder.path())?;
        std::fs::write(
            folder.path().join("rabbitmq.conf"),
            configuration(folder.path(), address, tls),
        )?;
        std::fs::write(folder.path().join("enabled_plugins"), "[].\n")?;

        let (epmd, port) = (tool::find("epmd")?, node.mapper);
        let mut mapper = Launched::new("epmd", move || {
            let mut command = Command::new(&epmd);
            command
                .args(["-address", "127.0.0.1", "-port"])
                .arg(port.to_string());
            command
        });
        let mapped = SocketAddr::from(([127, 0, 0, 1], port));
        mapper
            .start(|_| async move { TcpStream::connect(mapped).await.is_ok() })
            .await?;
        let made = node.clone();
        let mut rabbit = Self {
            address,
            tls,
            ca,
            server: Launched::new("RabbitMQ", move || made.command("rabbitmq-server")),
            _mapper: mapper,
            node,
            _folder: folder,
        };
        rabbit.restart().await?;
        Ok(rabbit)
    }

    /// Starts it again at the same address, after [`stop`](Self::stop).
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> crate::Result<()> {
        let address = self.address;
        self.server
            .start(|_| async move { greets(address).await.is_ok() })
            .await
    }

    /// Kills it.
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

    /// The URL of its virtual host.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://shop:secret@{}/shop", self.address)
    }

    /// Runs `rabbitmqctl` with `words` and returns what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub async fn ctl(&self, words: &[&str]) -> crate::Result<String> {
        let mut command = self.node.command("rabbitmqctl");
        command.arg("--quiet").args(words);
        printed(command, "rabbitmqctl").await
    }

    /// Declares the durable queue `name` and puts `count` messages into it.
    ///
    /// # Errors
    /// When that fails.
    pub async fn fill(&self, name: &str, count: usize) -> crate::Result<()> {
        let script = "import sys, amqp\n\
            where, queue, count = sys.argv[1:]\n\
            with amqp.Connection(where, 'shop', 'secret', virtual_host='shop', confirm_publish=True) as c:\n    \
                channel = c.channel()\n    \
                channel.queue_declare(queue, durable=True, auto_delete=False)\n    \
                for _ in range(int(count)): channel.basic_publish(amqp.Message('x'), routing_key=queue)\n";
        let mut command = Command::new(python("python")?);
        command.args([
            "-c",
            script,
            &self.address.to_string(),
            name,
            &count.to_string(),
        ]);
        printed(command, "filling a queue").await.map(drop)
    }
}

#[derive(Clone, Debug)]
struct Node {
    folder: PathBuf,
    mapper: u16,
    dist: u16,
}

impl Node {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new(PROGRAMS).join(program));
        let at = |name: &str| self.folder.join(name);
        command
            .kill_on_drop(true)
            .env("HOME", &self.folder)
            .env("ERL_EPMD_PORT", self.mapper.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env(
                "RABBITMQ_NODENAME",
                format!("seaworthy-{}@localhost", self.dist),
            )
            .env("RABBITMQ_DIST_PORT", self.dist.to_string())
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
            )
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_LOGS", "-")
            // The server itself, without a shell between it and us.
            .env("RUNNING_UNDER_SYSTEMD", "true");
        command
    }
}

fn configuration(folder: &Path, address: SocketAddr, tls: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "listeners.tcp.1 = {address}\n\
         listeners.ssl.1 = {tls}\n\
         ssl_options.cacertfile = {folder}/cert.pem\n\
         ssl_options.certfile = {folder}/cert.pem\n\
         ssl_options.keyfile = {folder}/key.pem\n\
         ssl_options.verify = verify_none\n\
         default_user = shop\n\
         default_pass = secret\n\
         default_vhost = shop\n\
         loopback_users = none\n\
         vm_memory_high_watermark.relative = 0.9\n\
         disk_free_limit.absolute = 1MB\n"
    )
}

/// A node listens before it answers: what counts is its first frame.
async fn greets(address: SocketAddr) -> crate::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let first = tokio::time::timeout(Duration::from_secs(1), stream.read_u8()).await??;
    ensure!(first == 1, "it greets with {first}");
    Ok(())
}
