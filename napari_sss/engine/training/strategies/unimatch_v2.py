"""UniMatch V2: two strong views with complementary channels learn from an EMA teacher.

References
----------
Yang et al., "UniMatch V2: Pushing the Limit of Semi-Supervised Semantic Segmentation",
arXiv:2410.10777 (2024).
"""

from __future__ import annotations

import torch

from napari_sss.engine.training.data.mixing import Targets, View, complementary_dropout
from napari_sss.engine.training.data.sampling import StepBatch
from napari_sss.engine.training.losses import labelled_loss, pseudo_labelled_loss
from napari_sss.engine.training.processing import pseudo_labels
from napari_sss.engine.training.strategies.base import Moment, StepLoss, StudentTeacher, embed


class UniMatchV2(StudentTeacher):
    """``L = (L_x + w * (L_s1 + L_s2) / 2) / 2``, with confidence threshold and CutMix.

    SSS without DFE, PCSW, memory and SAM-2's decoder: the honest ablation.
    """

    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        """Labelled loss, and both strong views' against the pseudo-label."""
        logits, targets = self.supervised(batch.labelled)
        labelled = labelled_loss(logits, targets, self.config.dice_weight)
        if batch.unlabelled is None:
            return StepLoss(labelled, {"labelled": float(labelled.detach())})
        weak, unknown = self.tools.views.weak(batch.unlabelled)
        _, probabilities = self.taught(weak)
        pseudo = pseudo_labels(probabilities, unknown.objects)
        (one, first), (two, second) = self.strongly(weak, pseudo), self.strongly(weak, pseudo)
        a, b = embed(self.student, one), embed(self.student, two)
        if self.config.channel_dropout:
            a, b = complementary_dropout(a, b, self.tools.generator)
        losses = [
            pseudo_labelled_loss(
                self.student.classify(self.student.enhance(features)),
                target,
                self.config.threshold,
                self.config.unlabelled_dice,
            )
            for features, target in ((a, first), (b, second))
        ]
        unlabelled = torch.stack(losses).mean()
        weight = self.tools.unlabelled_weight(now.progress)
        sure = (pseudo.confidence >= self.config.threshold).float().mean()
        return StepLoss(
            (labelled + weight * unlabelled) / 2,
            {
                "labelled": float(labelled.detach()),
                "unlabelled": float(unlabelled.detach()),
                "confident": float(sure),
            },
        )

    def strongly(self, weak: View, pseudo: Targets) -> tuple[View, Targets]:
        """A strong view with its own CutMix, and the targets mixed alike."""
        take = self.tools.cutmix(len(weak), pseudo.labels.shape[-1])
        strong = self.tools.views.strong(weak)
        return (
            strong.mixed(strong.flipped_batch(), take),
            pseudo.mixed(pseudo.flipped_batch(), take),
        )
