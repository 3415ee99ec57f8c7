"""What it costs: each benchmark is a section of docs/benchmarks.md, written by ``python -m benchmarks``."""
