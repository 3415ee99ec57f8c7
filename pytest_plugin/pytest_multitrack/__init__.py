"""Multitrack's pytest plugin: hooks, command-line options and fixtures."""

import sys


def _skip_assertion_rewriting() -> None:
    """Make pytest import Multitrack's modules without rewriting their assertions.

    pytest rewrites every module of a distribution that has a plugin, and ignores the byte code that pip compiled.
    Rewriting adds a fifth of a second to each start if Python cannot write byte code.
    """
    for finder in sys.meta_path:
        rewritten = getattr(finder, "_must_rewrite", None)  # a private name of pytest's hook
        if isinstance(rewritten, set):
            rewritten.difference_update(
                {name for name in rewritten if name.partition(".")[0] in ("multitrack", "pytest_multitrack")}
            )
            finder._marked_for_rewrite_cache.clear()  # type: ignore[attr-defined]


# here, because pytest imports this module before any other of ours
_skip_assertion_rewriting()
