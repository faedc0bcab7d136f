"""The objects of the case at work, as the table lists them."""

from __future__ import annotations

from collections.abc import Iterable

from psygnal import Signal

from napari_sss._widgets.object_rows import Box, RowMaker, VoxelCounts
from napari_sss._widgets.status import ObjectRow
from napari_sss._widgets.worker import Job, Worker
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.volumes.grid import AxisView, Grid


class Objects:
    """Rows by object id, made anew in a worker when the case has changed.

    Parameters
    ----------
    worker : Worker
        Counts voxels; nobody else's.
    """

    changed = Signal(tuple)
    """Emitted with all rows, as a tuple of :class:`ObjectRow`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._rows: dict[int, ObjectRow] = {}
        self._maker: RowMaker | None = None
        self._waiting: set[int] = set()
        self._control: JobControl | None = None
        self._dirty: list[Box | None] = []

    @property
    def rows(self) -> tuple[ObjectRow, ...]:
        """All rows, in the order of their ids."""
        return tuple(self._rows[i] for i in sorted(self._rows))

    def get(self, object_id: int) -> ObjectRow | None:
        """Return an object's row, or None."""
        return self._rows.get(object_id)

    def attach(self, session: CaseSession | None, grid: Grid | None, view: AxisView) -> None:
        """List the objects of a case, or none."""
        self._waiting.clear()
        self._dirty.clear()
        self._rows = {}
        self._maker = None
        if session is not None and grid is not None:
            axis = view.order[0]
            self._maker = RowMaker(
                session,
                VoxelCounts(session.labels, axis),
                grid.voxel_ml,
                grid.shape[axis],
                view.flips[0],
            )
            self.update(None)
        self.changed.emit(())

    def update(self, box: Box | None) -> None:
        """Make the rows anew; voxels have changed in a box, or may have anywhere."""
        self._dirty.append(box)
        self._count()

    def refresh(self) -> None:
        """Make the rows anew; no voxels have changed."""
        self._dirty.append((slice(0, 0), slice(0, 0), slice(0, 0)))
        self._count()

    def begin(self, ids: Iterable[int]) -> None:
        """Note that masks of these objects are being made."""
        self._waiting.update(ids)
        self.refresh()

    def end(self, object_id: int) -> None:
        """Note that an object's mask is complete."""
        self._waiting.discard(object_id)
        self.refresh()

    def stop_waiting(self) -> None:
        """Note that the objects without a complete mask will not get one for now."""
        if self._waiting:
            self._waiting.clear()
            self.refresh()

    def _count(self) -> None:
        maker = self._maker
        if maker is None or self._control is not None or not self._dirty:
            return
        boxes, self._dirty = self._dirty, []
        waiting = frozenset(self._waiting)

        def make(_: JobControl, __: object) -> tuple[ObjectRow, ...]:
            for box in [None] if None in boxes else boxes:
                maker.counts.update(box)
            return maker.rows(waiting)

        def done(rows: tuple[ObjectRow, ...]) -> None:
            self._control = None
            if self._maker is maker:
                self._rows = {row.id: row for row in rows}
                self.changed.emit(rows)
            self._count()

        def failed(error: Exception) -> None:
            self._control = None
            raise error

        self._control = self._worker.submit(
            Job("count voxels", make, on_done=done, on_failed=failed)
        )
