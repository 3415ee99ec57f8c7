"""Run the benchmarks and write their sections: ``python -m benchmarks [--quick] [NAME ...]``."""

from __future__ import annotations

import argparse
from importlib import import_module

from benchmarks import page

# in the order of the page; each is a module of this package with a `run_benchmark(quick)` function
NAMES = (
    "extraction",
    "anthropic_extraction",
    "bedrock_extraction",
    "genai_extraction",
    "vertex_extraction",
    "snapshots",
    "revalidation",
    "replay",
    "replayed_suites",
    "large_cassettes",
    "shared_cassettes",
    "large_streams",
    "redaction",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=f"Run benchmarks and write {page.PATH}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; default: all of them")
    parser.add_argument("--quick", action="store_true", help="run a few rounds and print the sections, write nothing")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; choose from {', '.join(NAMES)}")
    for name in options.names or NAMES:
        section: page.Section = import_module(f"benchmarks.{name}").run_benchmark(quick=options.quick)
        if options.quick:
            print(section)
        else:
            page.write_section(section)


main()
