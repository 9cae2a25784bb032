//! Child supervision, signals, reaping and shutdown phases.
