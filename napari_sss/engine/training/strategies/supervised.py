"""Labelled data alone: the two bounds of every table, with few labels and with all."""

from __future__ import annotations

from typing import ClassVar

from napari_sss.engine.training.data.sampling import StepBatch
from napari_sss.engine.training.losses import labelled_loss
from napari_sss.engine.training.strategies.base import Moment, StepLoss, StudentTeacher, embed


class Supervised(StudentTeacher):
    """Cross-entropy and Dice, with the same views and EMA that the other methods have.

    Each slice is seen weakly and strongly, in equal parts, as the consistency of the other
    methods amounts to.
    """

    needs_pool: ClassVar[bool] = False

    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        """The mean over the weak and the strong view."""
        view, targets = self.tools.views.weak(batch.labelled)
        total = None
        for one in (view, self.tools.views.strong(view)):
            logits = self.student.classify(self.student.enhance(embed(self.student, one)))
            loss = labelled_loss(logits, targets, self.config.dice_weight)
            total = loss if total is None else total + loss
        assert total is not None
        return StepLoss(total / 2, {"labelled": float(total.detach()) / 2})
