"""The private names of syrupy that this project uses.

The names are in one place, because a new release of syrupy can change them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from syrupy.extensions.base import AbstractSyrupyExtension
from syrupy.location import PyTestLocation

from multitrack.repetitions import get_unrepeated_name

if TYPE_CHECKING:
    from syrupy.data import SnapshotCollection
    from syrupy.session import SnapshotSession


def get_syrupy_session(config: pytest.Config) -> SnapshotSession:
    """Return syrupy's session. Fails the test if syrupy's plugin is not active."""
    session: SnapshotSession | None = getattr(config, "_syrupy", None)
    if session is None:
        # syrupy is installed, because this module imports it: only its plugin is missing
        pytest.fail(
            "calls_snapshot requires syrupy's pytest plugin, which is not active: remove -p no:syrupy; if "
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD is set, add -p syrupy",
            pytrace=False,
        )
    return session


def locate_test(item: pytest.Item) -> PyTestLocation:
    """Return where syrupy stores the snapshots of ``item``.

    All repetitions of a test share its snapshots.
    """
    location = PyTestLocation(item)
    name = get_unrepeated_name(item)
    if name != item.name:
        for attribute in ("nodename", "testname"):
            # the location is frozen, and sets its own fields in this way
            object.__setattr__(location, attribute, name)
    return location


class StoredExtension(AbstractSyrupyExtension):
    """syrupy's extension class. Its aliases are for syrupy 4, whose storage methods begin with ``_``."""

    _file_extension: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._file_extension = cls.file_extension

    def _read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        return self.read_snapshot_collection(snapshot_location=snapshot_location)

    def _read_snapshot_data_from_location(self, *, snapshot_location: str, snapshot_name: str, session_id: str) -> Any:
        return self.read_snapshot_data_from_location(
            snapshot_location=snapshot_location, snapshot_name=snapshot_name, session_id=session_id
        )

    @classmethod
    def _write_snapshot_collection(cls, *, snapshot_collection: SnapshotCollection) -> None:
        cls.write_snapshot_collection(snapshot_collection=snapshot_collection)
