//! Performance tests: memory, start-up and behaviour under many clients, measured on the real binary.
//!
//! Not in the default run: `cargo test -p seaworthy --test performance`. Sizes are asserted, and of times only what the
//! best of several tries must reach, because a machine that does other things makes any time long; `bench/` is where
//! speed is compared. Each test prints its figures.

mod concurrency;
mod memory;
mod start;
