"""Texts for users: the terminal summary, the drift table, reports, and what `multitrack check` and `show` print.

Most of it turns values into lines. `check` reads files and the environment, and `collected_tests` runs pytest.
"""
