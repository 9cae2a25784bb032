//! A service that checks every request, and answers as the first letter of its path says.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use seaworthy_http::body::{RequestBody, Tunnel};
use seaworthy_http::error::BodyError;
use seaworthy_http::exchange::Exchange;

/// One request, and what its answer came to.
pub struct Call {
    pub method: Method,
    pub version: Version,
    /// The bytes of the answer's body that were asked for.
    pub yielded: RefCell<Vec<u8>>,
    pub ended: Cell<bool>,
}

#[derive(Clone, Default)]
pub struct Service {
    calls: Rc<RefCell<Vec<Rc<Call>>>>,
}

impl Service {
    pub fn calls(&self) -> Vec<Rc<Call>> {
        self.calls.borrow().clone()
    }
}

impl tower_service::Service<Request<RequestBody>> for Service {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let call = Rc::new(Call {
            method: request.method().clone(),
            version: request.version(),
            yielded: RefCell::default(),
            ended: Cell::new(false),
        });
        self.calls.borrow_mut().push(call.clone());
        Box::pin(async move { Ok(answer(request, call).await) })
    }
}

fn check(request: &Request<RequestBody>) {
    let headers = request.headers();
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::TE,
        header::EXPECT,
    ] {
        assert!(!headers.contains_key(&name), "{name} went through");
    }
    let hosts = headers.get_all(header::HOST).iter().count();
    assert!(hosts == 1 || (hosts == 0 && request.version() == Version::HTTP_10));
    let target = request.uri().to_string();
    assert!(
        target
            .bytes()
            .all(|byte| byte > 0x20 && byte != 0x7f && byte != b'#'),
        "{target:?}"
    );
    for (name, value) in headers {
        let plain = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
        assert!(value.as_bytes().iter().all(plain), "{name}: {value:?}");
    }
    if let Some(length) = headers.get(header::CONTENT_LENGTH) {
        let length = length.to_str().ok().and_then(|length| length.parse().ok());
        assert_eq!(request.body().size_hint().exact(), length);
    }
}

/// The body, and whether it came to its end.
async fn read(body: &mut RequestBody) -> (Vec<u8>, bool) {
    let length = body.size_hint().exact();
    let mut bytes = Vec::new();
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => {
                assert!(length.is_none_or(|length| length == bytes.len() as u64));
                return (bytes, true);
            }
            Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
            Some(Err(_)) => return (bytes, false),
        }
    }
}

async fn answer(mut request: Request<RequestBody>, call: Rc<Call>) -> Response<Answer> {
    check(&request);
    let exchange = request
        .extensions_mut()
        .remove::<Exchange>()
        .expect("the edge's own");
    let style = request.uri().path().bytes().nth(1).unwrap_or(b'e');
    let mut body = request.into_body();
    let mut response = Response::new(());
    let kind = match style {
        b'i' => Kind::Known(Some(Bytes::from_static(b"ignored"))),
        b'r' => {
            let (bytes, complete) = read(&mut body).await;
            if !complete {
                *response.status_mut() = StatusCode::BAD_REQUEST;
            }
            Kind::Known(Some(bytes.into()))
        }
        b'n' => {
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from_static("7"));
            Kind::Known(None)
        }
        b'm' => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from_static("7"));
            Kind::Known(None)
        }
        b'f' => Kind::Failing,
        b'w' if exchange.upgrade => {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response
                .headers_mut()
                .insert(header::UPGRADE, HeaderValue::from_static("x"));
            body.start_tunnel();
            Kind::Echo(body, false)
        }
        style => {
            if style == b'h' {
                for status in [StatusCode::EARLY_HINTS, StatusCode::CONTINUE] {
                    if let Some(interim) = &exchange.interim {
                        interim.send(status, HeaderMap::new());
                    }
                }
            }
            Kind::Echo(body, style == b't')
        }
    };
    response.map(|()| Answer { kind, call })
}

pub struct Answer {
    kind: Kind,
    call: Rc<Call>,
}

enum Kind {
    Known(Option<Bytes>),
    /// What the client sends, and trailers if so wanted.
    Echo(RequestBody, bool),
    /// A piece of unknown length, then an error.
    Failing,
}

impl Answer {
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.kind {
            Kind::Known(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Failing if self.call.yielded.borrow().is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"some")))))
            }
            Kind::Failing => Poll::Ready(Some(Err(BodyError::Truncated))),
            Kind::Echo(body, trailers) => {
                let polled = Pin::new(body).poll_frame(cx);
                if matches!(polled, Poll::Ready(None)) && std::mem::take(trailers) {
                    let mut fields = HeaderMap::new();
                    fields.insert("x-sum", HeaderValue::from_static("1"));
                    fields.insert(header::CONTENT_LENGTH, HeaderValue::from_static("9"));
                    return Poll::Ready(Some(Ok(Frame::trailers(fields))));
                }
                polled
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        assert!(!this.call.ended.get(), "asked after the end");
        let polled = this.next(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.call.yielded.borrow_mut().extend_from_slice(data);
                }
            }
            Poll::Ready(None) => this.call.ended.set(true),
            _ => {}
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Known(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Echo(body, _) => body.size_hint(),
            Kind::Failing => SizeHint::new(),
        }
    }
}
