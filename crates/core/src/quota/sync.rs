//! The atomics that the table is made of: the standard library's, or loom's, which tries every order of steps.

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize};
#[cfg(loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize};
#[cfg(not(loom))]
pub(super) use std::sync::{Mutex, MutexGuard};

pub(super) use std::sync::atomic::Ordering;

/// Lets another thread finish the step that this one waits for; they take a few instructions each.
pub(super) fn pause() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::hint::spin_loop();
}
