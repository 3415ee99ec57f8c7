"""Create clients for a replay: without credentials, and without loading certificate authorities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from multitrack.tape import ca_bundles, credentials


@contextmanager
def creating(*, keep_patches: bool = False) -> Iterator[None]:
    """Within the block, allow clients to be created without credentials, and delay the loading of CA bundles.

    The block affects all threads.

    Args:
        keep_patches: Whether to leave the patches installed after the block, until a test without a tape begins.
            Outside of every block, these patches have no effect.
    """
    with credentials.stand_in(keep_patches=keep_patches), ca_bundles.deferring(keep_patches=keep_patches):
        yield
