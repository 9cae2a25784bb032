//! The canonical views as a service for any router.
//!
//! It is a plain [`tower_service::Service`] over requests with any body: axum takes it as `fallback_service` or `route_service`,
//! hyper through an adapter. It needs the whole path, so do not nest it where a prefix is cut off.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tower_service::Service;

use crate::render::DRAFT;
use crate::{Ask, View, Vitals};

/// What is answered where.
const PATHS: [(&str, View); 6] = [
    ("/health/live", View::Live),
    ("/health/ready", View::Ready),
    ("/health/startup", View::Startup),
    ("/health", View::Detailed),
    ("/health/detailed", View::Detailed),
    ("/health/summary", View::Summary),
];

/// See [`Vitals::routes`].
#[derive(Clone, Debug)]
pub struct Routes {
    vitals: Vitals,
    outside: bool,
}

impl Routes {
    pub(crate) fn new(vitals: Vitals) -> Self {
        Self {
            vitals,
            outside: false,
        }
    }

    /// For a listener that strangers reach: the three probes alone, with words and codes and nothing of what the service
    /// depends on.
    #[must_use]
    pub fn for_strangers(mut self) -> Self {
        self.outside = true;
        self
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let mut known = PATHS.iter().filter(|(_, view)| {
            !self.outside || matches!(view, View::Live | View::Ready | View::Startup)
        });
        let Some((_, view)) = known.find(|(known, _)| *known == path) else {
            return refuse(StatusCode::NOT_FOUND);
        };
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refused = refuse(StatusCode::METHOD_NOT_ALLOWED);
            let allowed = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(header::ALLOW, allowed);
            return refused;
        }
        let accept = request.headers().get(header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        let ask = Ask {
            outside: self.outside,
            draft: accept.is_some_and(|accept| accept.contains(DRAFT)),
            ..Ask::view(*view)
        };
        let Some(answer) = self.vitals.answer(ask.query(request.uri().query())) else {
            return refuse(StatusCode::NOT_FOUND);
        };
        let mut response = Response::new(Full::new(answer.body));
        *response.status_mut() =
            StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static(answer.media_type);
        headers.insert(header::CONTENT_TYPE, media_type);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

fn refuse(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}

impl<B> Service<Request<B>> for Routes {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}
