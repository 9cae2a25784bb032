//! Whether somebody may do what he asks for: decided by another service, or by Cedar policies in this process.
//!
//! A policy sees the path exactly as the app will see it; paths with two readings never come so far. It never sees the
//! query, the fields or the body, which hold secrets. It should allow what it knows rather than forbid what it knows.

#[cfg(feature = "cedar")]
pub mod cedar;
mod http;

use std::net::IpAddr;
use std::sync::Arc;

use ::http::Request;
use seaworthy_core::principal::Principal;
use seaworthy_core::route::RouteTable;
use serde_json::{Value, json};

pub use self::http::{MOST as LARGEST_DECISION, Remote};
use crate::exchange::Exchange;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The method.
    pub method: String,
    /// The path as the app sees it, without the query.
    pub path: String,
    /// The template of the route, `unmatched` without one.
    pub route: String,
    /// The host that was asked for.
    pub host: Option<String>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// Who asks.
    pub principal: Option<Arc<Principal>>,
}

impl Question {
    /// The question as a document.
    fn document(&self) -> Value {
        let principal = self.principal.as_ref().map(|principal| {
            json!({
                "kind": principal.kind.word(),
                "id": principal.id,
                "tier": principal.tier,
            })
        });
        json!({
            "method": self.method,
            "path": self.path,
            "route": self.route,
            "host": self.host,
            "client": self.client.map(|client| client.to_string()),
            "principal": principal,
        })
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// He may.
    Allow,
    /// He may not, and perhaps why.
    Deny(Option<String>),
    /// Nobody decided.
    Failed {
        /// Whether he may then.
        open: bool,
    },
}

impl Decision {
    /// The word for it in metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(_) => "deny",
            Self::Failed { .. } => "error",
        }
    }
}

/// Who decides.
#[derive(Debug)]
enum Judge {
    Remote(Remote),
    #[cfg(feature = "cedar")]
    Cedar(cedar::Cedar),
}

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Policy {
    judge: Judge,
    routes: Arc<RouteTable>,
}

impl Policy {
    /// Asks another service.
    pub fn remote(remote: Remote, routes: Arc<RouteTable>) -> Self {
        let judge = Judge::Remote(remote);
        Self { judge, routes }
    }

    /// Goes by Cedar policies.
    #[cfg(feature = "cedar")]
    pub fn cedar(cedar: cedar::Cedar, routes: Arc<RouteTable>) -> Self {
        let judge = Judge::Cedar(cedar);
        Self { judge, routes }
    }

    /// What is asked about a request whose principal is not known yet.
    pub(super) fn question<B>(&self, request: &Request<B>, exchange: &Exchange) -> Question {
        let host = request.headers().get(::http::header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).map(str::to_owned);
        Question {
            method: request.method().as_str().to_owned(),
            path: request.uri().path().to_owned(),
            route: self.routes.template(exchange.route).to_owned(),
            host: host.or_else(|| request.uri().authority().map(ToString::to_string)),
            client: exchange.client,
            principal: None,
        }
    }

    /// Decides, if that can be done at once.
    pub(super) fn decide(&self, question: &Question) -> Option<Decision> {
        match &self.judge {
            Judge::Remote(remote) => remote.known(question),
            #[cfg(feature = "cedar")]
            Judge::Cedar(cedar) if cedar.is_quick() => Some(cedar.decide(question)),
            #[cfg(feature = "cedar")]
            Judge::Cedar(_) => None,
        }
    }

    /// Decides, however long it takes.
    pub(super) async fn ask(&self, question: &Question) -> Decision {
        match &self.judge {
            Judge::Remote(remote) => remote.ask(question).await,
            #[cfg(feature = "cedar")]
            Judge::Cedar(cedar) => cedar.decide_apart(question).await,
        }
    }
}
