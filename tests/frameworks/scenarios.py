"""The scenarios by the name of their framework on the package index, and the frameworks that are installed."""

from importlib import metadata
from pathlib import Path

SCENARIOS = {path.parent.name: path for path in sorted(Path(__file__).parent.glob("*/scenario.py"))}
INSTALLED = {
    name: distribution.version for name in SCENARIOS for distribution in metadata.Distribution.discover(name=name)
}
