//! The HTTP edge, the upstream pool and one folder per tower layer.
