//! Fields that every answer bears: those that make browsers careful, and those that the operator wishes.
//!
//! It stands above [`crate::rescue`], so that refusals bear them too. Fields of the app win unless the set says otherwise: an
//! app that knows its own Content-Security-Policy knows better. What a route says wins over what holds for all.

mod layer;
mod live;
mod set;

pub use layer::{Headers, HeadersLayer, ResponseFuture};
pub use live::{Live, Pen};
pub use set::{Action, Entry, Set};
