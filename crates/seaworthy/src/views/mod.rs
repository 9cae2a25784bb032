//! Which path shows which view, on which listener, to whom.

mod merge;
mod mount;
mod part;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use seaworthy_core::catalogue;
use seaworthy_health::probe::upstream::Depth;
use seaworthy_health::{Ask, Board, Component, View};
use seaworthy_http::error::Error;
use seaworthy_http::exchange::Exchange;
use seaworthy_http::rescue::Format;
use seaworthy_http::views::Views;
use seaworthy_telemetry::metrics::{self, Registry};

use crate::armour::Armour;
use crate::reload::Asker;

pub use merge::{MergeLayer, PATIENCE, granted};
pub use mount::mounted;
pub use part::Part;

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole path, compared byte by byte.
    pub path: String,
    /// What it shows, and in which shape.
    pub ask: Ask<'static>,
    /// Only a loopback peer that forwards for nobody sees it; others get the app's 404.
    pub loopback_only: bool,
    /// Whether the app's own answer is part of it.
    pub answers: Mode,
}

/// Who answers a path that the app may have as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Seaworthy alone.
    Own,
    /// Seaworthy, with the app's answer worked in.
    Merge,
}

/// The views of one listener.
#[derive(Clone, Debug)]
pub struct Table {
    entries: Vec<Entry>,
    board: Board,
    registry: Arc<Registry>,
    armour: Armour,
    merges: bool,
    asker: Option<Asker>,
}

impl Table {
    /// Shows `entries`.
    pub fn new(entries: Vec<Entry>, board: Board, registry: Arc<Registry>, armour: Armour) -> Self {
        Self {
            entries,
            board,
            registry,
            armour,
            merges: false,
            asker: None,
        }
    }

    /// Lets a path that is mapped to it take the configuration in anew, by way of `asker`.
    #[must_use]
    pub fn asking(mut self, asker: Option<Asker>) -> Self {
        self.asker = asker;
        self
    }

    /// Leaves entries that want the app's part to a [`MergeLayer`] further down.
    #[must_use]
    pub fn merging(mut self) -> Self {
        self.merges = true;
        self
    }

    fn find(&self, path: &str) -> Option<&Entry> {
        // A handful of entries: comparing lengths first beats hashing the path.
        self.entries
            .iter()
            .find(|entry| entry.path.len() == path.len() && entry.path == path)
    }

    /// The answer of a view.
    pub fn show(&self, ask: Ask<'_>, accept: Option<&str>) -> Response<Bytes> {
        match ask.view {
            View::Metrics => self.page(metrics::accepts_openmetrics(accept)),
            View::Security => respond(StatusCode::OK, "application/json", self.armour.security()),
            _ => self.document(ask, accept, None),
        }
    }

    /// A document, with the app's part if there is one.
    fn document(
        &self,
        mut ask: Ask<'_>,
        accept: Option<&str>,
        part: Option<&Component>,
    ) -> Response<Bytes> {
        ask.draft = accept.is_some_and(|accept| accept.contains("application/health+json"));
        let now = SystemTime::now();
        let answer = match part {
            Some(part) => self.board.answer_with(ask, part, now),
            None => self.board.answer(ask, now),
        };
        let Some(answer) = answer else {
            return Format::Envelope.render(&Error::new(&catalogue::NOT_FOUND), None);
        };
        let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        respond(code, answer.media_type, answer.body)
    }

    /// The page of metrics, in one of its two formats.
    fn page(&self, openmetrics: bool) -> Response<Bytes> {
        let media_type = if openmetrics {
            metrics::OPENMETRICS
        } else {
            metrics::TEXT
        };
        let page = self.registry.encode(openmetrics);
        respond(StatusCode::OK, media_type, page.into())
    }
}

impl Table {
    /// The way to have a wish granted, if this request is one.
    pub fn wish(&self, method: &Method, path: &str) -> Option<&Asker> {
        let asker = self.asker.as_ref()?;
        let entry = self.find(path)?;
        (entry.ask.view == View::Reload && method == Method::POST).then_some(asker)
    }

    /// Why a wish is not granted. One who may reach it shows the token, or speaks for himself on this machine where that will do.
    fn refuses<B>(&self, entry: &Entry, request: &Request<B>) -> Option<Response<Bytes>> {
        let asker = self.asker.as_ref()?;
        if request.method() != Method::POST {
            let error = Error::new(&catalogue::METHOD_NOT_ALLOWED);
            let error = error.header(header::ALLOW, HeaderValue::from_static("POST"));
            return Some(Format::Envelope.render(&error, None));
        }
        // A page that a browser on this machine shows is nobody who speaks for himself.
        let is_page = request.headers().contains_key(header::ORIGIN);
        let may = entry.loopback_only && is_local(request) && !is_page
            || asker.believes(request.headers());
        (!may).then(|| Format::Envelope.render(&Error::new(&catalogue::UNAUTHORIZED), None))
    }
}

impl Views for Table {
    fn answer<B>(&self, request: &Request<B>) -> Option<Response<Bytes>> {
        let path = request.uri().path();
        let entry = self.find(path)?;
        if entry.ask.view == View::Reload {
            return self.refuses(entry, request);
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return None;
        }
        if entry.loopback_only && !is_local(request) {
            // Whoever may not see it shall not learn that it is there.
            return Some(Format::Envelope.render(&Error::new(&catalogue::NOT_FOUND), None));
        }
        if entry.answers == Mode::Merge && self.merges {
            return None;
        }
        if let Some(depth) = request.headers().get(&Depth::FIELD)
            && is_neighbour(request)
        {
            Depth::global().asked(depth.to_str().unwrap_or_default());
        }
        let accept = merge::accept(request.headers());
        Some(self.show(entry.ask.query(request.uri().query()), accept))
    }
}

/// A peer on this machine that speaks for itself.
fn is_local<B>(request: &Request<B>) -> bool {
    speaks_for_itself(request, IpAddr::is_loopback)
}

/// A peer in a network that only our own services are in, which speaks for itself. Whoever says how deep a question is can keep
/// us from asking others, so that strangers are not believed.
fn is_neighbour<B>(request: &Request<B>) -> bool {
    speaks_for_itself(request, |ip| match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    })
}

fn speaks_for_itself<B>(request: &Request<B>, is_near: impl Fn(&IpAddr) -> bool) -> bool {
    let near = request
        .extensions()
        .get::<Exchange>()
        .is_some_and(|exchange| {
            let is_near = |peer: SocketAddr| is_near(&peer.ip().to_canonical());
            exchange.peer.is_none_or(is_near)
        });
    near && !["x-forwarded-for", "forwarded", "x-real-ip"]
        .iter()
        .any(|name| request.headers().contains_key(*name))
}

/// Made once: probes are many, and making a value looks at each of its bytes.
static JSON: HeaderValue = HeaderValue::from_static("application/json");
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

fn respond(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let media_type = match media_type {
        "application/json" => JSON.clone(),
        other => HeaderValue::from_static(other),
    };
    let headers = response.headers_mut();
    headers.reserve(2);
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, NO_STORE.clone());
    response
}
