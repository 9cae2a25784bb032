//! TLS in front: what is agreed on, and a certificate that changes under a running service.

use std::path::Path;

use seaworthy_testkit::Result;
use seaworthy_testkit::certificate::Certificate;
use seaworthy_testkit::client::{self, Connection, Stream};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::{App, Server};
use seaworthy_testkit::wait::{self, PATIENCE};

use crate::front::{fields, values};
use crate::http2;

/// The binary with a certificate in `folder`, in front of the mock.
async fn start(folder: &Path, certificate: &Certificate) -> Result<(Seaworthy, Server)> {
    let mock = App::Mock.start().await?;
    let seaworthy = secure(folder, certificate)?
        .connect(mock.address)
        .start()
        .await?;
    Ok((seaworthy, mock))
}

fn secure(folder: &Path, certificate: &Certificate) -> Result<Builder> {
    let (cert, key) = certificate.write(folder)?;
    Ok(Seaworthy::build()
        .set("listen.tls.cert", cert.display())
        .set("listen.tls.key", key.display()))
}

#[tokio::test]
async fn http2_is_agreed_on_when_it_is_offered() -> Result<()> {
    let (folder, certificate) = (tempfile::tempdir()?, Certificate::new()?);
    let (seaworthy, _mock) = start(folder.path(), &certificate).await?;
    let stream =
        Stream::connect_tls(seaworthy.public(), certificate.client(&["h2", "http/1.1"])?).await?;
    assert_eq!(stream.alpn(), Some(&b"h2"[..]));
    let answer = http2::open(stream)
        .await?
        .send_request(http2::bare("GET", "/echo?headers")?)
        .await?;
    let fields = fields(&serde_json::from_str(&http2::text(answer).await?)?);
    assert_eq!(values(&fields, "x-forwarded-proto"), ["https"]);
    Ok(())
}

#[tokio::test]
async fn http1_is_spoken_with_those_who_know_no_better() -> Result<()> {
    let (folder, certificate) = (tempfile::tempdir()?, Certificate::new()?);
    let (seaworthy, _mock) = start(folder.path(), &certificate).await?;
    for offer in [&["http/1.1"][..], &[]] {
        let mut connection =
            Connection::open_tls(seaworthy.public(), certificate.client(offer)?).await?;
        let agreed = connection.stream().alpn().map(<[u8]>::to_vec);
        assert_eq!(agreed, offer.first().map(|name| name.as_bytes().to_vec()));
        let answer = connection.ask("POST", "/echo", &[], b"sealed").await?;
        assert_eq!((answer.status, answer.text().as_str()), (200, "sealed"));
        let report = connection
            .ask("GET", "/echo?headers", &[], b"")
            .await?
            .json()?;
        assert_eq!(values(&fields(&report), "x-forwarded-proto"), ["https"]);
    }
    Ok(())
}

#[tokio::test]
async fn http2_is_not_offered_when_it_is_switched_off() -> Result<()> {
    let (folder, certificate) = (tempfile::tempdir()?, Certificate::new()?);
    let mock = App::Mock.start().await?;
    let builder = secure(folder.path(), &certificate)?.set("listen.http2", false);
    let seaworthy = builder.connect(mock.address).start().await?;
    let stream =
        Stream::connect_tls(seaworthy.public(), certificate.client(&["h2", "http/1.1"])?).await?;
    assert_eq!(stream.alpn(), Some(&b"http/1.1"[..]));
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (old, new) = (Certificate::new()?, Certificate::new()?);
    let (seaworthy, _mock) = start(folder.path(), &old).await?;
    let to = seaworthy.public();
    let mut kept = Connection::open_tls(to, old.client(&[])?).await?;
    assert_eq!(kept.stream().peer_certificate(), Some(old.der()));
    // Half of a rotation is no reason to stop serving.
    std::fs::write(
        folder.path().join("cert.pem"),
        "nothing that is a certificate",
    )?;
    seaworthy.wait_event("tls.reload_failed").await?;
    Connection::open_tls(to, old.client(&[])?).await?;
    new.write(folder.path())?;
    wait::until("the new certificate", PATIENCE, || {
        let client = new.client(&[]);
        async move { Connection::open_tls(to, client.ok()?).await.ok() }
    })
    .await?;
    assert!(Connection::open_tls(to, old.client(&[])?).await.is_err());
    let answer = kept.ask("GET", "/bytes/5", &[], b"").await?;
    assert_eq!(answer.body.len(), 5, "a connection that was open is kept");
    Ok(())
}

#[tokio::test]
async fn plain_http_is_turned_away() -> Result<()> {
    let (folder, certificate) = (tempfile::tempdir()?, Certificate::new()?);
    let (seaworthy, _mock) = start(folder.path(), &certificate).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send(client::request("GET", "/", &[], b""))
        .await?;
    let (bytes, _) = connection.rest().await?;
    assert!(
        !String::from_utf8_lossy(&bytes).contains("200"),
        "{bytes:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_before_anything_starts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (one, other) = (Certificate::new()?, Certificate::new()?);
    let (cert, key) = one.write(folder.path())?;
    let with = |cert: &Path, key: &Path| {
        Seaworthy::build()
            .set("listen.tls.cert", cert.display())
            .set("listen.tls.key", key.display())
            .connect(std::net::SocketAddr::from(([127, 0, 0, 1], 9)))
    };
    let missing = folder.path().join("missing.pem");
    let foreign = folder.path().join("foreign.pem");
    std::fs::write(&foreign, &other.key)?;
    for (builder, named) in [
        (with(&missing, &key), "missing.pem"),
        (with(&key, &key), "certificate"),
        (with(&cert, &foreign), "cannot be used together"),
    ] {
        let ended = builder.end(PATIENCE).await?;
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(named), "{named}: {}", ended.stderr);
        assert!(ended.stderr.contains("listen.tls"), "{}", ended.stderr);
    }
    Ok(())
}
