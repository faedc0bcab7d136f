"""One generated scan with the objects in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Scene:
    """An image, its objects, and the sets of objects that also make sense as one.

    Parameters
    ----------
    image : Tensor, float32 (Z, Y, X)
        HU where ``modality`` is ``"CT"``, arbitrary units from 0 where it is ``"MR"``.
    labels : Tensor, int16 (Z, Y, X)
        0 where nothing is to be segmented, else 1 to ``count``, one label per object, each
        with at least one voxel.
    wholes, groups : tuple of tuples of int
        Sets of two or more labels whose union is a sensible larger object. A ``whole`` is
        what annotators draw first (a kidney of cortex and medulla, an organ with its
        lesion); of a ``group`` (a ring with its lumen, a pair) they draw the parts. A
        prompt on a part is ambiguous between the part and these.
    spacing : (float, float, float)
        Millimetres along z, y, x.
    modality : str
        ``"CT"`` or ``"MR"``.
    """

    image: torch.Tensor
    labels: torch.Tensor
    groups: tuple[tuple[int, ...], ...]
    spacing: tuple[float, float, float]
    modality: str
    wholes: tuple[tuple[int, ...], ...] = ()

    @property
    def count(self) -> int:
        """Number of labelled objects."""
        return int(self.labels.max())
