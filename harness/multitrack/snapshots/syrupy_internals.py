"""Every name of syrupy's that is not public, so that a new release of it is met in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from syrupy.extensions.base import AbstractSyrupyExtension

if TYPE_CHECKING:
    from syrupy.data import SnapshotCollection
    from syrupy.session import SnapshotSession


def syrupy_session(config: pytest.Config) -> SnapshotSession:
    """syrupy's session. Fails the test where its plugin is not active."""
    session: SnapshotSession | None = getattr(config, "_syrupy", None)
    if session is None:
        pytest.fail(
            "calls_snapshot needs syrupy's pytest plugin, which is not active: "
            "pip install 'multitrack[test]', and run without -p no:syrupy",
            pytrace=False,
        )
    return session


class StoredExtension(AbstractSyrupyExtension):
    """syrupy's extension class under the names of syrupy 4, where its storage methods had an underscore."""

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
