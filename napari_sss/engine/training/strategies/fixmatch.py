"""FixMatch: one strong view learns what the weak one is sure of.

References
----------
Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and
Confidence", arXiv:2001.07685 (2020).
"""

from __future__ import annotations

from napari_sss.engine.training.data.sampling import StepBatch
from napari_sss.engine.training.losses import labelled_loss, pseudo_labelled_loss
from napari_sss.engine.training.processing import pseudo_labels
from napari_sss.engine.training.strategies.base import Moment, StepLoss, StudentTeacher, embed


class FixMatch(StudentTeacher):
    """``L = L_x + w * L_s``; the pseudo-labels are the EMA teacher's where there is one."""

    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        """Labelled loss, and the strong view's against the pseudo-label."""
        logits, targets = self.supervised(batch.labelled)
        labelled = labelled_loss(logits, targets, self.config.dice_weight)
        if batch.unlabelled is None:
            return StepLoss(labelled, {"labelled": float(labelled.detach())})
        weak, unknown = self.tools.views.weak(batch.unlabelled)
        _, probabilities = self.taught(weak)
        pseudo = pseudo_labels(probabilities, unknown.objects)
        take = self.tools.cutmix(len(weak), pseudo.labels.shape[-1])
        strong = self.tools.views.strong(weak)
        strong = strong.mixed(strong.flipped_batch(), take)
        pseudo = pseudo.mixed(pseudo.flipped_batch(), take)
        student = self.student.classify(self.student.enhance(embed(self.student, strong)))
        unlabelled = pseudo_labelled_loss(
            student, pseudo, self.config.threshold, self.config.unlabelled_dice
        )
        weight = self.tools.unlabelled_weight(now.progress)
        sure = (pseudo.confidence >= self.config.threshold).float().mean()
        return StepLoss(
            labelled + weight * unlabelled,
            {
                "labelled": float(labelled.detach()),
                "unlabelled": float(unlabelled.detach()),
                "confident": float(sure),
            },
        )
