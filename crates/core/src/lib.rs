//! Decisions without I/O: budgets, backoff, identities, errors and names.
