//! Health views: one model, answered from a cached snapshot.
