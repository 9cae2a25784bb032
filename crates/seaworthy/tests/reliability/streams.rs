//! What never ends by itself is ended in the way its clients understand.

/// Needs uvicorn and FastAPI.
mod real {
    use std::net::SocketAddr;
    use std::time::Duration;

    use seaworthy_testkit::client::{self, Connection, End, websocket};
    use seaworthy_testkit::process::Seaworthy;
    use seaworthy_testkit::server::App;
    use seaworthy_testkit::wait::PATIENCE;
    use seaworthy_testkit::{Result, alone, fixtures};
    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    /// Open streams of each kind.
    const EACH: usize = 100;
    const DRAIN: Duration = Duration::from_millis(1500);

    /// Reads events until the stream ends; the end must be that of a whole body.
    async fn events(public: SocketAddr, open: &'static Semaphore) -> Result<()> {
        let mut connection = Connection::open(public).await?;
        connection
            .send(client::request("GET", "/sse", &[], b""))
            .await?;
        anyhow::ensure!(connection.head().await?.status()? == 200);
        connection.chunk().await?;
        open.add_permits(1);
        // Fails on anything but a last chunk.
        let (bytes, _) = connection.receive_chunks().await?;
        anyhow::ensure!(bytes > 0, "no event came after the first");
        let (trailers, end) = connection.rest().await?;
        anyhow::ensure!(
            trailers == b"\r\n" && end == End::Clean,
            "{trailers:?} {end:?}"
        );
        Ok(())
    }

    /// Echoes once and waits for the server's close frame.
    async fn socket(public: SocketAddr, open: &'static Semaphore) -> Result<u16> {
        let mut socket = websocket::open(public, "/ws").await?;
        socket.echo("hello").await?;
        open.add_permits(1);
        socket.close_code().await
    }

    #[tokio::test]
    async fn streams_end_cleanly_websockets_with_1012_and_the_lifespan_runs() -> Result<()> {
        static OPEN: Semaphore = Semaphore::const_new(0);
        let _turn = alone().await;
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("lifespan");
        let mut seaworthy = Seaworthy::run(App::Uvicorn.command()?)
            .current_dir(fixtures())
            .env("LIFESPAN_LOG", log.display())
            .set("shutdown.drain", format!("{}ms", DRAIN.as_millis()))
            .ready()
            .await?;
        let public = seaworthy.public();
        let (mut streams, mut sockets) = (JoinSet::new(), JoinSet::new());
        for _ in 0..EACH {
            streams.spawn(events(public, &OPEN));
            sockets.spawn(socket(public, &OPEN));
        }
        let all = u32::try_from(2 * EACH)?;
        tokio::time::timeout(PATIENCE, OPEN.acquire_many(all))
            .await??
            .forget();
        let begun = std::time::Instant::now();
        let code = seaworthy.stop(Duration::from_secs(30)).await?;
        let took = begun.elapsed();
        let streams = streams.join_all().await;
        let sockets = sockets.join_all().await;
        let cut: Vec<_> = streams
            .iter()
            .filter_map(|end| end.as_ref().err())
            .collect();
        let other: Vec<_> = sockets
            .iter()
            .filter(|code| !matches!(code, Ok(1012)))
            .collect();
        let lifespan = std::fs::read_to_string(&log)?;
        eprintln!(
            "{} of {EACH} event streams cut, {} of {EACH} WebSockets closed with another code than 1012, exit {code} after {took:?}",
            cut.len(),
            other.len()
        );
        assert!(cut.is_empty(), "{cut:?}");
        assert!(other.is_empty(), "{other:?}");
        assert!(
            lifespan.lines().any(|line| line.starts_with("stop ")),
            "{lifespan}"
        );
        assert!(
            took >= DRAIN,
            "the streams were not given their time: {took:?}"
        );
        assert_eq!(code, 0);
        Ok(())
    }
}
