//! The first lines on the terminal: what was found, what listens where, what to do next.
