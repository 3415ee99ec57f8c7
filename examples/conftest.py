"""What the SDKs keep in their modules from one test to the next, and should not."""

import pytest


@pytest.fixture
def vertex_configuration():
    """A fresh configuration of the Vertex SDK: the transport that one test chooses would be the next one's, too."""
    from google.cloud.aiplatform import initializer

    configuration = vars(initializer.global_config)
    before = dict(configuration)
    yield
    configuration.clear()
    configuration.update(before)
