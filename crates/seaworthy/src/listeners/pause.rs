//! How long a worker serves nobody because it takes a configuration in.

use std::time::Instant;

use seaworthy_core::names::metric;
use seaworthy_telemetry::metrics::Histogram;

use crate::components::Components;

/// Lasts until it is dropped, and is counted then.
pub(super) struct Pause {
    began: Instant,
    pauses: Histogram,
}

impl Pause {
    /// Begins with what is taken in.
    pub(super) fn begin(components: &Components) -> Self {
        Self {
            began: Instant::now(),
            pauses: components
                .registry
                .histogram(&metric::CONFIG_WORKER_PAUSE, &[]),
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.pauses.observe(self.began.elapsed().as_secs_f64());
    }
}
