"""Keeps pytest from rewriting the assertions of Multitrack's own modules; the one place that knows its private names.

pytest rewrites every module of a distribution that has a plugin, past the byte code that pip compiled: with bytecode
writing off, that costs a fifth of a second at each start.
"""

from __future__ import annotations

from typing import Any

import pytest


def spare(config: pytest.Config, package: str) -> None:
    """Import ``package`` as any other package."""
    hook: Any = config.pluginmanager.rewrite_hook
    rewritten = getattr(hook, "_must_rewrite", None)
    if isinstance(rewritten, set):
        rewritten.discard(package)
        hook._marked_for_rewrite_cache.clear()
