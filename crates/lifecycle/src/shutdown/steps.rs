//! What a service has to be able to do in order to be shut down.

use seaworthy_core::address::Address;
use seaworthy_core::budget::Ramp;
use seaworthy_core::lifecycle::Phase;

use crate::patience::Patience;

/// What a service has to be able to do in order to be shut down. The methods are called in the order of this list, by one
/// task, so nothing has to be `Send`.
pub trait Steps {
    /// Says that a phase begins; for gauges and `status`.
    fn enter(&mut self, phase: Phase);

    /// Becomes not ready and goes on serving; connections are asked to close. With a ramp, a growing part of the requests
    /// is refused. It may have been marked before, by a preStop hook.
    fn mark(&mut self, ramp: Option<Ramp>) -> impl Future<Output = ()>;

    /// Refuses new requests from now on.
    fn begin_drain(&mut self) -> impl Future<Output = ()>;

    /// How many requests are under way, streams and upgraded connections included.
    fn in_flight(&self) -> u64;

    /// Ends the requests that are left, closes the listener, and says how many requests were cut.
    fn end_drain(&mut self) -> impl Future<Output = u64>;

    /// Where the app listens, for hooks that call it.
    fn app_address(&self) -> Option<Address>;

    /// Stops the app, and kills it when patience is over.
    fn stop_app(&mut self, patience: Patience) -> impl Future<Output = AppEnd>;

    /// Writes out logs and metrics.
    fn flush(&mut self) -> impl Future<Output = ()>;
}

/// How the app ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppEnd {
    /// There is none that would be ours to stop.
    NoApp,
    /// By itself, in time.
    Stopped,
    /// It had to be killed.
    Killed,
}
