"""PCSW in training: the objects of whole unlabelled volumes, found again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sss.engine.prompts.pcsw import PcswConfig, pcsw
from napari_sss.engine.training.data.preparing import MAX_OBJECTS
from napari_sss.engine.training.data.sampling import SliceBatch
from napari_sss.engine.training.data.store import CaseStore
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region


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

    def find(
        self, number: int, coarse: Callable[[int], NDArray[np.float32]], step: int
    ) -> None:
        """Run PCSW on a volume.

        Parameters
        ----------
        number : int
            The case.
        coarse : callable
            From a class, 1 to K, to its probabilities (Z, D, D) on the stored squares.
        step : int
            Now.
        """
        grid: Grid = self.store[number].geometry.grid
        regions: list[tuple[int, Region]] = []
        for place, name in enumerate(self.classes, start=1):
            found = pcsw(coarse(place), grid, self.config, class_name=name)
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
