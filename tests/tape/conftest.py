import pytest
from recorded_tape import RecordedCassette


@pytest.fixture
def recorded(tmp_path):
    """A cassette that exchanges are recorded to and replayed from."""
    return RecordedCassette(tmp_path / "tape.yaml")
