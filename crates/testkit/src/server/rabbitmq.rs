//! A RabbitMQ node of its own: own name, folder, ports and port mapper, so that nothing of the machine's is touched.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::ensure;
use tokio::process::Command;

use super::daemon::{Daemon, Ready};
use super::{python, tool};
use crate::address;

/// Debian's scripts: the ones in `/usr/sbin` insist on a user of their own.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// A node with the virtual host `shop`, the user `shop` and its password `secret`.
#[derive(Debug)]
pub struct RabbitMq {
    pub(super) daemon: Daemon,
    /// Where it listens with TLS.
    pub tls: SocketAddr,
    _mapper: Daemon,
}

impl RabbitMq {
    /// Starts a node.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub async fn start() -> crate::Result<Self> {
        let program = Path::new(PROGRAMS).join("rabbitmq-server");
        ensure!(
            program.is_file(),
            "RabbitMQ is not installed; `scripts/tools` installs what tests need"
        );
        // Which asks for the names of all nodes.
        let ready = Ready::Answers(b"\0\x01n");
        let mut mapper = Daemon::new("epmd", &tool::find("epmd")?, ready)?;
        let mapped = mapper.address().port().to_string();
        let words = ["-address", "127.0.0.1", "-port", &mapped];
        mapper.command().args(words);
        mapper.start().await?;

        let ready = Ready::Answers(b"AMQP\x00\x00\x09\x01");
        let mut daemon = Daemon::new("RabbitMQ", &program, ready)?;
        let tls = address::free()?;
        daemon.certify()?;
        daemon.write("rabbitmq.conf", &configuration(&daemon, tls))?;
        daemon.write("enabled_plugins", "[].\n")?;
        let folder = daemon.folder().to_owned();
        describe(daemon.command(), &folder, address::free()?.port(), &mapped);
        daemon.start().await?;
        Ok(Self {
            daemon,
            tls,
            _mapper: mapper,
        })
    }

    /// The URL of its virtual host.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.daemon.address())
    }

    /// The same with another address, such as that of a [`Gap`](super::Gap).
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("amqp://shop:secret@{address}/shop")
    }

    /// Runs `rabbitmqctl` with `words` and returns what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub async fn ctl(&self, words: &[&str]) -> crate::Result<String> {
        let mut command = self.daemon.beside(Path::new(PROGRAMS).join("rabbitmqctl"));
        command.arg("--quiet").args(words);
        tool::printed(command).await
    }

    /// Declares the durable queue `name` and puts `count` messages into it, which outlive the server.
    ///
    /// # Errors
    /// When that fails.
    pub async fn fill(&self, name: &str, count: usize) -> crate::Result<()> {
        let script = "import sys, amqp\n\
            where, queue, count = sys.argv[1:]\n\
            with amqp.Connection(where, 'shop', 'secret', virtual_host='shop', confirm_publish=True) as c:\n    \
                channel = c.channel()\n    \
                channel.queue_declare(queue, durable=True, auto_delete=False)\n    \
                message = amqp.Message('x', delivery_mode=2)\n    \
                for _ in range(int(count)): channel.basic_publish(message, routing_key=queue)\n";
        let mut command = self.daemon.beside(python("python")?);
        let address = self.daemon.address().to_string();
        command.args(["-c", script, &address, name, &count.to_string()]);
        tool::printed(command).await.map(drop)
    }
}

/// What the server and its tools have to know of the node.
fn describe(command: &mut Command, folder: &Path, dist: u16, mapped: &str) {
    let at = |name: &str| folder.join(name);
    command
        .env("ERL_EPMD_PORT", mapped)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", format!("seaworthy-{dist}@localhost"))
        .env("RABBITMQ_DIST_PORT", dist.to_string())
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
}

fn configuration(daemon: &Daemon, tls: SocketAddr) -> String {
    let (folder, address) = (daemon.folder().display(), daemon.address());
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
