//! The fixtures themselves: each real server starts, serves the shared routes, and is gone afterwards.

/// Needs more than Rust and Python: `scripts/test --fast` leaves out every module of this name.
mod real {
    use rustix::process::Signal;
    use seaworthy_testkit::client::{self, Connection, websocket};
    use seaworthy_testkit::process::Process;
    use seaworthy_testkit::server::{App, Server};
    use seaworthy_testkit::wait::{PATIENCE, holds};
    use seaworthy_testkit::{Result, fixtures};

    async fn serves_the_routes(server: &Server) -> Result<()> {
        let to = server.address;
        let echo =
            client::send(to, "POST", "/echo", &[("Content-Type", "text/x")], b"said").await?;
        assert_eq!((echo.status, echo.text().as_str()), (200, "said"));
        assert_eq!(
            echo.header("content-type").map(|value| &value[..6]),
            Some("text/x")
        );
        let slept = client::get(to, "/sleep/10").await?;
        assert_eq!(slept.json()?["slept"], 10);
        let headers = client::send(to, "GET", "/headers", &[("X-Mark", "m")], b"").await?;
        assert!(
            headers.text().to_lowercase().contains("\"x-mark\""),
            "{}",
            headers.text()
        );
        let peer = client::get(to, "/client").await?;
        assert_eq!(
            peer.json()?["host"]
                .as_str()
                .map(|host| host.ends_with("127.0.0.1")),
            Some(true)
        );
        Ok(())
    }

    async fn streams_both_ways(server: &Server) -> Result<()> {
        let mut connection = Connection::open(server.address).await?;
        let sent = connection
            .ask("POST", "/upload", &[], &[7; 100_000])
            .await?;
        assert_eq!(sent.json()?["sha256"], client::sha256(&[7; 100_000]));
        let got = connection.ask("GET", "/download/100000", &[], b"").await?;
        assert_eq!(client::sha256(&got.body), client::download_sha256(100_000));
        connection
            .send(client::request("GET", "/sse", &[], b""))
            .await?;
        assert_eq!(connection.head().await?.status()?, 200);
        let event = connection.until(b"data: tick\n\n").await?;
        assert!(
            String::from_utf8_lossy(&event).contains("id: 0"),
            "{event:?}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn asgi_servers_serve_the_application() -> Result<()> {
        for app in App::ASGI {
            let server = app.start().await?;
            serves_the_routes(&server).await?;
            streams_both_ways(&server).await?;
            let mut socket = websocket::open(server.address, "/ws").await?;
            socket.echo("over a WebSocket").await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn node_serves_the_same_routes() -> Result<()> {
        let server = App::Node.start().await?;
        serves_the_routes(&server).await?;
        streams_both_ways(&server).await?;
        let hinted = client::get(server.address, "/hints").await?;
        assert_eq!(hinted.informational.len(), 1);
        let trailers = client::get(server.address, "/trailers").await?;
        assert_eq!(trailers.trailers, [("X-End".to_owned(), "yes".to_owned())]);
        Ok(())
    }

    #[tokio::test]
    async fn flask_serves_the_same_routes() -> Result<()> {
        serves_the_routes(&App::Flask.start().await?).await
    }

    #[tokio::test]
    async fn a_lifespan_leaves_its_trace() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("lifespan");
        let path = log.to_string_lossy().into_owned();
        let mut server = App::Uvicorn
            .start_in(&fixtures(), &[("LIFESPAN_LOG", &path)])
            .await?;
        server.group.signal(Signal::TERM)?;
        server.group.wait(PATIENCE).await?;
        let words: Vec<_> = std::fs::read_to_string(&log)?
            .lines()
            .map(|line| line[..4].to_owned())
            .collect();
        assert_eq!(words, ["star", "stop"]);
        Ok(())
    }

    #[tokio::test]
    async fn dropping_a_server_ends_its_workers() -> Result<()> {
        let server = App::Gunicorn.start().await?;
        let workers = server.group.descendants();
        assert!(workers.len() >= 2, "{workers:?}");
        drop(server);
        let gone = |pid| Process::read(pid).is_none_or(|process| process.state == 'Z');
        holds("the workers' end", PATIENCE, || {
            workers.iter().all(|worker| gone(worker.pid))
        })
        .await
    }
}
