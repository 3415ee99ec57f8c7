"""Text for users: the terminal summary, the drift table, reports, and the output of ``multitrack check`` and ``show``.

Most of these modules turn values into lines. ``check`` reads files and the environment, and ``collected_tests`` runs
pytest.
"""
