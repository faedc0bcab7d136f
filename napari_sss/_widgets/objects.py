"""The objects of the scan in view, as the table lists them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from psygnal import Signal

from napari_sss._widgets.mask_stream import MaskFinished
from napari_sss._widgets.status import ObjectRow, ObjectState
from napari_sss.engine.prompts.types import ObjectPrompts


class Objects:
    """Rows by object id; says when they change, never what they look like."""

    changed = Signal(tuple)
    """Emitted with all rows, as a tuple of :class:`ObjectRow`."""

    def __init__(self) -> None:
        self._rows: dict[int, ObjectRow] = {}
        self._painted: set[int] = set()

    @property
    def rows(self) -> tuple[ObjectRow, ...]:
        """All rows, in the order of their ids."""
        return tuple(self._rows[i] for i in sorted(self._rows))

    def get(self, object_id: int) -> ObjectRow | None:
        """Return an object's row, or None."""
        return self._rows.get(object_id)

    @property
    def highest_kept_id(self) -> int:
        """The highest id that a new Auto-prompt must leave alone; 0 if there is none."""
        kept = set(self._rows) - set(self.replaceable_ids())
        return max(kept | self._painted, default=0)

    def replaceable_ids(self) -> tuple[int, ...]:
        """Return the objects that no person has edited, which a new Auto-prompt may replace."""
        return tuple(i for i, row in self._rows.items() if row.state is not ObjectState.EDITED)

    def class_ids(self) -> dict[str, int]:
        """Return the value of each class in a class mask: 1, 2, ... by the lowest object id."""
        names = dict.fromkeys(row.class_name for row in self.rows)
        return {name: value for value, name in enumerate(names, start=1)}

    def put(self, objects: Iterable[ObjectPrompts], remove: Iterable[int] = ()) -> None:
        """Add rows for new objects, without masks yet, in place of the removed ones."""
        for object_id in remove:
            self._rows.pop(object_id, None)
        for o in objects:
            best = o.prompts[0]
            self._rows[o.id] = ObjectRow(
                o.id, o.class_name, best.plane, best.index, confidence=o.confidence
            )
        self.changed.emit(self.rows)

    def remove(self, ids: Iterable[int]) -> None:
        """Take objects out."""
        self.put((), remove=ids)

    def finish(self, news: MaskFinished) -> None:
        """Enter a complete mask; an edited object stays one."""
        row = self._rows.get(news.object_id)
        if row is None:
            return
        first, last = news.extent or (None, None)
        state = ObjectState.EDITED if row.state is ObjectState.EDITED else ObjectState.DONE
        self._rows[row.id] = replace(
            row, first=first, last=last, ml=news.ml, confidence=news.confidence, state=state
        )
        self.changed.emit(self.rows)

    def edit(self, prompts: ObjectPrompts) -> None:
        """Note that a person changed an object's prompts, or made the object."""
        row = self._rows.get(prompts.id)
        best = prompts.prompts[0]
        if row is None:
            row = ObjectRow(prompts.id, prompts.class_name, best.plane, best.index)
        self._rows[prompts.id] = replace(
            row, plane=best.plane, best_index=best.index, state=ObjectState.EDITED
        )
        self.changed.emit(self.rows)

    def rename(self, object_id: int, class_name: str) -> None:
        """Give an object another class; it then counts as edited."""
        row = self._rows.get(object_id)
        if row is not None and row.class_name != class_name:
            self._rows[object_id] = replace(
                row, class_name=class_name, state=ObjectState.EDITED
            )
            self.changed.emit(self.rows)

    def paint(self, ids: Iterable[int]) -> None:
        """Note that a person's brush has changed objects, of the table or new ones."""
        for object_id in ids:
            row = self._rows.get(object_id)
            if row is None:
                self._painted.add(object_id)
            else:
                self._rows[object_id] = replace(row, state=ObjectState.EDITED)
        self.changed.emit(self.rows)

    def stop_waiting(self) -> None:
        """Note that the objects without a complete mask will not get one for now."""
        for row in self.rows:
            if row.state is ObjectState.WAITING:
                self._rows[row.id] = replace(row, state=ObjectState.STOPPED)
        self.changed.emit(self.rows)

    def snapshot(self) -> dict[int, ObjectRow]:
        """Return the rows, to be given to :meth:`restore` later."""
        return dict(self._rows)

    def restore(self, rows: dict[int, ObjectRow]) -> None:
        """Bring earlier rows back."""
        self._rows = dict(rows)
        self.changed.emit(self.rows)
