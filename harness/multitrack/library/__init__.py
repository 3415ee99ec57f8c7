"""Recorded provider behaviours, for tests of code that calls models.

``behaviours()`` lists the behaviours. ``@pytest.mark.behaviour(wire, name)`` answers the requests of a test with one
behaviour.
"""

from multitrack.library.behaviour import Behaviour, behaviours

__all__ = ["Behaviour", "behaviours"]
