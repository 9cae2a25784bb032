//! Makes any service fit for production.
