//! Who makes a request, and whether he may.
//!
//! Three things vouch for a principal, strongest first unless told otherwise: a known API key, a valid token, and a header
//! that a trusted proxy has set. What vouches for nobody is no principal: an unknown key has no bucket of its own, or whoever
//! invents keys would have as many as he likes. The app may have keys of its own, so an unknown one only matters where a
//! principal is required; a token that claims something and is not valid is refused everywhere, and so is a field that comes
//! twice. After that a [`policy`] may be asked.
//!
//! What has to wait (keys that are being fetched, a decision of another service) waits in a boxed future; every other
//! request passes without one. It keeps no sessions, sets no cookies and issues nothing.

mod credentials;
mod decide;
mod keys;
mod layer;
mod path;
pub mod policy;
mod refusal;
#[cfg(test)]
mod tests;

#[cfg(feature = "jwt")]
pub mod jwt;
/// Tokens are not read without the feature `jwt`.
#[cfg(not(feature = "jwt"))]
pub mod jwt {
    use std::convert::Infallible;
    use std::sync::Arc;

    use seaworthy_core::principal::Principal;

    /// There is none.
    #[derive(Debug)]
    pub struct Verifier(Infallible);

    impl Verifier {
        pub(super) fn verify(&self, _: &str, _: u64) -> Result<Arc<Principal>, super::Refusal> {
            match self.0 {}
        }

        pub(super) fn is_fetched(&self) -> bool {
            match self.0 {}
        }

        #[allow(clippy::unused_async)]
        pub(super) async fn look_again(&self) {
            match self.0 {}
        }
    }
}

use std::time::Duration;

use http::HeaderName;
use seaworthy_core::principal::Kind;

pub use decide::Auth;
pub use keys::{Keys, NotAKey};
pub use layer::{AuthLayer, Authenticate, ResponseFuture};
pub use path::Strictness;
pub use refusal::Refusal;

/// What a route asks of its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nobody looks.
    None,
    /// Whoever says who he is must be right; nobody has to say it.
    #[default]
    Optional,
    /// Nobody comes in without a principal.
    Required,
}

/// What is looked at, and in which order.
#[derive(Debug, Default)]
pub struct Config {
    /// What each route asks; the first is for requests without a route.
    pub modes: Vec<Mode>,
    /// What vouches, the preferred first. A kind that is missing does not count.
    pub order: Vec<Kind>,
    /// API keys, and the header that they come in.
    pub keys: Option<(HeaderName, Keys)>,
    /// What verifies tokens.
    pub tokens: Option<jwt::Verifier>,
    /// The header in which trusted proxies name somebody.
    pub header: Option<HeaderName>,
    /// Who is asked whether a principal may.
    pub policy: Option<policy::Policy>,
    /// How paths are read that others might read differently.
    pub strictness: Strictness,
}

/// Is told what came of requests.
pub trait Watch: Send + Sync {
    /// Who somebody was found to be: `api_key`, `jwt`, `header`, `anonymous`, `refused` or `unavailable`.
    fn identified(&self, outcome: &'static str);

    /// What the policy decided, `allow`, `deny` or `error`, and how long that took.
    fn decided(&self, decision: &'static str, took: Duration);
}
