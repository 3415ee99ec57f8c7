"""Benchmarks: each writes a section of docs/benchmarks.md. Run them with ``python -m benchmarks``."""
