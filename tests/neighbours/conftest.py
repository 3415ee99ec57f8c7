"""Collect the tests only in a session of nox, which names the neighbour that it has installed."""

import os
from pathlib import Path

# the projects in the folders are copied before they run
collect_ignore = [path.name for path in Path(__file__).parent.iterdir() if path.is_dir()]
if not os.environ.get("NEIGHBOUR"):
    collect_ignore.append("test_neighbours.py")
