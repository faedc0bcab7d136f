"""SAM-2's prompts in training: boxes of objects, and PCSW's objects of whole volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.models.sss.segmenter import ObjectBoxes
from napari_sss.engine.prompts.pcsw import PcswConfig, pcsw
from napari_sss.engine.training.data.preparing import MAX_OBJECTS
from napari_sss.engine.training.data.sampling import SliceBatch
from napari_sss.engine.training.data.store import CaseStore
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region

SMALLEST = 6  # pixels; a box of fewer says nothing at the decoder's resolution
MOST_ON_SLICE = 12


@dataclass(frozen=True)
class SlicePrompts:
    """Boxes of the objects on a batch's slices, and the ids they have in its maps."""

    boxes: ObjectBoxes
    ids: Tensor


def prompts_of(
    objects: Tensor,
    generator: torch.Generator,
    *,
    jitter: float = 0.05,
    largest_share: float = 1.0,
    with_points: bool = False,
) -> SlicePrompts | None:
    """Boxes around the cross-sections of objects.

    Parameters
    ----------
    objects : (B, S, S) int tensor
        Class + 256 * number; 0 where there is none.
    generator : torch.Generator
        Displaces the boxes' sides.
    jitter : float
        Standard deviation of a side's displacement, share of the box.
    largest_share : float
        Boxes that cover more of the slice are left out.
    with_points : bool
        Add the box's centre, as the paper does.

    Returns
    -------
    SlicePrompts or None
        None where no object is left.
    """
    found: list[tuple[int, int, tuple[int, int, int, int]]] = []
    side = objects.shape[-1]
    for row, section in enumerate(objects.cpu().numpy()):
        for value, box in _boxes(section):
            if (box[2] - box[0]) * (box[3] - box[1]) <= largest_share * side * side:
                found.append((row, value, box))
    if not found:
        return None
    boxes = torch.tensor([box for _, _, box in found], dtype=torch.float32)
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = torch.randn(boxes.shape, generator=generator) * jitter * size
    # A side never moves by more than a fifth of the box, so that boxes never turn over.
    boxes = boxes + noise.clamp(-0.2 * size, 0.2 * size)
    device = objects.device
    ids = torch.tensor([value for _, value, _ in found], device=device)
    points = (boxes[:, :2] + boxes[:, 2:] - 1) / 2 if with_points else None
    return SlicePrompts(
        ObjectBoxes(
            torch.tensor([row for row, _, _ in found], device=device),
            ids % 256,
            boxes.to(device),
            None if points is None else points.to(device),
        ),
        ids,
    )


def _boxes(section: NDArray[Any]) -> list[tuple[int, tuple[int, int, int, int]]]:
    """Id and ``x0, y0, x1, y1`` of the objects on one slice, the largest first."""
    values, areas = np.unique(section, return_counts=True)
    by_area = [i for i in np.argsort(-areas, kind="stable") if values[i]]
    boxes = []
    for i in by_area[:MOST_ON_SLICE]:
        if areas[i] < SMALLEST:
            continue
        inside = section == values[i]
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        boxes.append((int(values[i]), box))
    return boxes


@dataclass(frozen=True)
class PromptedCase:
    """PCSW's objects of one volume.

    Parameters
    ----------
    step : int
        When they were found.
    regions : tuple of (int, Region)
        Class + 256 * number, and the voxels in the stack of squares.
    """

    step: int
    regions: tuple[tuple[int, Region], ...]


class PromptBook:
    """PCSW's objects of every unlabelled volume, found again as the model learns.

    Parameters
    ----------
    store : CaseStore
        The volumes.
    classes : sequence of str
        Names of the classes 1 to K.
    config : PcswConfig
        PCSW's rules.
    """

    def __init__(self, store: CaseStore, classes: Sequence[str], config: PcswConfig) -> None:
        self.store = store
        self.classes = tuple(classes)
        self.config = config
        self.cases: dict[int, PromptedCase] = {}

    def due(self, batch: SliceBatch, step: int, age: int) -> list[int]:
        """The batch's volumes whose objects are missing or older than ``age`` steps."""
        numbers = dict.fromkeys(number for number, _ in batch.slices)
        return [
            number
            for number in numbers
            if number not in self.cases or step - self.cases[number].step >= age
        ]

    def find(self, number: int, probabilities: NDArray[np.float32], step: int) -> None:
        """Run PCSW on a volume.

        Parameters
        ----------
        number : int
            The case.
        probabilities : (Z, K + 1, S, S) array
            Of the coarse head.
        step : int
            Now.
        """
        grid: Grid = self.store[number].geometry.grid
        regions: list[tuple[int, Region]] = []
        for place, name in enumerate(self.classes, start=1):
            coarse = np.ascontiguousarray(probabilities[:, place])
            found = pcsw(coarse, grid, self.config, class_name=name)
            regions += [
                (place + 256 * i, o.region)
                for i, o in enumerate(found[:MAX_OBJECTS])
                if o.region.voxels
            ]
        self.cases[number] = PromptedCase(step, tuple(regions))

    def painted(self, batch: SliceBatch) -> SliceBatch:
        """The batch with the objects that were found; none where a volume was not looked at."""
        objects = np.zeros(tuple(batch.objects.shape), dtype=np.int32)
        for row, (number, index) in enumerate(batch.slices):
            known = self.cases.get(number)
            for value, region in known.regions if known is not None else ():
                depth = index - region.offset[0]
                if 0 <= depth < len(region.mask):
                    _, rows, columns = region.slices
                    objects[row][rows, columns][region.mask[depth]] = value
        return replace(batch, objects=torch.from_numpy(objects))

    def tensors(self) -> dict[str, Tensor]:
        """The objects' voxels as packed bits, for a checkpoint."""
        return {
            f"{number}.{i}": torch.from_numpy(np.packbits(region.mask))
            for number, case in self.cases.items()
            for i, (_, region) in enumerate(case.regions)
        }

    def state(self) -> dict[str, Any]:
        """What belongs to :meth:`tensors`, ready for JSON."""
        return {
            str(number): {
                "step": case.step,
                "regions": [
                    [value, list(region.offset), list(region.mask.shape)]
                    for value, region in case.regions
                ],
            }
            for number, case in self.cases.items()
        }

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take back what :meth:`tensors` and :meth:`state` gave."""
        self.cases = {}
        for number, kept in state.items():
            regions = []
            for i, (value, offset, shape) in enumerate(kept["regions"]):
                bits = tensors[f"{number}.{i}"].numpy()
                mask = np.unpackbits(bits, count=int(np.prod(shape))).astype(bool)
                z, y, x = (int(v) for v in offset)
                regions.append((int(value), Region((z, y, x), mask.reshape(shape))))
            self.cases[int(number)] = PromptedCase(int(kept["step"]), tuple(regions))
