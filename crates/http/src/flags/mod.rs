//! Tells the app which feature flags are on for a request.
//!
//! The field `X-Feature-Flags` has the names of those that are on, with commas between them; a flag that is not among them is
//! off. It is written over whatever the client sent under that name, with hyphens or underscores, so nobody can choose his own.
//! It stands below authentication, because a share goes by the principal.

mod layer;

use std::sync::Arc;

use arc_swap::ArcSwap;
use seaworthy_core::flag::{Flags, Who};

use crate::exchange::Exchange;

pub use layer::{Flagged, FlagsLayer};

/// The flags that hold now. A request sees those that held when it came here.
pub type Live = Arc<ArcSwap<Flags>>;

/// Who makes a request, as flags ask it.
pub fn who(exchange: &Exchange) -> Who<'_> {
    Who {
        principal: exchange.principal.as_deref().map(|one| &*one.id),
        client: exchange.client,
        request: exchange.request_id.as_ref().map(|id| id.as_bytes()),
    }
}
