r"""Where a word begins in a text that may be JSON, or part of a URL.

A plain ``\b`` is wrong in both: in the JSON text ``"\nsk-…"`` the key follows a letter, that of the escape.
"""

WORD_START = (
    r"(?:(?<![\w\\%])"
    r"|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4})|(?<=\\)(?![nrtbfu])"
    r"|(?<=%[0-9a-fA-F]{2})|(?<=%)(?![0-9a-fA-F]{2}))"
)
"""A regular expression that takes no characters; never true inside of an escape."""
