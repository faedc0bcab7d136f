"""SAM-2 as the rest of the engine uses it: encode, decode, remember.

A thin layer over ``SAM2Base`` that keeps the steps apart, so that features can be cached,
objects can share them, and training sees the raw logits that SAM-2's own code hides behind
its object score.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sss.engine.models.architecture import Architecture
from napari_sss.engine.models.arrangements import Arrangements

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

    from napari_sss.engine.models.prepared_decoder import PreparedDecoder
    from napari_sss.engine.models.prepared_encoder import PreparedEncoder
    from napari_sss.engine.models.prepared_memory import PreparedMemory

ABSENT_LOGIT = -1024.0


@dataclass(frozen=True)
class Features:
    """What the encoder gives for B images of side S.

    Parameters
    ----------
    levels : tuple of three tensors
        ``(B, C/8, S/4, S/4)``, ``(B, C/4, S/8, S/8)`` (both as the mask decoder wants them)
        and ``(B, C, S/16, S/16)``.
    """

    levels: tuple[Tensor, Tensor, Tensor]

    def __len__(self) -> int:
        return int(self.levels[0].shape[0])

    @property
    def nbytes(self) -> int:
        """Memory taken, bytes."""
        return sum(level.nbytes for level in self.levels)

    def __getitem__(self, chosen: Any) -> Features:
        """The features of some of the images; ``chosen`` indexes the first axis."""
        a, b, c = (level[chosen] for level in self.levels)
        return Features((a, b, c))

    def repeated(self, times: int) -> Features:
        """One image's features for ``times`` objects, without copying."""
        a, b, c = (level.expand(times, -1, -1, -1) for level in self.levels)
        return Features((a, b, c))

    def copied(self) -> Features:
        """The same features in memory of their own."""
        a, b, c = (level.clone() for level in self.levels)
        return Features((a, b, c))

    @classmethod
    def stack(cls, parts: list[Features]) -> Features:
        """Several batches as one."""
        a, b, c = (torch.cat(levels) for levels in zip(*(p.levels for p in parts), strict=True))
        return cls((a, b, c))


@dataclass(frozen=True)
class PointPrompts:
    """Points and boxes for B objects, padded to the same number N.

    Parameters
    ----------
    coordinates : (B, N, 2) float tensor
        ``x, y`` in pixels of the model's input; whole numbers are pixel centres.
    labels : (B, N) int tensor
        1 positive, 0 negative, 2 and 3 the first and last corner of a box, -1 padding.
    """

    coordinates: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Decoded:
    """What the mask decoder gives for B objects.

    Parameters
    ----------
    logits : (B, M, S/4, S/4) tensor
        Masks, M is 1 or 3.
    ious : (B, M) tensor
        The decoder's own estimate of each mask's IoU, 0 to 1.
    object_score : (B, 1) tensor
        Logit of the object being on this slice at all.
    pointers : (B, M or 1, C) tensor
        Mask tokens, from which object pointers are made.
    """

    logits: Tensor
    ious: Tensor
    object_score: Tensor
    pointers: Tensor

    def to(self, device: torch.device) -> Decoded:
        """The same on another device."""
        return Decoded(
            self.logits.to(device),
            self.ious.to(device),
            self.object_score.to(device),
            self.pointers.to(device),
        )

    def best(self) -> Decoded:
        """Of several masks the one with the highest estimated IoU."""
        if self.logits.shape[1] == 1:
            return self
        rows = torch.arange(len(self.logits), device=self.logits.device)
        top = self.ious.argmax(dim=1)
        pointers = self.pointers
        if pointers.shape[1] > 1:
            pointers = pointers[rows, top][:, None]
        return Decoded(
            self.logits[rows, top][:, None],
            self.ious[rows, top][:, None],
            self.object_score,
            pointers,
        )


@dataclass
class MemoryBank:
    """What was seen of an object on other slices, in the form SAM-2 reads.

    Parameters
    ----------
    prompted, tracked : dict
        Slice index to memory; prompted slices are anchors and stay, tracked ones are
        forgotten when they fall out of reach, so that memory does not grow with the volume.
    """

    prompted: dict[int, dict[str, Any]] = field(default_factory=dict)
    tracked: dict[int, dict[str, Any]] = field(default_factory=dict)

    def as_sam2(self) -> dict[str, dict[int, dict[str, Any]]]:
        """The names by which ``SAM2Base`` knows them."""
        return {"cond_frame_outputs": self.prompted, "non_cond_frame_outputs": self.tracked}

    def forget_beyond(self, index: int, reach: int) -> None:
        """Drop tracked slices further than ``reach`` from ``index``."""
        for known in [k for k in self.tracked if abs(k - index) > reach]:
            del self.tracked[known]

    def bring_to(self, device: torch.device) -> None:
        """Move memories to a device, where the model itself had to move."""
        for memories in (self.prompted, self.tracked):
            for index, memory in memories.items():
                if memory["obj_ptr"].device != device:
                    memories[index] = _moved(memory, device)


def _moved(memory: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """A memory on another device, in float32: that device may compute in no other type."""
    return {
        "maskmem_features": memory["maskmem_features"].to(device, torch.float32),
        "maskmem_pos_enc": [p.to(device, torch.float32) for p in memory["maskmem_pos_enc"]],
        "obj_ptr": memory["obj_ptr"].to(device, torch.float32),
    }


class Sam2Model:
    """A SAM-2 with its device, precision and identity.

    Parameters
    ----------
    net : SAM2Base
        The network.
    architecture : Architecture
        Its shape.
    device : torch.device
        Where it computes.
    precision : torch.dtype
        ``torch.float32``, or the lower precision that autocast uses.
    name : str
        As the registry or the user knows it.
    sha256 : str
        Of the weights; identifies cached features and stands in every sidecar.
    """

    def __init__(
        self,
        net: SAM2Base,
        architecture: Architecture,
        device: torch.device | str = "cpu",
        precision: torch.dtype = torch.float32,
        name: str = "custom",
        sha256: str = "",
    ) -> None:
        self.net = net.to(device)
        self.architecture = architecture
        self.device = torch.device(device)
        self.precision = precision
        self.name = name
        self.sha256 = sha256
        self._arrangements = Arrangements()

    @property
    def image_size(self) -> int:
        """Side of the model's square input, pixels."""
        return self.architecture.image_size

    @property
    def memory_reach(self) -> int:
        """How many slices back a memory can still matter.

        SAM-2 attends to the masks of the last ``num_memories`` slices, and to the object
        pointers of a longer stretch.
        """
        return max(self.architecture.num_memories, self.net.max_obj_ptrs_in_encoder) - 1

    def set_image_size(self, image_size: int) -> None:
        """Let the same weights work at another image size (a multiple of 32)."""
        self.architecture = self.architecture.at(image_size)
        net, side = self.net, image_size // 16
        net.image_size = image_size
        net.sam_image_embedding_size = side
        encoder = net.sam_prompt_encoder
        encoder.image_embedding_size = (side, side)
        encoder.input_image_size = (image_size, image_size)
        encoder.mask_input_size = (4 * side, 4 * side)

    @contextmanager
    def inference(self) -> Iterator[None]:
        """No gradients, evaluation mode, and the model's precision.

        ``no_grad`` rather than ``inference_mode``: RoPE tables made under the latter would
        poison later training.
        """
        if self.net.training:  # telling three hundred modules takes as long as a decoder
            self.net.eval()
        with torch.no_grad(), self.autocast():
            yield

    def autocast(self) -> torch.autocast:
        """The context in which the model computes in its precision."""
        return torch.autocast(
            self.device.type,
            dtype=self.precision if self.precision != torch.float32 else torch.bfloat16,
            enabled=self.precision != torch.float32,
        )

    def encode(self, grey: Tensor) -> Features:
        """Features of grey images.

        Parameters
        ----------
        grey : (B, S, S) float tensor
            Windowed intensities, 0 to 1.
        """
        encoder = self._prepared_encoder()
        if encoder is not None:
            return Features(encoder(grey))
        mean, std = (
            torch.tensor(values, device=self.device)[:, None, None]
            for values in (self.architecture.pixel_mean, self.architecture.pixel_std)
        )
        images = (grey.to(self.device)[:, None] - mean) / std
        fpn = self.net.forward_image(images)["backbone_fpn"]
        return Features((fpn[0], fpn[1], fpn[2]))

    def _prepared_encoder(self) -> PreparedEncoder | None:
        """The faster encoder, where it may take the place of the network's own."""
        from napari_sss.engine.models.prepared_encoder import PreparedEncoder

        net = self.net
        if not self._arranges or not PreparedEncoder.suits(net):
            return None
        decoder: Any = net.sam_mask_decoder
        return self._arrangements.get(
            "encoder",
            (net.image_encoder, decoder.conv_s0, decoder.conv_s1),
            (self.image_size, self.precision),
            lambda: PreparedEncoder(net, self.architecture, self.precision),
        )

    def _prepared_memory(self) -> PreparedMemory | None:
        """The faster memory attention, likewise."""
        from napari_sss.engine.models.prepared_memory import PreparedMemory

        net = self.net
        if not self._arranges or not PreparedMemory.suits(net):
            return None
        tpos: Any = net.obj_ptr_tpos_proj
        return self._arrangements.get(
            "memory",
            (net.memory_attention, tpos),
            (self.image_size, self.precision, net.maskmem_tpos_enc._version),
            lambda: PreparedMemory(net, self.image_size // 16, self.precision),
        )

    def _prepared_decoder(self) -> PreparedDecoder | None:
        """The faster mask decoder, likewise."""
        from napari_sss.engine.models.prepared_decoder import PreparedDecoder

        net = self.net
        if not self._arranges or not PreparedDecoder.suits(net):
            return None
        return self._arrangements.get(
            "decoder",
            (net.sam_mask_decoder, net.sam_prompt_encoder),
            self.image_size,
            lambda: PreparedDecoder(net),
        )

    @property
    def _arranges(self) -> bool:
        """Whether what is arranged for a CPU's inference may take the network's place."""
        return self.device.type == "cpu" and not torch.is_grad_enabled()

    def without_memory(self, features: Features) -> Tensor:
        """(B, C, S/16, S/16) features for a slice of which no neighbour is known."""
        return features.levels[2] + self.net.no_mem_embed.permute(1, 2, 0)[..., None]

    def with_memory(
        self, features: Features, bank: MemoryBank, index: int, *, backwards: bool, slices: int
    ) -> Tensor:
        """(B, C, S/16, S/16) features informed by the memories of neighbouring slices.

        Parameters
        ----------
        features : Features
            Of the slice ``index``, one row per object.
        bank : MemoryBank
            Memories of the same objects; at least one prompted slice.
        index, slices : int
            The slice, and how many there are.
        backwards : bool
            Whether the stack is walked towards lower indices.
        """
        top = features.levels[2]
        bank.bring_to(self.device)
        memory = self._prepared_memory()
        if memory is not None:
            return memory(top, bank.prompted, bank.tracked, index, backwards, slices)
        positions = self._positions(top)
        return self.net._prepare_memory_conditioned_features(
            frame_idx=index,
            is_init_cond_frame=False,
            current_vision_feats=[top.flatten(2).permute(2, 0, 1)],
            current_vision_pos_embeds=[positions.flatten(2).permute(2, 0, 1)],
            feat_sizes=[tuple(top.shape[-2:])],
            output_dict=bank.as_sam2(),
            num_frames=slices,
            track_in_reverse=backwards,
        )

    def decode(
        self,
        features: Features,
        pixels: Tensor,
        prompts: PointPrompts | None,
        mask_logits: Tensor | None = None,
        *,
        multimask: bool = False,
    ) -> Decoded:
        """Masks of B objects.

        Parameters
        ----------
        features : Features
            One row per object.
        pixels : (B, C, S/16, S/16) tensor
            From :meth:`without_memory` or :meth:`with_memory`.
        prompts : PointPrompts, optional
            None on a tracked slice.
        mask_logits : (B, 1, S/4, S/4) tensor, optional
            A mask to start from, for instance the previous round's.
        multimask : bool
            Three masks instead of one, for a prompt that means several things.
        """
        decoder = self._prepared_decoder()
        if decoder is not None:
            embedded = self._embedded(prompts, mask_logits, len(pixels))
            fine, middle, _ = features.levels
            return Decoded(*decoder(fine, middle, pixels, embedded, multimask))
        points = self._padded(prompts, len(pixels))
        sparse, dense = self.net.sam_prompt_encoder(
            points=points, boxes=None, masks=mask_logits
        )
        logits, ious, tokens, score = self.net.sam_mask_decoder(
            image_embeddings=pixels,
            image_pe=self.net.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            repeat_image=False,
            high_res_features=list(features.levels[:2]),
        )
        return Decoded(logits.float(), ious.float(), score.float(), tokens.float())

    def _embedded(
        self, prompts: PointPrompts | None, mask_logits: Tensor | None, batch: int
    ) -> tuple[Tensor, Tensor] | None:
        """Prompts as the decoder reads them, in float32; None where there are none."""
        if prompts is None and mask_logits is None:
            return None
        if mask_logits is not None:
            mask_logits = mask_logits.float()
        with torch.autocast(self.device.type, enabled=False):
            return self.net.sam_prompt_encoder(
                points=self._padded(prompts, batch), boxes=None, masks=mask_logits
            )

    def adopt(self, features: Features, mask: Tensor) -> Decoded:
        """A mask that was given, as the answer itself: how SAM-2 takes a mask as prompt.

        Parameters
        ----------
        features : Features
            One row per object.
        mask : (B, 1, S, S) float tensor
            0 outside, 1 inside.
        """
        mask = mask.to(self.device)
        # The decoder runs for the object pointer alone.
        answer = self.decode(features, features.levels[2], None, self.net.mask_downsample(mask))
        side = self.image_size // 4
        logits = F.interpolate(
            20.0 * mask - 10.0, (side, side), mode="bilinear", antialias=True
        )
        present = mask.flatten(1).any(dim=1, keepdim=True)
        return replace(
            answer,
            logits=logits,
            ious=torch.ones_like(answer.ious),
            object_score=torch.where(present, 10.0, -10.0),
        )

    def upsample(self, logits: Tensor) -> Tensor:
        """Logits at the model's input size, (B, M, S, S), from those of a quarter of it."""
        return F.interpolate(
            logits.float(), size=(self.image_size,) * 2, mode="bilinear", align_corners=False
        )

    def remember(
        self, features: Features, decoded: Decoded, *, prompted: bool
    ) -> dict[str, Any]:
        """The memory of a decoded slice, for :class:`MemoryBank`.

        Parameters
        ----------
        features : Features
            Of the slice, one row per object.
        decoded : Decoded
            With one mask per object.
        prompted : bool
            Whether the mask came from prompts rather than from tracking.
        """
        decoded = decoded.to(self.device)
        present = (decoded.object_score > 0).float()
        logits = torch.where(present[..., None, None] > 0, decoded.logits, ABSENT_LOGIT)
        top = features.levels[2]
        memory, positions = self.net._encode_new_memory(
            current_vision_feats=[top.flatten(2).permute(2, 0, 1)],
            feat_sizes=[tuple(top.shape[-2:])],
            pred_masks_high_res=self.upsample(logits),
            object_score_logits=decoded.object_score,
            is_mask_from_pts=prompted,
        )
        pointer = self.net.obj_ptr_proj(decoded.pointers[:, 0])
        pointer = present * pointer + (1 - present) * self.net.no_obj_ptr
        return {
            "maskmem_features": memory,
            "maskmem_pos_enc": positions,
            "obj_ptr": pointer,
        }

    def _positions(self, top: Tensor) -> Tensor:
        encoding = self.net.image_encoder.neck.position_encoding
        return encoding(top).to(top.dtype)

    def _padded(self, prompts: PointPrompts | None, batch: int) -> tuple[Tensor, Tensor]:
        """Points as SAM-2 wants them; without any, one padding point."""
        if prompts is None:
            return (
                torch.zeros(batch, 1, 2, device=self.device),
                -torch.ones(batch, 1, dtype=torch.int32, device=self.device),
            )
        return prompts.coordinates.to(self.device), prompts.labels.to(self.device)
