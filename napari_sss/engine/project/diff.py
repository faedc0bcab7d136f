"""What an action does to the label array: a sparse difference that can be taken back.

Voxels are kept as runs along the array's last axis: a run holds consecutive voxels that
all had one value and all get one value. A brush stroke is a few dozen runs, a liver through
a hundred slices a few ten thousand, and two voxels at opposite corners are two.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.volumes.grid import Shape3

LABEL_DTYPE = np.uint16
"""The type of label arrays: object ids up to 65535."""

_HEADER = struct.Struct("<BBQ")  # format, bytes of a start, number of runs
_FORMAT = 1
_LONG_RUN = 32  # voxels; from there on filling runs one by one is the quicker way


@dataclass(frozen=True)
class LabelDiff:
    """A change of voxels.

    Parameters
    ----------
    starts : (N,) int64 array
        Flat index, in C order, of each run's first voxel; ascending.
    lengths : (N,) int64 array
        Voxels of each run, 1 or more; runs do not overlap.
    before, after : (N,) uint16 arrays
        The value that the run's voxels had, and the one that they get; never the same.
    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    before: NDArray[np.uint16]
    after: NDArray[np.uint16]

    @classmethod
    def empty(cls) -> LabelDiff:
        """No change."""
        whole, value = np.zeros(0, np.int64), np.zeros(0, LABEL_DTYPE)
        return cls(whole, whole, value, value)

    @classmethod
    def of_voxels(cls, indices: Any, before: Any, after: Any) -> LabelDiff:
        """The change of single voxels.

        Parameters
        ----------
        indices : (M,) int array
            Flat C-order indices, in any order. Where a voxel occurs more than once, as in a
            brush stroke that crosses itself, its first ``before`` and last ``after`` count.
        before, after : (M,) arrays or int
            Values of 0 to 65535.
        """
        indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        before = np.broadcast_to(np.asarray(before, dtype=LABEL_DTYPE), indices.shape)
        after = np.broadcast_to(np.asarray(after, dtype=LABEL_DTYPE), indices.shape)
        if indices.size and np.any(indices[1:] <= indices[:-1]):
            order = np.argsort(indices, kind="stable")
            indices, before, after = indices[order], before[order], after[order]
            is_first = np.r_[True, indices[1:] != indices[:-1]]
            is_last = np.r_[is_first[1:], True]
            indices, before, after = indices[is_first], before[is_first], after[is_last]
        changed = before != after
        return cls._of_sorted(indices[changed], before[changed], after[changed])

    @classmethod
    def between(
        cls, old: NDArray[Any], new: NDArray[Any], offset: Shape3, shape: Shape3
    ) -> LabelDiff:
        """What turns one box of a label array into another.

        Parameters
        ----------
        old, new : (z, y, x) arrays
            The box before and after.
        offset : (int, int, int)
            Where the box begins in the label array.
        shape : (int, int, int)
            The label array's.
        """
        changed = old != new
        breaks = np.ones(changed.shape, dtype=bool)  # a run ends with its row at the latest
        breaks[..., 1:] = (
            (changed[..., 1:] != changed[..., :-1])
            | (old[..., 1:] != old[..., :-1])
            | (new[..., 1:] != new[..., :-1])
        )
        edges = np.flatnonzero(breaks)
        first = edges[changed.reshape(-1)[edges]]
        lengths = np.diff(np.r_[edges, changed.size])[changed.reshape(-1)[edges]]
        where = np.unravel_index(first, changed.shape)
        moved = tuple(w + o for w, o in zip(where, offset, strict=True))
        return cls(
            np.ravel_multi_index(moved, shape).astype(np.int64),
            lengths.astype(np.int64),
            old[where].astype(LABEL_DTYPE),
            new[where].astype(LABEL_DTYPE),
        )

    @classmethod
    def chain(cls, diffs: Iterable[LabelDiff]) -> LabelDiff:
        """Several changes, one after the other, as one."""
        diffs = [d for d in diffs if d.runs]
        if len(diffs) < 2:
            return diffs[0] if diffs else cls.empty()
        starts, lengths, before, after = (
            np.concatenate([getattr(d, name) for d in diffs])
            for name in ("starts", "lengths", "before", "after")
        )
        order = np.argsort(starts, kind="stable")
        ends = (starts + lengths)[order]
        if np.all(starts[order][1:] >= ends[:-1]):  # nothing changes twice
            return cls(starts[order], lengths[order], before[order], after[order])
        return cls.of_voxels(
            np.concatenate([d.indices() for d in diffs]),
            np.repeat(before, lengths),
            np.repeat(after, lengths),
        )

    @classmethod
    def _of_sorted(
        cls, indices: NDArray[np.int64], before: NDArray[Any], after: NDArray[Any]
    ) -> LabelDiff:
        if indices.size == 0:
            return cls.empty()
        breaks = (
            (np.diff(indices) != 1) | (before[1:] != before[:-1]) | (after[1:] != after[:-1])
        )
        first = np.r_[0, np.flatnonzero(breaks) + 1]
        lengths = np.diff(np.r_[first, indices.size])
        return cls(
            indices[first], lengths.astype(np.int64), before[first].copy(), after[first].copy()
        )

    @property
    def runs(self) -> int:
        """How many runs there are; 0 where nothing changes."""
        return len(self.starts)

    @property
    def voxels(self) -> int:
        """How many voxels change."""
        return int(self.lengths.sum())

    @property
    def ids(self) -> frozenset[int]:
        """Objects that lose or gain voxels."""
        values = np.unique(np.concatenate([self.before, self.after]))
        return frozenset(int(v) for v in values if v)

    def inverse(self) -> LabelDiff:
        """The change that takes this one back."""
        return LabelDiff(self.starts, self.lengths, self.after, self.before)

    def indices(self) -> NDArray[np.int64]:
        """Flat C-order index of every voxel that changes, ascending."""
        ends = np.cumsum(self.lengths)
        total = int(ends[-1]) if self.runs else 0
        return np.arange(total) + np.repeat(self.starts - (ends - self.lengths), self.lengths)

    def cut(self, width: int) -> LabelDiff:
        """The same change in runs that do not go beyond multiples of ``width`` voxels.

        With the length of the last axis each run lies in one row of one slice; with 1 each
        run is a voxel.
        """
        first = self.starts // width
        pieces = (self.starts + self.lengths - 1) // width - first + 1
        if np.all(pieces == 1):
            return self
        run = np.repeat(np.arange(self.runs), pieces)
        number = np.arange(len(run)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        row = first[run] + number
        starts = np.maximum(self.starts[run], row * width)
        stops = np.minimum((self.starts + self.lengths)[run], (row + 1) * width)
        return LabelDiff(starts, stops - starts, self.before[run], self.after[run])

    def only(self, keep: NDArray[np.bool_]) -> LabelDiff:
        """Some of the runs."""
        return LabelDiff(
            self.starts[keep], self.lengths[keep], self.before[keep], self.after[keep]
        )

    def apply(self, labels: NDArray[Any], *, verify: bool = False) -> None:
        """Change a label array in place.

        Parameters
        ----------
        labels : (Z, Y, X) array of uint16
            C-contiguous.
        verify : bool
            Make sure first that the voxels have the values they should have.

        Raises
        ------
        ProjectError
            If ``verify`` is asked for and they have not; nothing is changed then.
        """
        flat = labels.reshape(-1)
        assert np.shares_memory(flat, labels) or not labels.size, "labels must be contiguous"
        if verify:
            found = flat[self.indices()]
            if not np.array_equal(found, np.repeat(self.before, self.lengths)):
                raise ProjectError("A stored change does not fit the mask it was made on.")
        if self.voxels < _LONG_RUN * self.runs:
            flat[self.indices()] = np.repeat(self.after, self.lengths)
            return
        for start, length, value in zip(self.starts, self.lengths, self.after, strict=True):
            flat[start : start + length] = value

    def box(self, shape: Shape3) -> tuple[slice, slice, slice] | None:
        """The smallest box around all voxels that change, or None where none does."""
        if not self.runs:
            return None
        first = np.stack(np.unravel_index(self.starts, shape))
        last = np.stack(np.unravel_index(self.starts + self.lengths - 1, shape))
        low, high = np.minimum(first, last).min(1), np.maximum(first, last).max(1)
        # A run that goes on in the next row, or slice, covers the whole width in between.
        wraps = first != last
        if wraps[1].any() or wraps[0].any():
            low[2], high[2] = 0, shape[2] - 1
        if wraps[0].any():
            low[1], high[1] = 0, shape[1] - 1
        z, y, x = (slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
        return z, y, x

    def to_bytes(self) -> bytes:
        """The change, compressed."""
        deltas = np.diff(self.starts, prepend=0)
        width = 4 if deltas.max(initial=0) < 1 << 32 else 8
        columns = (
            deltas.astype(f"<u{width}"),
            self.lengths.astype("<u4"),
            self.before.astype("<u2"),
            self.after.astype("<u2"),
        )
        body = b"".join(column.tobytes() for column in columns)
        return _HEADER.pack(_FORMAT, width, self.runs) + zlib.compress(body, 1)

    @classmethod
    def from_bytes(cls, content: bytes) -> LabelDiff:
        """The change that :meth:`to_bytes` gave.

        Raises
        ------
        ProjectError
            If the bytes are damaged.
        """
        try:
            form, width, runs = _HEADER.unpack_from(content)
            body = zlib.decompress(content[_HEADER.size :])
        except (struct.error, zlib.error) as error:
            raise ProjectError(f"A stored change is damaged ({error}).") from error
        if form != _FORMAT or width not in (4, 8) or len(body) != runs * (width + 8):
            raise ProjectError("A stored change is damaged (its length is wrong).")
        columns, at = [], 0
        for dtype in (f"<u{width}", "<u4", "<u2", "<u2"):
            columns.append(np.frombuffer(body, dtype, runs, at))
            at += columns[-1].nbytes
        deltas, lengths, before, after = columns
        return cls(
            np.cumsum(deltas.astype(np.int64)),
            lengths.astype(np.int64),
            before.astype(LABEL_DTYPE),
            after.astype(LABEL_DTYPE),
        )
