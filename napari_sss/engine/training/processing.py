"""From probabilities to pseudo-labels: a chain of steps, each a function of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from napari_sss.engine.prompts.components import largest_component
from napari_sss.engine.training.data.mixing import Targets


class TargetProcessor(Protocol):
    """One step of the chain."""

    def __call__(self, targets: Targets, probabilities: Tensor) -> Targets:
        """Better targets, given the probabilities (B, K + 1, S, S) they came from."""
        ...


def pseudo_labels(
    probabilities: Tensor, objects: Tensor, chain: Sequence[TargetProcessor] = ()
) -> Targets:
    """The most probable class of each pixel, with its probability as confidence.

    Parameters
    ----------
    probabilities : (B, K + 1, S, S) tensor
        Of the teacher.
    objects : (B, S, S) int tensor
        The objects that are prompted.
    chain : sequence of TargetProcessor
        Applied one after the other.
    """
    confidence, labels = probabilities.max(dim=1)
    nothing = torch.zeros_like(labels, dtype=torch.bool)
    targets = Targets(labels, confidence, nothing, objects)
    for process in chain:
        targets = process(targets, probabilities)
    return targets


@dataclass(frozen=True)
class Threshold:
    """Ignore what is less sure; unlike a loss's threshold it also counts no such pixel."""

    least: float

    def __call__(self, targets: Targets, probabilities: Tensor) -> Targets:
        """Mark the unsure pixels."""
        return replace(targets, ignore=targets.ignore | (targets.confidence < self.least))


class LargestComponent:
    """Keep of every class on a slice its largest piece, as BCP does for its teacher."""

    def __call__(self, targets: Targets, probabilities: Tensor) -> Targets:
        """Turn the other pieces into background."""
        labels = targets.labels.cpu().numpy()
        kept = np.zeros_like(labels)
        for row, section in enumerate(labels):
            for cls in np.unique(section):
                if cls:
                    piece = largest_component((section == cls)[np.newaxis], 26)[0]
                    kept[row][piece] = cls
        return replace(targets, labels=torch.from_numpy(kept).to(targets.labels.device))


@dataclass(frozen=True)
class Consensus:
    """Ignore pixels where a second opinion (B, K + 1, S, S) names another class."""

    other: Tensor

    def __call__(self, targets: Targets, probabilities: Tensor) -> Targets:
        """Mark the pixels in dispute."""
        return replace(
            targets, ignore=targets.ignore | (self.other.argmax(dim=1) != targets.labels)
        )
