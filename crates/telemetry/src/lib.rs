//! Logs, access lines and metrics.
