"""The hook with which projects change the settings of vcrpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vcr import VCR


def pytest_recording_configure(config: pytest.Config, vcr: VCR) -> None:
    """Change the settings of ``vcr``, such as its matchers, for a test with the ``vcr`` marker."""
