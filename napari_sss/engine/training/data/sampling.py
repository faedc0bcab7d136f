"""Which slices a step sees: labelled ones balanced by class, unlabelled ones by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_sss.engine.training.data.preparing import as_tensor
from napari_sss.engine.training.data.store import CaseStore, LabelSurvey
from napari_sss.engine.training.errors import DataError

Slice = tuple[int, int]


@dataclass(frozen=True)
class SliceBatch:
    """B slices as they lie in the store.

    Parameters
    ----------
    slices : tuple of (int, int)
        Case number and slice index of each.
    grey : (B, S, S) float tensor
        0 to 1.
    labels : (B, S, S) uint8 tensor
        Classes 0 to K, IGNORE where not known; all IGNORE for unlabelled slices.
    objects : (B, S, S) int32 tensor
        Class + 256 * number of each object; 0 where there is none.
    """

    slices: tuple[Slice, ...]
    grey: Tensor
    labels: Tensor
    objects: Tensor

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, chosen: slice) -> SliceBatch:
        """Some of the slices."""
        return SliceBatch(
            self.slices[chosen], self.grey[chosen], self.labels[chosen], self.objects[chosen]
        )


@dataclass(frozen=True)
class StepBatch:
    """What one step gets; ``unlabelled`` is None where there is no pool."""

    labelled: SliceBatch
    unlabelled: SliceBatch | None


class SliceSampler:
    """Draws slices; its state is a few numbers, so that a resumed training draws the same.

    Parameters
    ----------
    store : CaseStore
        All cases.
    survey : LabelSurvey
        Of the labelled ones.
    pool : sequence of int
        Numbers of the unlabelled cases.
    foreground_share : float
        Share of labelled slices drawn by first choosing a class, every class equally often.
    seed : int
        Decides everything.
    """

    def __init__(
        self,
        store: CaseStore,
        survey: LabelSurvey,
        pool: Sequence[int],
        *,
        foreground_share: float,
        seed: int,
    ) -> None:
        self.store = store
        self.survey = survey
        self.pool = list(pool)
        self._share = foreground_share
        self._rng = np.random.default_rng((seed, 11))

    def labelled(self, count: int) -> SliceBatch:
        """Draw labelled slices."""
        return collate(self.store, [self._labelled_slice() for _ in range(count)])

    def unlabelled(self, count: int) -> SliceBatch | None:
        """Draw slices of the pool, each case equally often; None where there is no pool."""
        drawn: list[Slice] = []
        while self.pool and len(drawn) < count:
            number = self.pool[int(self._rng.integers(len(self.pool)))]
            prepared = self.store.get(number)
            if prepared is None:
                self.pool.remove(number)
                if not self.pool:
                    raise DataError(
                        "None of the unlabelled volumes can be read.",
                        "; ".join(list(self.store.unreadable.values())[:3]),
                    )
                continue
            drawn.append((number, int(self._rng.integers(len(prepared.grey)))))
        return collate(self.store, drawn, as_pool=True) if drawn else None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"random": self._rng.bit_generator.state, "pool": list(self.pool)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self._rng.bit_generator.state = state["random"]
        self.pool = list(state["pool"])

    def _labelled_slice(self) -> Slice:
        places: Sequence[int] = range(len(self.survey.slices))
        if self._rng.random() < self._share:
            places = self.survey.by_class[int(self._rng.integers(len(self.survey.by_class)))]
        return self.survey.slices[places[int(self._rng.integers(len(places)))]]


def collate(store: CaseStore, slices: Sequence[Slice], *, as_pool: bool = False) -> SliceBatch:
    """The batch of these slices; of the pool's the labels, if any lie there, stay unseen."""
    greys, labels, objects = [], [], []
    for number, index in slices:
        case = store[number]
        greys.append(as_tensor(case.grey[index]))
        shape = case.grey.shape[1:]
        if as_pool or case.labels is None or case.objects is None:
            labels.append(torch.full(shape, 255, dtype=torch.uint8))
            objects.append(torch.zeros(shape, dtype=torch.int32))
        else:
            labels.append(torch.from_numpy(case.labels[index].copy()))
            objects.append(torch.from_numpy(case.objects[index].astype(np.int32)))
    return SliceBatch(
        tuple(slices), torch.stack(greys), torch.stack(labels), torch.stack(objects)
    )
