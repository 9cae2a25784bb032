"""Measures Seaworthy beside its peers; `bench/run` is the way in, README.md says how to read what comes out."""
