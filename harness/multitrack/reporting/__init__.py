"""Text for users: the terminal summary, the drift table, reports, and the output of ``multitrack check`` and ``show``.

Most of these modules convert values to lines of text. The exceptions are ``check``, which reads files and the
environment, and ``collected_tests``, which runs pytest.
"""
