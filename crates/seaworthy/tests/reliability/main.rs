//! Reliability tests: what happens when things stop, die, hang or run out, seen from outside the real binary.
//!
//! One file for each subject. Counts are those of every day; a full run multiplies them by ten, and each test prints its
//! figure with its N, because "0 failed" says little without it. What needs an installed server stands in a module called
//! `real`, which `scripts/test --fast` leaves out.

mod backoff;
mod connections;
mod deaths;
mod hooks;
mod instances;
mod killed;
mod last_words;
mod losses;
mod phases;
mod pid1;
mod resources;
mod rollouts;
mod streams;
mod suspension;
