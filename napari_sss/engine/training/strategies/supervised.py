"""Labelled data alone: the two bounds of every table, with few labels and with all."""

from __future__ import annotations

from typing import ClassVar

from napari_sss.engine.training.data.sampling import StepBatch
from napari_sss.engine.training.losses import labelled_loss
from napari_sss.engine.training.strategies.base import Moment, StepLoss, StudentTeacher


class Supervised(StudentTeacher):
    """Cross-entropy and Dice, with the same views and EMA that the other methods have."""

    needs_pool: ClassVar[bool] = False

    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        """The loss of labelled slices, some of them seen strongly."""
        logits, targets = self.supervised(batch.labelled)
        loss = labelled_loss(logits, targets, self.config.dice_weight)
        return StepLoss(loss, {"labelled": float(loss.detach())})
