//! Layered, located configuration for any type.
