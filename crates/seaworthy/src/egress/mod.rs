//! The ways out: a listener on loopback for each service that the app calls, with a small stack of its own.
//!
//! They run on the control thread, because outbound calls are few and wait long; the app's users are served elsewhere. They
//! stay open for as long as this process lives, so an app that stops can still say its last words to others.

mod stack;
pub(crate) mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use seaworthy_core::names::event;
use seaworthy_http::egress::Target;
use seaworthy_http::headers::Set;
use seaworthy_http::rescue::Format;
use seaworthy_telemetry::metrics::Registry;
use tokio::net::TcpListener;
use tower::{Service as _, ServiceExt as _};

use crate::armour::{Armour, Kind};
use crate::config::observe::ErrorFormat;
use crate::config::{Config, Egress, headers};
use crate::failure::Failure;
use crate::secrets::Keeper;

/// Opens every way out of `config` and serves it until the process ends.
///
/// # Errors
/// When an address is taken, or a file of certificates cannot be read.
pub async fn start(
    config: &Config,
    armour: &Armour,
    secrets: &Keeper,
    registry: &Arc<Registry>,
) -> anyhow::Result<()> {
    for one in &config.egress {
        let listener = TcpListener::bind(one.listen.0).await.map_err(|error| {
            Failure::usage(format!(
                "cannot listen on {} for egress `{}`: {error}; choose another address",
                one.listen, one.name
            ))
        })?;
        let way = Way::build(one, config, armour, secrets, registry)
            .with_context(|| format!("egress `{}`", one.name))?;
        let address = listener.local_addr()?;
        tracing::info!(
            event = event::EGRESS_OPENED,
            egress = one.name,
            %address,
            target = one.target,
            "calls to http://{address} go to {}",
            one.target
        );
        tokio::spawn(serve(listener, way));
    }
    Ok(())
}

/// One way out, ready to take connections.
#[derive(Clone)]
struct Way {
    stack: stack::Stack,
    counted: stack::Counted,
    fields: Arc<Set>,
}

impl Way {
    fn build(
        one: &Egress,
        config: &Config,
        armour: &Armour,
        secrets: &Keeper,
        registry: &Arc<Registry>,
    ) -> anyhow::Result<Self> {
        let target: Target = one.target.parse()?;
        let tls = target.secure.then(|| tls::config(one.ca.as_deref()));
        let format = match config.errors.format {
            ErrorFormat::Envelope => Format::Envelope,
            ErrorFormat::Problem => Format::Problem,
        };
        let circuit = one
            .breaker(config)
            .map(|(name, rules)| armour.breakers.adopt(&name, &rules));
        let outbound = stack::Outbound::new(target, tls.transpose()?);
        let errors = armour.errors.service(Kind::Egress, &one.name);
        Ok(Self {
            stack: stack::build(one, circuit, armour, registry, format, errors, outbound),
            counted: stack::Counted::new(&one.name, registry),
            fields: Arc::new(headers::calls(&one.headers, &|field| secrets.live(field))),
        })
    }
}

async fn serve(listener: TcpListener, way: Way) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                stream.set_nodelay(true).ok();
                tokio::spawn(connection(stream, peer, way.clone()));
            }
            // No descriptors, or a client that left already: neither is a reason to spin.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, peer: SocketAddr, way: Way) {
    let service = service_fn(move |request| {
        let mut stack = way.stack.clone();
        let counted = way.counted.clone();
        let fields = way.fields.clone();
        async move {
            let mut request = stack::named(request, peer);
            fields.apply(request.headers_mut(), false);
            let began = std::time::Instant::now();
            let ready = stack.ready().await?;
            let answer = ready.call(request).await?;
            counted.ended(answer.status(), began.elapsed());
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new());
    // How a connection ends is the app's business; what failed was answered.
    server
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}
