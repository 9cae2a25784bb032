//! Apache Kafka in KRaft mode: one node that is broker and controller, in a folder of its own.

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

/// One node. Over SASL the user `shop` gets in with the password `secret`.
#[derive(Debug)]
pub struct Kafka {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens and wants a login.
    pub sasl: SocketAddr,
    /// Where it listens with TLS.
    pub tls: SocketAddr,
    /// The certificate it shows there.
    pub ca: PathBuf,
    server: Launched,
    _folder: TempDir,
}

impl Kafka {
    /// Starts a node.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub async fn start() -> crate::Result<Self> {
        let jars = crate::binary::target().join("fixtures/kafka");
        ensure!(
            jars.join("complete").is_file(),
            "Kafka is not installed; `scripts/tools` installs what tests need"
        );
        let folder = tempfile::tempdir()?;
        let certificate = Certificate::new()?;
        let (ca, _) = certificate.write(folder.path())?;
        let chain = folder.path().join("chain.pem");
        std::fs::write(
            &chain,
            format!("{}{}", certificate.key, certificate.certificate),
        )?;
        let [address, sasl, tls, controller] = [
            address::free()?,
            address::free()?,
            address::free()?,
            address::free()?,
        ];
        let properties = folder.path().join("server.properties");
        std::fs::write(
            &properties,
            configuration(folder.path(), [address, sasl, tls, controller]),
        )?;

        let java = Java {
            program: tool::find("java")?,
            jars: jars.join("lib"),
            folder: folder.path().to_path_buf(),
        };
        let mut format = java.command("kafka.tools.StorageTool");
        format
            .args([
                "format",
                "--cluster-id",
                "seaworthy-fixture-0000",
                "--config",
            ])
            .arg(&properties);
        printed(format, "formatting Kafka's storage").await?;
        let mut kafka = Self {
            address,
            sasl,
            tls,
            ca,
            server: Launched::new("Kafka", move || {
                let mut command = java.command("kafka.Kafka");
                command.arg(&properties);
                command
            }),
            _folder: folder,
        };
        kafka.restart().await?;
        Ok(kafka)
    }

    /// Starts it again at the same address, after [`stop`](Self::stop).
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> crate::Result<()> {
        let address = self.address;
        self.server
            .start(|_| async move { answers(address).await.is_ok() })
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

    /// Makes a topic.
    ///
    /// # Errors
    /// When that fails.
    pub async fn create(&self, topic: &str, partitions: u32) -> crate::Result<()> {
        self.client(&["create", topic, &partitions.to_string()])
            .await
            .map(drop)
    }

    /// Appends `count` messages to the first partition of `topic`.
    ///
    /// # Errors
    /// When that fails.
    pub async fn produce(&self, topic: &str, count: u32) -> crate::Result<()> {
        self.client(&["produce", topic, &count.to_string()])
            .await
            .map(drop)
    }

    /// Commits that `group` has read the first `count` messages of the first partition of `topic`.
    ///
    /// # Errors
    /// When that fails.
    pub async fn commit(&self, group: &str, topic: &str, count: u32) -> crate::Result<()> {
        self.client(&["consume", group, topic, &count.to_string()])
            .await
            .map(drop)
    }

    /// The names of all topics.
    ///
    /// # Errors
    /// When that fails.
    pub async fn topics(&self) -> crate::Result<Vec<String>> {
        let printed = self.client(&["topics"]).await?;
        let names = printed.lines().filter(|line| !line.is_empty());
        Ok(names.map(str::to_owned).collect())
    }

    async fn client(&self, words: &[&str]) -> crate::Result<String> {
        let mut command = Command::new(python("python")?);
        command
            .arg(crate::fixtures().join("kafka/client.py"))
            .arg(self.address.to_string())
            .args(words);
        printed(command, "a Kafka client").await
    }
}

#[derive(Debug)]
struct Java {
    program: PathBuf,
    jars: PathBuf,
    folder: PathBuf,
}

impl Java {
    /// A small and quick virtual machine: it lives for seconds.
    fn command(&self, class: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args([
                "-Xmx256m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xshare:auto",
            ])
            .args(["-XX:-UsePerfData", "-cp"])
            .arg(format!("{}/*", self.jars.display()))
            .arg(class)
            .current_dir(&self.folder)
            .kill_on_drop(true);
        command
    }
}

fn configuration(folder: &Path, [plain, sasl, tls, controller]: [SocketAddr; 4]) -> String {
    let folder = folder.display();
    let listeners = format!("PLAIN://{plain},SASL://{sasl},TLS://{tls}");
    let lines = [
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("controller.quorum.voters=1@{controller}"),
        format!("listeners={listeners},CONTROLLER://{controller}"),
        format!("advertised.listeners={listeners}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        "inter.broker.listener.name=PLAIN".to_owned(),
        "listener.security.protocol.map=PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT".to_owned(),
        "listener.name.sasl.sasl.enabled.mechanisms=PLAIN".to_owned(),
        "listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
         user_shop=\"secret\";"
            .to_owned(),
        "ssl.keystore.type=PEM".to_owned(),
        format!("ssl.keystore.location={folder}/chain.pem"),
        format!("log.dirs={folder}/data"),
        // A client that is careless makes a topic by asking about it; that is what a check must not do.
        "auto.create.topics.enable=true".to_owned(),
        "offsets.topic.replication.factor=1".to_owned(),
        "offsets.topic.num.partitions=1".to_owned(),
        "num.partitions=1".to_owned(),
        "group.initial.rebalance.delay.ms=0".to_owned(),
        "initial.broker.registration.timeout.ms=120000".to_owned(),
        "broker.session.timeout.ms=6000".to_owned(),
    ];
    lines.join("\n") + "\n"
}

/// Asks for the versions that it speaks; it listens before it answers.
async fn answers(address: SocketAddr) -> crate::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    // Length, ApiVersions 0, number 7, no client.
    stream
        .write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff])
        .await?;
    let ask = async {
        stream.read_i32().await?;
        stream.read_i32().await
    };
    let number = tokio::time::timeout(Duration::from_secs(1), ask).await??;
    ensure!(number == 7, "it answers {number}");
    Ok(())
}
