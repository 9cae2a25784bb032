//! Unmodified servers behind `run --`: each answers, sees its client, and nothing is changed in silence.

use seaworthy_testkit::address::free;
use seaworthy_testkit::client::{self, Response};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::{App, tool};
use seaworthy_testkit::wait::PATIENCE;
use seaworthy_testkit::{Result, fixtures};

/// The sentences about what was changed in the command.
fn changes(seaworthy: &Seaworthy) -> Vec<String> {
    let events = seaworthy.output().events("app.command_changed");
    let message = |event: &serde_json::Value| event["message"].as_str().map(str::to_owned);
    events.iter().filter_map(message).collect()
}

#[tokio::test]
async fn the_systems_python_serves_a_folder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("a.txt"), "hello")?;
    let builder = Seaworthy::run(App::HttpServer.command()?).current_dir(folder.path());
    let mut seaworthy = builder.ready().await?;
    let answer = client::get(seaworthy.public(), "/a.txt").await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    let changes = changes(&seaworthy);
    assert!(
        changes
            .iter()
            .any(|change| change.contains("--bind 127.0.0.1")),
        "{changes:?}"
    );
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_port_that_the_command_names_is_ours_and_the_app_moves() -> Result<()> {
    let named = free()?;
    let mut command = App::HttpServer.command()?;
    command.extend([
        named.port().to_string(),
        "--bind".to_owned(),
        "127.0.0.1".to_owned(),
    ]);
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("a.txt"), "hello")?;
    // No --listen of the kit's: the command alone says where.
    let state = folder.path().join("state");
    let mut words = vec![
        "run".to_owned(),
        "--admin".to_owned(),
        "127.0.0.1:0".to_owned(),
    ];
    words.extend([
        "--set".to_owned(),
        format!("state_dir={}", state.display()),
        "--".to_owned(),
    ]);
    words.extend(command);
    let mut started = tokio::process::Command::new(seaworthy_testkit::binary::seaworthy()?);
    started
        .args(words)
        .current_dir(folder.path())
        .env_remove("PORT");
    let group = seaworthy_testkit::process::Group::start("seaworthy", started)?;
    let answer = seaworthy_testkit::wait::until("an answer", PATIENCE, || async move {
        client::get(named, "/a.txt").await.ok()
    });
    let answer = answer.await?;
    assert_eq!(answer.text(), "hello");
    assert!(
        answer.header("x-request-id").is_some(),
        "it is not Seaworthy that answers"
    );
    drop(group);
    Ok(())
}

/// A program that tells its variables at `/`.
const TELLTALE: &str = "import http.server as h, json, os\n\
class T(h.BaseHTTPRequestHandler):\n\
\x20   def do_GET(self):\n\
\x20       body = json.dumps(dict(os.environ)).encode()\n\
\x20       self.send_response(200)\n\
\x20       self.send_header('Content-Length', str(len(body)))\n\
\x20       self.end_headers()\n\
\x20       self.wfile.write(body)\n\
h.HTTPServer(('127.0.0.1', int(os.environ['API_PORT'])), T).serve_forever()\n";

fn telltale() -> Result<Builder> {
    let python = tool::find("python3")?.to_string_lossy().into_owned();
    Ok(Seaworthy::run([
        python,
        "-c".to_owned(),
        TELLTALE.to_owned(),
    ]))
}

#[tokio::test]
async fn api_port_is_ours_outside_and_another_one_inside() -> Result<()> {
    let wanted = free()?;
    let builder = telltale()?.listen(wanted).env("API_PORT", wanted.port());
    let seaworthy = builder.ready().await?;
    assert_eq!(seaworthy.public(), wanted);
    let seen = client::get(wanted, "/").await?.json()?;
    let inside = seen["API_PORT"].as_str().unwrap_or_default();
    assert!(
        !inside.is_empty() && inside != wanted.port().to_string(),
        "{inside}"
    );
    let changes = changes(&seaworthy);
    assert!(
        changes.iter().any(|change| change.contains("API_PORT=")),
        "{changes:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_app_gets_its_own_variables_and_folder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("inner"))?;
    let yaml = "app: {cwd: inner, env: {GREETING: hello}}";
    let builder = telltale()?
        .env("API_PORT", 1)
        .env("OUTER", "kept")
        .config(yaml);
    let seaworthy = builder.current_dir(folder.path()).ready().await?;
    let seen = client::get(seaworthy.public(), "/").await?.json()?;
    assert_eq!(
        (&seen["GREETING"], &seen["OUTER"]),
        (&"hello".into(), &"kept".into())
    );
    let pid = seaworthy.group().descendants()[0].pid;
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd"))?;
    assert_eq!(cwd, folder.path().join("inner").canonicalize()?);
    Ok(())
}

#[tokio::test]
async fn what_the_app_writes_passes_unchanged() -> Result<()> {
    let text = "{\"json\": \"of the app\"}\\n\\033[31mred\\033[0m \\377\\n";
    let script = format!("printf '{text}'; exec {}", App::Mock.command()?.join(" "));
    let seaworthy = Seaworthy::run(["sh", "-c", &script]).ready().await?;
    let expected = b"{\"json\": \"of the app\"}\n\x1b[31mred\x1b[0m \xff\n";
    assert_eq!(seaworthy.output().stdout_bytes(), expected);
    Ok(())
}

#[tokio::test]
async fn copies_share_the_port() -> Result<()> {
    let builder = Seaworthy::run(App::Mock.command()?).set("app.instances", 3);
    let seaworthy = builder.ready().await?;
    seaworthy.wait_events("app.ready", 3, PATIENCE).await?;
    assert_eq!(seaworthy.group().descendants().len(), 3);
    for _ in 0..30 {
        assert_eq!(
            client::get(seaworthy.public(), "/bytes/1").await?.status,
            200
        );
    }
    Ok(())
}

/// Needs the Python servers and Node.
mod real {
    use super::{App, Builder, PATIENCE, Response, Result, Seaworthy, changes, client, fixtures};
    use seaworthy_testkit::process::Signal;
    use seaworthy_testkit::server::python;

    const PROXY: (&str, &str) = ("X-Forwarded-For", "203.0.113.9");

    /// Behind a proxy that is trusted, as most services are.
    fn behind_a_proxy(command: Vec<String>) -> Builder {
        let builder = Seaworthy::run(command).current_dir(fixtures());
        builder.config("listen: {trusted_proxies: [loopback]}")
    }

    async fn serves(seaworthy: &mut Seaworthy, name: &str) -> Result<()> {
        let to = seaworthy.public();
        let root = client::get(to, "/").await?;
        assert_eq!(root.status, 200, "{name}");
        let echo = client::send(to, "POST", "/echo", &[], b"said").await?;
        assert_eq!((echo.status, echo.text().as_str()), (200, "said"), "{name}");
        let changes = changes(seaworthy);
        assert!(!changes.is_empty(), "{name} was moved in silence");
        seaworthy.signal(Signal::TERM)?;
        let code = seaworthy.wait(PATIENCE).await?.code();
        assert_eq!(code, Some(0), "{name}: {}", seaworthy.output().stderr());
        Ok(())
    }

    async fn client_of(seaworthy: &Seaworthy, headers: &[(&str, &str)]) -> Result<Response> {
        client::send(seaworthy.public(), "GET", "/client", headers, b"").await
    }

    #[tokio::test]
    async fn asgi_servers_run_unmodified_and_see_the_client() -> Result<()> {
        for app in App::ASGI {
            let name = format!("{app:?}");
            let mut seaworthy = behind_a_proxy(app.command()?).ready().await?;
            let direct = client_of(&seaworthy, &[]).await?.json()?;
            let forwarded = client_of(&seaworthy, &[PROXY, ("X-Forwarded-Proto", "https")])
                .await?
                .json()?;
            // hypercorn and granian leave the reading of forwarding headers to middleware of the application.
            if matches!(app, App::Uvicorn | App::Gunicorn) {
                assert_eq!(direct["host"], "127.0.0.1", "{name}");
                assert_eq!(
                    (&forwarded["host"], &forwarded["scheme"]),
                    (&"203.0.113.9".into(), &"https".into()),
                    "{name}"
                );
            }
            serves(&mut seaworthy, &name).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_stranger_cannot_lie_to_uvicorn() -> Result<()> {
        // On a unix socket the app trusts everything that comes over it, so nothing but the truth may.
        let builder = Seaworthy::run(App::Uvicorn.command()?).current_dir(fixtures());
        let seaworthy = builder.ready().await?;
        let lies = [
            PROXY,
            ("X-Forwarded-Proto", "https"),
            ("X_Forwarded_For", "6.6.6.6"),
        ];
        let seen = client_of(&seaworthy, &lies).await?.json()?;
        assert_eq!(
            (&seen["host"], &seen["scheme"]),
            (&"127.0.0.1".into(), &"http".into())
        );
        Ok(())
    }

    #[tokio::test]
    async fn fastapi_run_is_moved_like_uvicorn() -> Result<()> {
        let fastapi = python("fastapi")?.to_string_lossy().into_owned();
        let command = [fastapi, "run".to_owned(), "app.py".to_owned()];
        let mut seaworthy = behind_a_proxy(command.into()).ready().await?;
        let seen = client_of(&seaworthy, &[PROXY]).await?.json()?;
        assert_eq!(seen["host"], "203.0.113.9");
        serves(&mut seaworthy, "fastapi run").await
    }

    #[tokio::test]
    async fn flask_and_node_run_unmodified() -> Result<()> {
        for app in [App::Flask, App::Node] {
            let mut seaworthy = behind_a_proxy(app.command()?).ready().await?;
            serves(&mut seaworthy, &format!("{app:?}")).await?;
        }
        Ok(())
    }
}
