"""SSS: DFE, PCSW's prompts and SAM-2's decoder with memory, on UniMatch V2's stream.

References
----------
Zhu et al., "SSS: Semi-Supervised SAM-2 with Efficient Prompting for Medical Imaging
Segmentation", arXiv:2506.08949 (2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from napari_sss.engine.inference.object_boxes import SlicePrompts, prompts_of
from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.models.sss.dfe import Half
from napari_sss.engine.models.sss.memory_bank import SelfSortingMemoryBank
from napari_sss.engine.models.sss.segmenter import (
    PromptedMasks,
    Segmenter,
    prompted_probabilities,
)
from napari_sss.engine.training.data.mixing import (
    Targets,
    View,
    complementary_dropout,
    mix_features,
)
from napari_sss.engine.training.data.mixing import flip_batch as flipped
from napari_sss.engine.training.data.sampling import SliceBatch, StepBatch
from napari_sss.engine.training.losses import (
    iou_loss,
    labelled_loss,
    prompted_mask_loss,
    pseudo_labelled_loss,
)
from napari_sss.engine.training.processing import pseudo_labels
from napari_sss.engine.training.strategies.base import (
    Moment,
    StepLoss,
    StudentTeacher,
    Toolkit,
    embed,
)


@dataclass(frozen=True)
class StrongView:
    """A strong view, what it is to learn, and the pixels that it has from its partner."""

    view: View
    targets: Targets
    take: Tensor


class SSS(StudentTeacher):
    """``L = L_l + w * (L_s1 + L_s2) / 2``, each for the head and, weighted, for SAM-2.

    - One weak view of unlabelled slices goes through the teacher. Its head, and SAM-2's
      decoder given PCSW's boxes, make the pseudo-label.
    - Two strong views, each with a CutMix of its own and complementary channels, go through
      the student; DFE joins each with the weak view's features, mixed alike. The weak
      features are the teacher's, so that they cost no further pass, and DFE's half of them
      is made once for both.
    - Head and prompted masks of both learn the pseudo-label where it is sure.
    - A memory bank for each class, filled by both decoders, informs every decoding.

    ``dfe``, ``sam``, ``pcsw``, ``memory``, ``channel_dropout``, ``cutmix`` and ``ema`` switch
    the pieces off one by one.
    """

    with_dfe: ClassVar[bool] = True

    def __init__(self, tools: Toolkit) -> None:
        super().__init__(tools)
        size = self.config.memory_size
        self.banks: dict[int, SelfSortingMemoryBank] = {}
        if self.config.sam and self.config.memory:
            self.banks = {
                place: SelfSortingMemoryBank(size) for place in range(1, len(tools.classes) + 1)
            }

    def before_step(self, batch: StepBatch, now: Moment) -> None:
        """Find the objects of the batch's unlabelled volumes where they are due."""
        config = self.config
        if not (config.sam and config.pcsw) or now.progress < config.prompt_start:
            super().before_step(batch, now)
            return
        if batch.unlabelled is None:
            return
        book, store = self.tools.book, self.tools.store
        for number in book.due(batch.unlabelled, now.step, config.prompt_age):
            seen = self.tools.scout(number, self.teacher, now.step)
            stored = store[number].grey.shape[-1]
            book.find(number, partial(seen.on_whole, stored), now.step)

    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        """The labelled loss and both strong views'."""
        labelled, parts = self._labelled(batch.labelled)
        if batch.unlabelled is None:
            return StepLoss(labelled, parts)
        weight = self.tools.unlabelled_weight(now.progress)
        unlabelled, more = self._unlabelled(self.tools.book.painted(batch.unlabelled))
        return StepLoss(labelled + weight * unlabelled, parts | more)

    def tensors(self) -> dict[str, Tensor]:
        """The memory banks and PCSW's objects."""
        kept = {f"book.{k}": v for k, v in self.tools.book.tensors().items()}
        for place, bank in self.banks.items():
            kept |= {f"bank.{place}.{k}": v for k, v in bank.tensors().items()}
        return kept

    def facts(self) -> dict[str, Any]:
        """What belongs to :meth:`tensors`."""
        return {**super().facts(), "book": self.tools.book.state()}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back what :meth:`tensors` and :meth:`facts` gave."""
        super().restore(tensors, facts)
        self.tools.book.restore(_under("book.", tensors), facts["book"])
        for place, bank in self.banks.items():
            bank.restore(_under(f"bank.{place}.", tensors))

    def _labelled(self, batch: SliceBatch) -> tuple[Tensor, dict[str, float]]:
        view, targets = self.tools.labelled(batch)
        enhanced = self.student.enhance(embed(self.student, view))
        loss = labelled_loss(self.student.classify(enhanced), targets, self.config.dice_weight)
        parts = {"labelled": float(loss.detach())}
        prompts = self._prompts(targets.objects) if self.config.sam else None
        if prompts is not None:
            masks = self._decode(self.student, enhanced, prompts)
            sam2 = self.student.sam2
            prompted = prompted_mask_loss(masks, targets, sam2)
            loss = loss + self.config.sam_weight * (
                prompted + iou_loss(masks, targets, prompts.ids, sam2)
            )
            parts["labelled_sam"] = float(prompted.detach())
            self._remember(self.student, enhanced, masks)
        return loss, parts

    def _unlabelled(self, batch: SliceBatch) -> tuple[Tensor, dict[str, float]]:
        weak, unknown = self.tools.views.weak(batch)
        features, pseudo = self._pseudo(weak, unknown)
        one, two = (self._strongly(weak, pseudo) for _ in range(2))
        a, b = embed(self.student, one.view), embed(self.student, two.view)
        if self.config.channel_dropout:
            a, b = complementary_dropout(a, b, self.tools.generator)
        strong = Features.stack([a, b])
        similarity = 1.0
        if self.student.dfe is not None:
            # Once for both views; mixed after DFE's convolution, which tells at seams alone.
            weak_half = self.student.dfe.first_half(features)
            halves = [_mixed_half(weak_half, one.take), _mixed_half(weak_half, two.take)]
            strong, similarities = self.student.dfe.second(_stacked_halves(halves), strong)
            similarity = float(torch.stack(list(similarities)).detach().float().mean())
        targets = _stacked(one.targets, two.targets)
        threshold = self.config.threshold
        loss = pseudo_labelled_loss(
            self.student.classify(strong), targets, threshold, self.config.unlabelled_dice
        )
        parts = {
            "unlabelled": float(loss.detach()),
            "confident": float((pseudo.confidence >= threshold).float().mean()),
            "similarity": similarity,
        }
        prompts = self._prompts(targets.objects) if self.config.sam else None
        if prompts is not None:
            masks = self._decode(self.student, strong, prompts)
            prompted = prompted_mask_loss(masks, targets, self.student.sam2, threshold)
            loss = loss + self.config.sam_weight * prompted
            parts["unlabelled_sam"] = float(prompted.detach())
            parts["prompted"] = float(masks.prompted.float().mean())
        return loss, parts

    @torch.no_grad()
    def _pseudo(self, weak: View, unknown: Targets) -> tuple[Features, Targets]:
        """The teacher's features of the weak view, and its pseudo-labels."""
        features, probabilities = self.taught(weak)
        prompts = None
        if self.config.sam:
            prompts = self._prompts(unknown.objects, jitter=0.0, all_objects=True)
        prompted = torch.zeros(len(weak), dtype=torch.bool, device=probabilities.device)
        if prompts is not None and self.config.pseudo_label != "head":
            enhanced = self.teacher.enhance(features)
            masks = self._decode(self.teacher, enhanced, prompts)
            self._remember(self.teacher, enhanced, masks)
            fused = self.config.pseudo_label == "fused"
            own = prompted_probabilities(masks, probabilities, trust=fused)
            probabilities = (probabilities + own) / 2 if fused else own
        if prompts is not None:
            prompted[prompts.boxes.rows] = True
        pseudo = pseudo_labels(probabilities, unknown.objects)
        if self.config.unprompted == "skip":
            pseudo = replace(pseudo, ignore=pseudo.ignore | ~prompted[:, None, None])
        return features, pseudo

    def _strongly(self, weak: View, pseudo: Targets) -> StrongView:
        """A strong view with a CutMix of its own; everything is mixed alike."""
        take = self.tools.cutmix(len(weak), pseudo.labels.shape[-1])
        strong = self.tools.views.strong(weak)
        return StrongView(
            strong.mixed(strong.flipped_batch(), take),
            pseudo.mixed(pseudo.flipped_batch(), take),
            take,
        )

    def _prompts(
        self, objects: Tensor, *, jitter: float | None = None, all_objects: bool = False
    ) -> SlicePrompts | None:
        """Boxes of a batch's objects; the student decodes a part of them in each step."""
        config = self.config
        return prompts_of(
            objects,
            self.tools.generator,
            jitter=config.box_jitter if jitter is None else jitter,
            largest_share=config.max_prompt_share,
            with_points=config.prompt_points,
            most=None if all_objects else config.sam_objects or max(1, config.batch // 2),
        )

    def _decode(
        self, network: Segmenter, enhanced: Features, prompts: SlicePrompts
    ) -> PromptedMasks:
        return network.decode(
            enhanced,
            prompts.boxes,
            self.banks,
            reads=self.config.memory_reads,
            generator=self.tools.generator,
        )

    def _remember(self, network: Segmenter, enhanced: Features, masks: PromptedMasks) -> None:
        """Offer every decoded object to its class's bank."""
        if not self.banks:
            return
        entries = network.memories(enhanced, masks)
        for entry, place in zip(entries, masks.objects.classes.tolist(), strict=True):
            self.banks[place].insert(entry)


def _mixed_half(half: Half, take: Tensor) -> Half:
    """The weak view's half of DFE, mixed as a strong view is."""
    a, m = half.convolved, half.refined
    return Half(mix_features(a, flipped(a), take), mix_features(m, flipped(m), take))


def _stacked_halves(halves: Sequence[Half]) -> Half:
    return Half(
        Features.stack([half.convolved for half in halves]),
        Features.stack([half.refined for half in halves]),
    )


def _stacked(one: Targets, two: Targets) -> Targets:
    return Targets(
        torch.cat([one.labels, two.labels]),
        torch.cat([one.confidence, two.confidence]),
        torch.cat([one.ignore, two.ignore]),
        torch.cat([one.objects, two.objects]),
    )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
