//! The HTTP/1 edge and the way to the app over real sockets, in front of an origin that records every byte.
//!
//! Names begin with the row of the list of hostile cases that they show (G01 to G06, G29), where there is one.

mod bodies;
mod expect;
mod framing;
mod front;
mod halves;
mod heads;
mod pool;
mod upgrade;
