"""Recorded provider behaviours, for tests of code that calls models.

``behaviours()`` lists the behaviours. ``@pytest.mark.behaviour(wire, name)`` answers a test's requests with one of
them.
"""

from multitrack.library.behaviour import Behaviour, behaviours

__all__ = ["Behaviour", "behaviours"]
