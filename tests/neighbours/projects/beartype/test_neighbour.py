"""The import hook of beartype checks the application."""

import app
import pytest
from beartype.roar import BeartypeCallHintParamViolation


@pytest.mark.cassette
def test_checked_application():
    assert "weather" in app.ask("Lima")
    with pytest.raises(BeartypeCallHintParamViolation):
        app.ask(5)
