"""pytest-recording's interface, for projects that were written for that plugin but run without it.

https://github.com/kiwicom/pytest-recording describes the hook, the fixtures, the markers and the options. This package
translates them into the options of a tape. ``register`` is the entry point.
"""
