//! How many connections there is room for.
//!
//! A connection without a descriptor left for its way to the app is worth nothing: clients that merely wait would take the
//! last one, and every request would be answered as if the app were gone. So no more are taken than can be served to the
//! end. The limit itself is left alone, because the app inherits it.

/// What a process needs beside connections: its listeners, runtimes, log and children.
const OWN: u64 = 24;
/// What each worker needs for itself.
const WORKER: u64 = 4;

/// How many connections each of `workers` may have: the `wished`, unless descriptors run out before.
pub(super) fn per_worker(wished: usize, workers: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(wished, |limit| wished.min(share(limit, workers)))
}

/// Half of what is left of `limit`, shared among `workers`; the other half is for connections to the app.
fn share(limit: u64, workers: usize) -> usize {
    let count = workers.max(1) as u64;
    let left = limit.saturating_sub(OWN + WORKER * count) / 2 / count;
    usize::try_from(left).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_every_connection_fit() {
        for limit in [128, 1024, 1 << 20] {
            for workers in [1, 2, 8] {
                let connections = 2 * (share(limit, workers) * workers) as u64;
                assert!(
                    connections + OWN + WORKER * workers as u64 <= limit,
                    "{limit} {workers}"
                );
            }
        }
        assert_eq!(share(1024, 2), 248);
        assert_eq!(share(10, 4), 1, "a worker without any would serve nobody");
    }

    #[test]
    fn no_more_than_wished() {
        assert_eq!(per_worker(1, 1), 1);
    }
}
