"""The import hook of typeguard checks the application."""

import app
import pytest
import typeguard


@pytest.mark.cassette
def test_checked_application(request):
    assert "weather" in app.ask("Lima")
    if request.config.getoption("typeguard_packages"):
        with pytest.raises(typeguard.TypeCheckError):
            app.ask(5)
