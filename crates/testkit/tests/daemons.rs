//! What can be done to every server that an app depends on: it is slowed, silenced, frozen, killed, and brought back on its port
//! with its data.

mod real {
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use seaworthy_testkit::Result;
    use seaworthy_testkit::server::{
        Celery, Daemon, Gap, GrpcHealth, Kafka, MariaDb, Mode, Nats, Postgres, RabbitMq, Redis,
    };
    use seaworthy_testkit::wait::{PATIENCE, within};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    const DELAY: Duration = Duration::from_millis(100);

    /// How long the first byte of an answer takes.
    async fn answers(to: SocketAddr, question: &[u8], patience: Duration) -> Result<Duration> {
        let asked = Instant::now();
        let answer = async {
            let mut connection = TcpStream::connect(to).await?;
            connection.write_all(question).await?;
            Ok(connection.read_u8().await?)
        };
        within("an answer", patience, answer).await?;
        Ok(asked.elapsed())
    }

    async fn endures(server: &mut Daemon, question: &[u8]) -> Result<()> {
        let address = server.address();
        let gap = Gap::before(address)?;
        let here = async |patience| answers(address, question, patience).await;
        let through = async |patience| answers(gap.address(), question, patience).await;
        through(PATIENCE).await?;
        gap.set(Mode::Delay(DELAY)).await?;
        assert!(through(PATIENCE).await? >= DELAY);
        gap.set(Mode::Silent).await?;
        assert!(through(DELAY).await.is_err(), "nothing passes");
        gap.set(Mode::Pass).await?;
        through(PATIENCE).await?;
        server.pause().await?;
        assert!(here(DELAY).await.is_err(), "it is frozen");
        server.resume()?;
        here(PATIENCE).await?;
        server.stop().await?;
        assert!(TcpStream::connect(address).await.is_err(), "it is gone");
        server.start().await?;
        assert_eq!(server.address(), address);
        through(PATIENCE).await.map(drop)
    }

    #[tokio::test]
    async fn redis() -> Result<()> {
        let mut server = Redis::start().await?;
        server.command(&["SET", "ship", "worthy"]).await?;
        endures(&mut server, b"PING\r\n").await?;
        assert_eq!(server.command(&["GET", "ship"]).await?, "worthy");
        Ok(())
    }

    #[tokio::test]
    async fn postgres() -> Result<()> {
        let mut server = Postgres::start().await?;
        server.sql("CREATE TABLE t AS SELECT 7 AS n").await?;
        endures(&mut server, b"\0\0\0\x08\x04\xd2\x16\x2f").await?;
        assert_eq!(server.sql("SELECT n FROM t").await?, "7");
        Ok(())
    }

    #[tokio::test]
    async fn mariadb() -> Result<()> {
        let mut server = MariaDb::start().await?;
        server.sql("CREATE TABLE t AS SELECT 7 AS n").await?;
        endures(&mut server, b"").await?;
        assert_eq!(server.sql("SELECT n FROM t").await?, "7");
        Ok(())
    }

    #[tokio::test]
    async fn nats() -> Result<()> {
        let mut server = Nats::start(&["--jetstream"]).await?;
        endures(&mut server, b"").await?;
        assert!(server.folder().join("jetstream").is_dir());
        Ok(())
    }

    #[tokio::test]
    async fn grpc() -> Result<()> {
        let mut server = GrpcHealth::start(&[("", "SERVING")]).await?;
        endures(
            &mut server,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        )
        .await
    }

    #[tokio::test]
    async fn rabbitmq() -> Result<()> {
        let mut server = RabbitMq::start().await?;
        server.fill("orders", 3).await?;
        endures(&mut server, b"AMQP\0\0\x09\x01").await?;
        let words = ["list_queues", "-p", "shop", "name", "messages"];
        let listed = server.ctl(&words).await?;
        assert!(listed.contains("orders\t3"), "{listed}");
        Ok(())
    }

    #[tokio::test]
    async fn kafka() -> Result<()> {
        let mut server = Kafka::start().await?;
        server.create("orders", 1).await?;
        server.produce("orders", 3).await?;
        // The versions that it speaks, then whom else to ask.
        endures(&mut server, b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff").await?;
        assert_eq!(server.topics().await?, ["orders"]);
        let gap = server.gap.address();
        let mut connection = TcpStream::connect(gap).await?;
        let metadata = b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x07\xff\xff\0\0\0\0";
        connection.write_all(metadata).await?;
        let length = usize::try_from(connection.read_u32().await?)?;
        let mut answer = vec![0; length];
        connection.read_exact(&mut answer).await?;
        let port = u32::from(gap.port()).to_be_bytes();
        let led = answer.windows(4).any(|bytes| bytes == port);
        assert!(led, "clients from afar are led past the gap: {answer:?}");
        Ok(())
    }

    #[tokio::test]
    async fn celery() -> Result<()> {
        let redis = Redis::build().password("secret").start().await?;
        let gap = Gap::before(redis.address())?;
        gap.set(Mode::Delay(DELAY / 10)).await?;
        let mut worker = Celery::start("w1", &redis.url_at(gap.address()), &[]).await?;
        worker.pause().await?;
        worker.resume()?;
        worker.stop().await?;
        assert!(worker.resume().is_err(), "it is gone");
        worker.start().await
    }
}
