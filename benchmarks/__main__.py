"""Runs the benchmarks and writes their sections: ``python -m benchmarks [--quick] [NAME ...]``."""

from __future__ import annotations

import argparse
from importlib import import_module

from benchmarks import page

# in the order of the page; each is a module here with `section(quick)`, which gives its heading and its text
SECTIONS = ("extraction", "snapshots", "revalidation", "tape", "large_tapes")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=f"Measure, and write {page.PATH}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"those to run, all if none: {', '.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it works; printed, not written")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(SECTIONS))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there is {', '.join(SECTIONS)}")
    for name in options.names or SECTIONS:
        section: page.Section = import_module(f"benchmarks.{name}").section(quick=options.quick)
        if options.quick:
            print(section)
        else:
            page.write(section)


main()
