//! Internal: real servers, misbehaving peers and a process harness for tests.
