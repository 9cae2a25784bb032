//! The request side of a shutdown: who may still come in, who is still in, and who has to leave.
//!
//! A [`Drain`] is one worker's view of it. Control moves it through [`Phase`]s; connections and requests listen.
//! [`DrainLayer`] refuses new requests once draining began (503, never a reset), counts those inside until the last byte
//! of their body, and ends them when the deadline comes: event streams with a clean end, WebSockets with a close frame of
//! code 1012, everything else visibly cut, because half an answer must not pass for a whole one.
//!
//! It does not decide when phases change, nor close listeners; the shutdown runner does.

mod body;
mod layer;
mod state;
mod websocket;

pub use body::DrainBody;
pub(crate) use body::{is_event_stream, says_event_stream};
pub use layer::{DrainGate, DrainLayer, ResponseFuture};
pub use state::{Drain, Inside, Listener, Phase};
