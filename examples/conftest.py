"""Resets the state that SDKs keep in their modules, so that one test does not affect the next."""

import pytest


@pytest.fixture
def vertex_configuration():
    """Restore the configuration of the Vertex SDK, because the next test would use the transport of this one."""
    from google.cloud.aiplatform import initializer

    configuration = vars(initializer.global_config)
    before = dict(configuration)
    yield
    configuration.clear()
    configuration.update(before)
