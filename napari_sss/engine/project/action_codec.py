"""Actions as bytes, for the journal."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

from napari_sss.engine.project.diff import LabelDiff
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.record_codec import RecordCodec, decode_key, encode_key
from napari_sss.engine.project.records import SectionKey, Table
from napari_sss.engine.project.state import Action, RecordChange


@dataclass(frozen=True)
class PackedAction:
    """An action ready to be stored.

    Parameters
    ----------
    kind, title : str
        Of the action.
    voxels : bytes, optional
        Its :class:`LabelDiff`; None where no voxel changes.
    records : bytes
        Its changes of records, both directions, compressed.
    joins : bool
        It is undone and redone together with the action before it.
    """

    kind: str
    title: str
    voxels: bytes | None
    records: bytes
    joins: bool = False

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return len(self.voxels or b"") + len(self.records)


class ActionCodec:
    """Actions to bytes and back.

    Parameters
    ----------
    records : RecordCodec
        For the records in them.
    """

    def __init__(self, records: RecordCodec) -> None:
        self.records = records

    def pack(self, action: Action, joins: bool = False) -> PackedAction:
        """An action as bytes."""
        content = {
            "changes": [self._change(change) for change in action.changes],
            "touched": sorted(encode_key(Table.SECTION, key) for key in action.touched),
        }
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        voxels = action.diff.to_bytes() if action.diff.runs else None
        records = zlib.compress(text.encode("utf-8"), 1)
        return PackedAction(action.kind, action.title, voxels, records, joins)

    def unpack(self, packed: PackedAction) -> Action:
        """The action that :meth:`pack` was given.

        Raises
        ------
        ProjectError
            If the bytes are damaged.
        """
        voxels = packed.voxels
        diff = LabelDiff.empty() if voxels is None else LabelDiff.from_bytes(voxels)
        try:
            content = json.loads(zlib.decompress(packed.records))
            changes = tuple(self._parsed(*change) for change in content["changes"])
            touched = [decode_key(Table.SECTION, key) for key in content["touched"]]
        except (zlib.error, ValueError, TypeError, KeyError) as error:
            raise ProjectError(
                f"The stored action '{packed.title}' is damaged ({error})."
            ) from error
        keys = frozenset(key for key in touched if isinstance(key, SectionKey))
        return Action(packed.kind, packed.title, diff, changes, keys)

    def _change(self, change: RecordChange) -> list[Any]:
        before, after = (
            None if record is None else self.records.encode(change.table, record)
            for record in (change.before, change.after)
        )
        return [change.table.value, encode_key(change.table, change.key), before, after]

    def _parsed(
        self, name: str, key: str, before: str | None, after: str | None
    ) -> RecordChange:
        table = Table(name)
        old, new = (
            None if text is None else self.records.decode(table, text)
            for text in (before, after)
        )
        return RecordChange(table, decode_key(table, key), old, new)
