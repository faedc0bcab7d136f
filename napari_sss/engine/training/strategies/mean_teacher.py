"""Mean Teacher: the student agrees with its own average under noise.

References
----------
Tarvainen and Valpola, "Mean teachers are better role models", arXiv:1703.01780 (2017).
"""

from __future__ import annotations

from napari_sss.engine.training.data.sampling import StepBatch
from napari_sss.engine.training.losses import consistency, labelled_loss
from napari_sss.engine.training.schedule import sigmoid_ramp
from napari_sss.engine.training.strategies.base import Moment, StepLoss, StudentTeacher, embed

RAMP = 0.4  # share of the training over which the weight rises


class MeanTeacher(StudentTeacher):
    """``L = L_x + w(t) * MSE``; no pseudo-labels, no threshold, no CutMix."""

    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        """Labelled loss, and the squared difference to the teacher's probabilities."""
        logits, targets = self.supervised(batch.labelled)
        labelled = labelled_loss(logits, targets, self.config.dice_weight)
        if batch.unlabelled is None:
            return StepLoss(labelled, {"labelled": float(labelled.detach())})
        weak, _ = self.tools.views.weak(batch.unlabelled)
        _, probabilities = self.taught(weak)
        strong = embed(self.student, self.tools.views.strong(weak))
        student = self.student.classify(self.student.enhance(strong))
        difference = consistency(student, probabilities)
        weight = self.config.consistency_weight * sigmoid_ramp(now.progress, RAMP)
        return StepLoss(
            labelled + weight * difference,
            {"labelled": float(labelled.detach()), "unlabelled": float(difference.detach())},
        )
