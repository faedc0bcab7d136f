"""Cross pseudo supervision: two networks teach each other by their hard labels.

References
----------
Chen et al., "Semi-Supervised Semantic Segmentation with Cross Pseudo Supervision",
arXiv:2106.01226 (2021). Weight 0.1 and its ramp are SSL4MIS's for ACDC.
"""

from __future__ import annotations

import torch

from napari_sss.engine.models.sss.segmenter import Segmenter, semantic_probabilities
from napari_sss.engine.training.data.mixing import View
from napari_sss.engine.training.data.sampling import StepBatch
from napari_sss.engine.training.losses import cross_entropy, labelled_loss
from napari_sss.engine.training.processing import pseudo_labels
from napari_sss.engine.training.schedule import sigmoid_ramp
from napari_sss.engine.training.strategies.base import (
    Moment,
    StepLoss,
    Strategy,
    Toolkit,
    embed,
    optimiser_of,
)

RAMP = 0.4


class CrossPseudoSupervision(Strategy):
    """Both networks start from the same SAM-2 with different heads; the first predicts."""

    def __init__(self, tools: Toolkit) -> None:
        super().__init__(tools)
        for name in ("first", "second"):
            self.networks[name] = tools.make_network()
            self.optimisers[name] = optimiser_of(self.networks[name], self.config)

    def inference_model(self) -> Segmenter:
        """The first network."""
        return self.networks["first"]

    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        """Both networks' labelled losses, and each one's against the other's labels."""
        view, targets = self.tools.labelled(batch.labelled)
        labelled = torch.stack(
            [
                labelled_loss(self._logits(n, view), targets, self.config.dice_weight)
                for n in self.networks.values()
            ]
        ).sum()
        if batch.unlabelled is None:
            return StepLoss(labelled, {"labelled": float(labelled.detach())})
        weak, unknown = self.tools.views.weak(batch.unlabelled)
        strong = self.tools.views.strong(weak)
        one, two = (self._logits(n, strong) for n in self.networks.values())
        labels_one, labels_two = (
            pseudo_labels(semantic_probabilities(logits.detach()), unknown.objects)
            for logits in (one, two)
        )
        crossed = cross_entropy(one, labels_two) + cross_entropy(two, labels_one)
        weight = self.config.cross_weight * sigmoid_ramp(now.progress, RAMP)
        return StepLoss(
            labelled + weight * crossed,
            {"labelled": float(labelled.detach()), "unlabelled": float(crossed.detach())},
        )

    def _logits(self, network: Segmenter, view: View) -> torch.Tensor:
        return network.classify(network.enhance(embed(network, view)))
