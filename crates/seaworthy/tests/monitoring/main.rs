//! Monitoring tests: what the log and the metrics of the real binary say is what happened.

mod access;
