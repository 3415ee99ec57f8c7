"""Collect the tests only in a session of nox, which names the neighbour that it has installed.

pytest puts the folder of this file on the import path. The projects are one level deeper: a folder named ``tornado`` on
the path would look like an installed tornado.
"""

import os

# the projects are copied before they run
collect_ignore = ["projects"]
if not os.environ.get("NEIGHBOUR"):
    collect_ignore.append("test_neighbours.py")
