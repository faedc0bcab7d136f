"""BCP: labelled and unlabelled slices are pasted into each other, both ways.

References
----------
Bai et al., "Bidirectional Copy-Paste for Semi-Supervised Medical Image Segmentation",
arXiv:2305.00673 (2023).
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_sss.engine.training.data.mixing import CELL, Targets, View
from napari_sss.engine.training.data.sampling import SliceBatch, StepBatch
from napari_sss.engine.training.losses import cross_entropy, labelled_loss, soft_dice
from napari_sss.engine.training.processing import LargestComponent, pseudo_labels
from napari_sss.engine.training.strategies.base import Moment, StepLoss, StudentTeacher, embed

BOX = 2 / 3  # share of the side that the pasted box has
DECAY = 0.99


class BidirectionalCopyPaste(StudentTeacher):
    """First labelled slices into labelled ones, then self-training with the teacher's labels.

    The first stage takes a share ``pretrain_share`` of the training (BCP: 10k steps of 40k).
    In the second every mixture has a person's labels on one part and, at weight
    ``paste_weight``, the teacher's on the other, of which each class keeps its largest piece.
    """

    @property
    def decay(self) -> float:
        """BCP's own, unless a shorter memory is asked for."""
        return min(self.config.ema, DECAY)

    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        """The stage's loss."""
        half = len(batch.labelled) // 2
        if batch.unlabelled is not None:
            half = min(half, len(batch.unlabelled))
        if half == 0:
            logits, targets = self.supervised(batch.labelled)
            return StepLoss(labelled_loss(logits, targets, self.config.dice_weight))
        one, first = self._seen(batch.labelled[:half])
        two, second = self._seen(batch.labelled[half : 2 * half])
        box = paste_box(half, first.labels.shape[-1], self.tools.generator)
        box = box.to(first.labels.device)
        if batch.unlabelled is None or now.progress < self.config.pretrain_share:
            mixed, targets = one.mixed(two, box), first.mixed(second, box)
            loss = labelled_loss(self._logits(mixed), targets, self.config.dice_weight)
            return StepLoss(loss, {"labelled": float(loss.detach())})
        weak, unknown = self._seen(batch.unlabelled[:half])
        _, probabilities = self.taught(weak)
        pseudo = pseudo_labels(probabilities, unknown.objects, [LargestComponent()])
        inward = self._mixture(one, first, weak, pseudo, box)
        outward = self._mixture(two, second, weak, pseudo, ~box)
        total = inward + outward
        return StepLoss(total, {"labelled": float(total.detach())})

    def _mixture(
        self, own: View, targets: Targets, other: View, pseudo: Targets, take: Tensor
    ) -> Tensor:
        """A person's labels where ``take`` is False, the teacher's, weighted, where True."""
        logits = self._logits(own.mixed(other, take))
        total = logits.new_zeros(())
        for truth, hidden, weight in (
            (targets, take, 1.0),
            (pseudo, ~take, self.config.paste_weight),
        ):
            part = Targets(truth.labels, truth.confidence, truth.ignore | hidden, truth.objects)
            loss = cross_entropy(logits, part) + soft_dice(logits, part)
            total = total + weight * loss / 2
        return total

    def _seen(self, batch: SliceBatch) -> tuple[View, Targets]:
        return self.tools.views.weak(batch)

    def _logits(self, view: View) -> Tensor:
        return self.student.classify(self.student.enhance(embed(self.student, view)))


def paste_box(count: int, side: int, generator: torch.Generator) -> Tensor:
    """A box of two thirds of the side, somewhere, on whole cells: (count, side, side) bool."""
    cells = side // CELL
    size = max(1, round(cells * BOX))
    take = torch.zeros(count, cells, cells, dtype=torch.bool)
    places = torch.randint(0, cells - size + 1, (count, 2), generator=generator)
    for row, (y, x) in enumerate(places.tolist()):
        take[row, y : y + size, x : x + size] = True
    return take.repeat_interleave(CELL, dim=1).repeat_interleave(CELL, dim=2)
