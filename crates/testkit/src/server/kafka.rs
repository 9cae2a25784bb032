//! Apache Kafka in KRaft mode: one node that is broker and controller.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::ensure;
use tokio::process::Command;

use super::daemon::{Daemon, Ready};
use super::{Gap, python, tool};
use crate::address;

/// `ApiVersions` in its oldest form: the length, the key 18, version 0, number 7 and no client.
const VERSIONS: &[u8] = &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// How often a node is started before its end is an error.
const ATTEMPTS: u32 = 3;

/// One node. Over SASL the user `shop` gets in with the password `secret`.
#[derive(Debug)]
pub struct Kafka {
    pub(super) daemon: Daemon,
    /// Where it listens and wants a login.
    pub sasl: SocketAddr,
    /// Where it listens with TLS.
    pub tls: SocketAddr,
    /// A network before it. Whoever comes through is told to stay there; from any other they would be led past it.
    pub gap: Gap,
}

impl Kafka {
    /// Starts a node.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub async fn start() -> crate::Result<Self> {
        // It takes five ports, seconds after they were found free, and ends when somebody else has got one meanwhile.
        for _ in 1..ATTEMPTS {
            if let Ok(node) = Self::attempt().await {
                return Ok(node);
            }
        }
        Self::attempt().await
    }

    async fn attempt() -> crate::Result<Self> {
        let jars = crate::binary::target().join("fixtures/kafka");
        ensure!(
            jars.join("complete").is_file(),
            "Kafka is not installed; `scripts/tools` installs what tests need"
        );
        let java = tool::find("java")?;
        let mut daemon = Daemon::new("Kafka", &java, Ready::Answers(VERSIONS))?;
        let certificate = daemon.certify()?;
        let chain = certificate.key + &certificate.certificate;
        daemon.write("chain.pem", &chain)?;
        let (sasl, tls, far) = (address::free()?, address::free()?, address::free()?);
        let gap = Gap::before(far)?;
        let plain = daemon.address();
        let listeners = format!("PLAIN://{plain},SASL://{sasl},TLS://{tls},FAR://");
        let configuration = configuration(daemon.folder(), &listeners, far, gap.address())?;
        let properties = daemon.write("server.properties", &configuration)?;

        let mut format = daemon.beside(&java);
        runs(&mut format, &jars, "kafka.tools.StorageTool");
        format.args(["format", "--cluster-id", "seaworthy-fixture-0000"]);
        format.arg("--config").arg(&properties);
        tool::printed(format).await?;
        runs(daemon.command(), &jars, "kafka.Kafka").arg(&properties);
        daemon.start().await?;
        Ok(Self {
            daemon,
            sasl,
            tls,
            gap,
        })
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// When that fails.
    pub async fn create(&self, topic: &str, partitions: u32) -> crate::Result<()> {
        self.create_with(topic, partitions, &[]).await
    }

    /// Makes a topic with settings, such as `cleanup.policy=compact`.
    ///
    /// # Errors
    /// When that fails.
    pub async fn create_with(
        &self,
        topic: &str,
        partitions: u32,
        settings: &[&str],
    ) -> crate::Result<()> {
        let partitions = partitions.to_string();
        let words = [&["create", topic, &partitions], settings].concat();
        self.client(&words).await.map(drop)
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// When that fails.
    pub async fn delete(&self, topic: &str) -> crate::Result<()> {
        self.client(&["delete", topic]).await.map(drop)
    }

    /// Appends a value of `length` bytes, compressed with `compression` (`none`, `gzip`).
    ///
    /// # Errors
    /// When that fails.
    pub async fn send(
        &self,
        topic: &str,
        key: &str,
        length: usize,
        compression: &str,
    ) -> crate::Result<()> {
        let length = length.to_string();
        let words = ["send", topic, key, &length, compression];
        self.client(&words).await.map(drop)
    }

    /// Appends `undone` in a transaction that is given up, and `done` in one that is not.
    ///
    /// # Errors
    /// When that fails.
    pub async fn undo(&self, topic: &str, key: &str) -> crate::Result<()> {
        self.client(&["undo", topic, key]).await.map(drop)
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
        let mut command = self.daemon.beside(python("python")?);
        command
            .arg(crate::fixtures().join("kafka/client.py"))
            .arg(self.daemon.address().to_string())
            .args(words);
        tool::printed(command).await
    }
}

/// Makes `command` a small and quick virtual machine that runs `class`: it lives for seconds.
fn runs<'a>(command: &'a mut Command, jars: &Path, class: &str) -> &'a mut Command {
    command
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .args(["-Xshare:auto", "-XX:-UsePerfData", "-cp"])
        .arg(format!("{}/lib/*", jars.display()))
        .arg(class)
}

fn configuration(
    folder: &Path,
    listeners: &str,
    far: SocketAddr,
    gap: SocketAddr,
) -> crate::Result<String> {
    let folder = folder.display();
    let controller = address::free()?;
    let lines = [
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("controller.quorum.voters=1@{controller}"),
        format!("listeners={listeners}{far},CONTROLLER://{controller}"),
        format!("advertised.listeners={listeners}{gap}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        "inter.broker.listener.name=PLAIN".to_owned(),
        "listener.security.protocol.map=PLAIN:PLAINTEXT,FAR:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT".to_owned(),
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
        "transaction.state.log.replication.factor=1".to_owned(),
        "transaction.state.log.min.isr=1".to_owned(),
        "transaction.state.log.num.partitions=1".to_owned(),
        "num.partitions=1".to_owned(),
        "group.initial.rebalance.delay.ms=0".to_owned(),
        "initial.broker.registration.timeout.ms=120000".to_owned(),
        "broker.session.timeout.ms=6000".to_owned(),
    ];
    Ok(lines.join("\n") + "\n")
}
