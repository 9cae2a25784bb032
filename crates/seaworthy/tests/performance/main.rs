//! Performance tests: memory, start-up and behaviour under many clients, measured on the real binary.
//!
//! Not in the default run: `cargo test -p seaworthy --test performance`. Sizes and processor time are asserted, with room
//! for any machine; other times are printed only, because a machine that does other things makes them as long as it likes.
//! `bench/` is where speed is compared. Each test prints its figures.

mod concurrency;
mod cost;
mod memory;
mod overload;
mod probes;
mod registry;
mod reload;
mod start;
