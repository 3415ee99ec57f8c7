import pytest
from recorded_tape import Recorded


@pytest.fixture
def recorded(tmp_path):
    """A tape file, to put exchanges on and to play them from."""
    return Recorded(tmp_path / "tape.yaml")
