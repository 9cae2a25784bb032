//! The layer that writes the field.

use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use seaworthy_core::flag::Flags;
use tower_layer::Layer;
use tower_service::Service;

use super::{Live, who};
use crate::exchange::Exchange;

const X_FEATURE_FLAGS: HeaderName = HeaderName::from_static("x-feature-flags");

/// Puts a [`Flagged`] around a service.
#[derive(Clone, Debug)]
pub struct FlagsLayer(Option<Live>);

impl FlagsLayer {
    /// Tells of these flags; without any, requests pass as they are.
    pub fn new(flags: Option<Live>) -> Self {
        Self(flags)
    }
}

impl<S> Layer<S> for FlagsLayer {
    type Service = Flagged<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Flagged {
            inner,
            flags: self.0.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Flagged<S> {
    inner: S,
    flags: Option<Live>,
}

impl<S, B> Service<Request<B>> for Flagged<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(flags) = &self.flags {
            let value = value(&flags.load(), request.extensions().get::<Exchange>());
            let headers = request.headers_mut();
            forget(headers);
            headers.insert(X_FEATURE_FLAGS, value);
        }
        self.inner.call(request)
    }
}

/// The names of those that are on. Without an exchange nobody has a key, and shares are off.
fn value(flags: &Flags, exchange: Option<&Exchange>) -> HeaderValue {
    let who = exchange.map(who).unwrap_or_default();
    let mut names = String::new();
    for name in flags.on(&who) {
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(name);
    }
    // Names are checked where they are read; one that cannot stand in a field turns all off rather than the request away.
    HeaderValue::try_from(names).unwrap_or(const { HeaderValue::from_static("") })
}

/// Takes away what the client sent. Underscores count as hyphens, because WSGI and CGI cannot tell them apart.
fn forget(headers: &mut HeaderMap) {
    let is_ours = |name: &HeaderName| {
        let ours = X_FEATURE_FLAGS;
        let (given, ours) = (name.as_str().as_bytes(), ours.as_str().as_bytes());
        given.len() == ours.len()
            && given
                .iter()
                .zip(ours)
                .all(|(given, own)| given == own || (*given == b'_' && *own == b'-'))
    };
    while let Some(name) = headers.keys().find(|name| is_ours(name)).cloned() {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::Instant;

    use arc_swap::ArcSwap;
    use seaworthy_core::flag::{By, Flag, Switch, place};
    use seaworthy_core::principal::{Kind, Principal};
    use seaworthy_core::quantity::Share;
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn live() -> Live {
        let flag = |name: &str, switch| Flag {
            name: name.into(),
            switch,
            by: By::Principal,
        };
        let flags = [
            flag("beta", Switch::Share(Share::percent(50))),
            flag("off", Switch::Off),
            flag("on", Switch::On),
        ];
        Arc::new(ArcSwap::from_pointee(flags.into_iter().collect()))
    }

    async fn told(
        flags: Option<Live>,
        id: &str,
        sent: &[(&'static str, &'static str)],
    ) -> Vec<(String, String)> {
        let echo = service_fn(|request: Request<()>| async move {
            Ok::<_, Infallible>(request.headers().clone())
        });
        let mut exchange = Exchange::new(Instant::now(), None, false);
        exchange.principal = Some(Arc::new(Principal {
            kind: Kind::Header,
            id: id.into(),
            tier: None,
        }));
        let mut request = Request::new(());
        request.extensions_mut().insert(exchange);
        for (name, value) in sent {
            request
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        let service = FlagsLayer::new(flags).layer(echo);
        let headers = service.oneshot(request).await.unwrap_or_default();
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    }

    #[tokio::test]
    async fn the_names_of_those_that_are_on_are_told() {
        for id in ["alice", "bob", "carol", "dave", "eve"] {
            let names = match place("beta", id.as_bytes()) < 500_000 {
                true => "beta,on",
                false => "on",
            };
            let expected = [("x-feature-flags".to_owned(), names.to_owned())];
            assert_eq!(told(Some(live()), id, &[]).await, expected, "{id}");
        }
    }

    #[tokio::test]
    async fn what_the_client_says_of_flags_is_forgotten_in_every_spelling() {
        let sent = [
            ("x-feature-flags", "off"),
            ("x-feature-flags", "admin"),
            ("x_feature_flags", "off"),
            ("x-feature_flags", "off"),
            ("x-feature", "mine"),
        ];
        let told = told(Some(live()), "alice", &sent).await;
        let ours: Vec<_> = told.iter().filter(|(name, _)| name.len() == 15).collect();
        assert_eq!(ours.len(), 1);
        assert!(
            !ours[0].1.contains("off") && !ours[0].1.contains("admin"),
            "{ours:?}"
        );
        assert!(told.contains(&("x-feature".to_owned(), "mine".to_owned())));
    }

    #[tokio::test]
    async fn without_flags_nothing_is_changed() {
        let sent = [("x-feature-flags", "mine")];
        let told = told(None, "alice", &sent).await;
        assert_eq!(told, [("x-feature-flags".to_owned(), "mine".to_owned())]);
    }
}
