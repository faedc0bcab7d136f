"""SAM-2 with SSS's parts: one network for prompted masks and for all classes at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_sss.engine.models.drawn_prompts import BOX_FIRST_CORNER, BOX_LAST_CORNER, POSITIVE
from napari_sss.engine.models.sam2_model import (
    Decoded,
    Features,
    PointPrompts,
    Sam2Model,
)
from napari_sss.engine.models.sss.dfe import PyramidEnhancement
from napari_sss.engine.models.sss.head import HeadLevels, Norm, SemanticHead
from napari_sss.engine.models.sss.lora import add_lora
from napari_sss.engine.models.sss.memory_bank import MemoryEntry, SelfSortingMemoryBank

Tuning = Literal["features", "lora", "full"]

_ABSENT = -1e4


class SegmenterConfig(BaseModel):
    """The shape of what SSS adds; stored in a trained model's card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: int = Field(ge=1, description="Foreground classes.")
    norm: Norm = Field("group", description="Norm of the semantic head.")
    head_levels: HeadLevels = Field("all", description="Scales that the head reads.")
    dfe: bool = Field(False, description="Whether there is DFE.")
    dfe_channels: int | None = Field(None, description="Its channels; by default the model's.")
    dfe_residual: bool = Field(True, description="Whether its output is added.")
    dfe_layer_scale: float | None = Field(0.1, description="Start of its learned factors.")


@dataclass(frozen=True)
class ObjectBoxes:
    """The prompts of N objects on the B slices of a batch.

    Parameters
    ----------
    rows : (N,) int tensor
        The slice of each object in the batch.
    classes : (N,) int tensor
        Its class, 1 to K.
    boxes : (N, 4) float tensor
        ``x0, y0, x1, y1`` in pixels of the input, maxima exclusive.
    points : (N, 2) float tensor, optional
        ``x, y`` of a positive point each; whole numbers are pixel centres.
    """

    rows: Tensor
    classes: Tensor
    boxes: Tensor
    points: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def as_points(self) -> PointPrompts:
        """The prompts as SAM-2's labelled points."""
        corners = self.boxes.reshape(-1, 2, 2) - 0.5
        labels = [BOX_FIRST_CORNER, BOX_LAST_CORNER]
        if self.points is not None:
            corners = torch.cat([corners, self.points[:, None].to(corners)], dim=1)
            labels.append(POSITIVE)
        return PointPrompts(
            corners, torch.tensor(labels, device=corners.device).expand(len(corners), -1)
        )


@dataclass(frozen=True)
class PromptedMasks:
    """SAM-2's masks of a batch's prompted objects.

    Parameters
    ----------
    objects : ObjectBoxes
        What was asked.
    decoded : Decoded
        One mask for each of the N objects.
    logits : (B, K, S/4, S/4) tensor
        For each class the union of its objects; far below zero where none was prompted.
    prompted : (B, K) bool tensor
        Where a class has a prompt.
    """

    objects: ObjectBoxes
    decoded: Decoded
    logits: Tensor
    prompted: Tensor

    def estimated_iou(self) -> Tensor:
        """(B, K): the decoder's own estimate, the mean over a class's objects, 0 to 1."""
        classes = self.prompted.shape[1]
        place = self.objects.rows * classes + self.objects.classes - 1
        ious = self.decoded.ious[:, 0].float().clamp(0, 1)
        total, count = (
            torch.zeros(self.prompted.numel(), device=ious.device).index_add(0, place, values)
            for values in (ious, torch.ones_like(ious))
        )
        return (total / count.clamp(min=1)).reshape(self.prompted.shape)


class Segmenter(nn.Module):
    """A SAM-2 with a semantic head and, where asked for, DFE.

    Parameters
    ----------
    sam2 : Sam2Model
        Its weights are used and trained in place.
    config : SegmenterConfig
        What is added.
    """

    def __init__(self, sam2: Sam2Model, config: SegmenterConfig) -> None:
        super().__init__()
        self.sam2 = sam2
        self.net = sam2.net
        self.config = config
        # Class to its memories; filled in training, and kept with the model.
        self.banks: dict[int, SelfSortingMemoryBank] = {}
        channels = sam2.architecture.d_model
        self.head = SemanticHead(
            channels, config.classes, norm=config.norm, levels=config.head_levels
        )
        self.dfe: PyramidEnhancement | None = None
        if config.dfe:
            self.dfe = PyramidEnhancement(
                channels,
                config.dfe_channels,
                residual=config.dfe_residual,
                layer_scale=config.dfe_layer_scale,
            )
        self.to(sam2.device)

    @property
    def added(self) -> nn.ModuleDict:
        """What is not SAM-2's own, for its own file of weights."""
        parts: dict[str, nn.Module] = {"head": self.head}
        if self.dfe is not None:
            parts["dfe"] = self.dfe
        return nn.ModuleDict(parts)

    def tune(self, mode: Tuning, rank: int = 4) -> None:
        """Choose what learns: not the encoder, LoRA on it, or everything."""
        encoder = self.net.image_encoder
        if mode == "features":
            encoder.requires_grad_(False)
        elif mode == "lora":
            add_lora(encoder.trunk, rank)

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The encoder's parameters that learn."""
        return [p for p in self.net.image_encoder.parameters() if p.requires_grad]

    def pretrained_parameters(self) -> list[nn.Parameter]:
        """SAM-2's own parameters that learn: encoder, decoder, prompt encoder, memory."""
        return [p for p in self.net.parameters() if p.requires_grad]

    def added_parameters(self) -> list[nn.Parameter]:
        """What SSS adds and has to learn from nothing: head and DFE."""
        return [p for p in self.added.parameters() if p.requires_grad]

    def encode(self, grey: Tensor) -> Features:
        """The neck's three scales, each of C channels, of grey images (B, S, S), 0 to 1.

        Unlike :meth:`Sam2Model.encode` the two finer scales are as the neck gives them; the
        decoder's own convolutions on them come with :meth:`decode` and can therefore learn
        even where these features are cached.
        """
        mean, std = (
            torch.tensor(values, device=self.sam2.device)[:, None, None]
            for values in (
                self.sam2.architecture.pixel_mean,
                self.sam2.architecture.pixel_std,
            )
        )
        images = (grey.to(self.sam2.device)[:, None] - mean) / std
        fpn = self.net.image_encoder(images)["backbone_fpn"]
        return Features((fpn[0], fpn[1], fpn[2]))

    def enhance(self, pyramid: Features) -> Features:
        """The pyramid as the head and the decoder want it where there is one view."""
        return pyramid if self.dfe is None else self.dfe(pyramid)[0]

    def classify(self, pyramid: Features) -> Tensor:
        """Class logits (B, K + 1, S, S) of an enhanced pyramid."""
        return self.sam2.upsample(self.head(pyramid))

    def decode(
        self,
        pyramid: Features,
        objects: ObjectBoxes,
        banks: Mapping[int, SelfSortingMemoryBank] | None = None,
        *,
        reads: int = 4,
        generator: torch.Generator | None = None,
    ) -> PromptedMasks:
        """SAM-2's masks of prompted objects.

        Parameters
        ----------
        pyramid : Features
            Enhanced; B slices.
        objects : ObjectBoxes
            N objects on them, N at least 1.
        banks : mapping, optional
            Class to its memory bank. Classes without memories are decoded without.
        reads : int
            Memories that each object reads.
        generator : torch.Generator, optional
            Draws them; needed where there are banks.
        """
        a, b, top = pyramid.levels
        decoder = self.net.sam_mask_decoder
        own = Features((decoder.conv_s0(a), decoder.conv_s1(b), top))[objects.rows]
        pixels = self.sam2.without_memory(own)
        if banks and generator is not None:
            pixels = self._remembering(pixels, own, objects, banks, reads, generator)
        decoded = self.sam2.decode(own, pixels, objects.as_points()).best()
        logits, prompted = _by_class(decoded.logits[:, 0], objects, len(a), self.config.classes)
        return PromptedMasks(objects, decoded, logits, prompted)

    @torch.no_grad()
    def memories(self, pyramid: Features, masks: PromptedMasks) -> list[MemoryEntry]:
        """What the memory encoder makes of decoded objects, one entry for each."""
        own = Features((pyramid.levels[2],) * 3)[masks.objects.rows]
        memory = self.sam2.remember(own, masks.decoded, prompted=True)
        features = memory["maskmem_features"].float()
        positions = memory["maskmem_pos_enc"][-1].float()
        ious = masks.decoded.ious[:, 0].clamp(0, 1).tolist()
        embeddings = own.levels[2].float()
        return [
            MemoryEntry(f.clone(), p.clone(), float(iou), e.clone())
            for f, p, iou, e in zip(features, positions, ious, embeddings, strict=True)
        ]

    def _remembering(
        self,
        pixels: Tensor,
        own: Features,
        objects: ObjectBoxes,
        banks: Mapping[int, SelfSortingMemoryBank],
        reads: int,
        generator: torch.Generator,
    ) -> Tensor:
        """The pixels of objects whose class has memories, informed by them."""
        parts = list(pixels)
        for cls in sorted(banks):
            chosen = torch.nonzero(objects.classes == cls)[:, 0]
            if not len(banks[cls]) or not len(chosen):
                continue
            memory, position = banks[cls].sample(own.levels[2][chosen], reads, generator)
            informed = self._attend(own.levels[2][chosen], memory, position)
            for place, row in zip(chosen.tolist(), informed, strict=True):
                parts[place] = row
        return torch.stack(parts)

    def _attend(self, top: Tensor, memory: Tensor, position: Tensor) -> Tensor:
        """Memory attention of n slices (n, C, h, w) to memories (n, reads, M, h, w)."""
        encoding = self.net.image_encoder.neck.position_encoding(top).to(top.dtype)
        # Memories of other patients have no place in time: they take that of a prompted slice.
        position = position + self.net.maskmem_tpos_enc[-1].reshape(1, 1, -1, 1, 1)
        attended = self.net.memory_attention(
            curr=_tokens(top),
            curr_pos=_tokens(encoding),
            memory=_memory_tokens(memory).to(top.dtype),
            memory_pos=_memory_tokens(position).to(top.dtype),
        )
        return attended.permute(1, 2, 0).reshape(top.shape)


def semantic_probabilities(logits: Tensor) -> Tensor:
    """Class probabilities (B, K + 1, S, S) of the head's logits, in float32."""
    return logits.float().softmax(dim=1)


def prompted_probabilities(
    masks: PromptedMasks, semantic: Tensor, *, trust: bool = False
) -> Tensor:
    """Class probabilities (B, K + 1, S, S) of SAM-2's masks.

    A class without a prompt on its slice keeps the semantic head's probability; the
    background is where no class is. Rows are normalised to sum to 1.

    Parameters
    ----------
    masks : PromptedMasks
        Of the same batch.
    semantic : (B, K + 1, S, S) tensor
        Probabilities of the semantic head.
    trust : bool
        Believe a class's masks only as far as their own estimated IoU, the mean over its
        objects on the slice, and the head for the rest.
    """
    size = semantic.shape[-2:]
    logits = masks.logits.float()
    # An unprompted class's logits are so low that interpolating them stays low.
    own = F.interpolate(logits, size=size, mode="bilinear", align_corners=False).sigmoid()
    weight = masks.estimated_iou() if trust else masks.prompted.float()
    own = torch.lerp(semantic[:, 1:], own, weight[:, :, None, None].to(own))
    background = (1 - own).prod(dim=1, keepdim=True)
    together = torch.cat([background, own], dim=1)
    return together / together.sum(dim=1, keepdim=True).clamp(min=1e-6)


def _by_class(
    logits: Tensor, objects: ObjectBoxes, batch: int, classes: int
) -> tuple[Tensor, Tensor]:
    """The union of each class's objects, and where there are any."""
    place = objects.rows * classes + objects.classes - 1
    flat = logits.new_full((batch * classes, *logits.shape[-2:]), _ABSENT)
    index = place[:, None, None].expand_as(logits)
    flat = flat.scatter_reduce(0, index, logits, reduce="amax", include_self=True)
    prompted = torch.zeros(batch * classes, dtype=torch.bool, device=logits.device)
    prompted[place] = True
    shape = (batch, classes)
    return flat.reshape(*shape, *logits.shape[-2:]), prompted.reshape(shape)


def _tokens(values: Tensor) -> Tensor:
    """(h*w, n, C) of (n, C, h, w)."""
    return values.flatten(2).permute(2, 0, 1)


def _memory_tokens(values: Tensor) -> Tensor:
    """(reads*h*w, n, M) of (n, reads, M, h, w)."""
    n, _reads, channels = values.shape[:3]
    return values.flatten(3).permute(1, 3, 0, 2).reshape(-1, n, channels)
