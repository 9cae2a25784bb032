//! Who may ask, and who may change.

use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use seaworthy_core::catalogue;
use seaworthy_http::error::Error;
use seaworthy_http::rescue::Format;

use super::Admin;
use crate::instance::shows_token;

/// Refuses requests that were addressed to another machine: a browser that was led here by a foreign name.
pub(super) async fn local_host(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let origin = request
        .headers()
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or("?"));
    let foreign = |origin: &str| !origin.strip_prefix("http://").is_some_and(is_local);
    if !is_local(host) || origin.is_some_and(foreign) {
        return refuse(
            Error::new(&catalogue::FORBIDDEN)
                .with("reason", "the Host or Origin is not this machine"),
        );
    }
    next.run(request).await
}

/// Refuses changes without the token.
pub(super) async fn authorized(
    State(admin): State<Admin>,
    request: Request,
    next: Next,
) -> Response {
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    if !reads && !shows_token(request.headers(), &admin.token) {
        return refuse(Error::new(&catalogue::UNAUTHORIZED).with(
            "reason",
            "changes need `Authorization: Bearer` and the token of the instance file",
        ));
    }
    next.run(request).await
}

/// The host name of a `Host` field without its port, by address and not by prefix.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

pub(super) fn refuse(error: Error) -> Response {
    let response = Format::Envelope.render(&error, None);
    let status = error.status_code();
    (status, response.headers().clone(), response.into_body()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for host in [
            "127.0.0.1:9900",
            "localhost:9900",
            "LOCALHOST",
            "[::1]:9900",
            "127.1.2.3",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "127.evil.com",
            "evil.com:9900",
            "",
            "127.0.0.1.evil.com",
            "0.0.0.0",
            "[::2]",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
