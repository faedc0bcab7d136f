"""SAM-2's memory attention with what repeats from slice to slice worked out once.

The same function of the same weights as ``SAM2Base._prepare_memory_conditioned_features``.
There every slice projects and rotates each of its memories anew, in every layer. Here:

- A memory's keys are made when it is first read and kept beside it. They can be kept because
  their projection is linear: what depends on the memory's age is a table that is added.
- Values are never projected. The attention's weights sum to one, so that averaging memories
  and projecting the average is the same, with the projection of the output in one map.
- Self-attention's three projections are one, and the scale lies in the queries' weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sss.engine.models.interrupting import between_blocks
from napari_sss.engine.models.prepared_layers import Linear, Norm

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

Memory = dict[str, Any]
KEPT = "keys"
"""Where a memory's keys lie in it, beside what SAM-2 itself keeps there."""

AT_ONCE = 2**21  # attention weights; queries are taken in parts where there would be more


@dataclass(frozen=True)
class _Layer:
    """One layer: self-attention, attention to the memories, and two linear maps.

    Parameters
    ----------
    norms : three Norm
        Before each part.
    qkv, self_out : Linear
        Of the self-attention.
    query, key, out : Linear
        Of the attention to memories; the projection of the values is part of the last.
    widen, narrow : Linear
        The last part.
    ages : (memories, HW, C) tensor
        What a memory's age adds to its keys.
    """

    norms: tuple[Norm, ...]
    qkv: Linear
    self_out: Linear
    query: Linear
    key: Linear
    out: Linear
    widen: Linear
    narrow: Linear
    ages: Tensor

    @classmethod
    def of(cls, layer: Any, age_encoding: Tensor, turns: Tensor, dtype: torch.dtype) -> _Layer:
        own, cross = layer.self_attn, layer.cross_attn_image
        key = cross.k_proj.weight.detach()
        ages = (age_encoding @ key.T.float()).expand(-1, len(turns), -1)
        value, out = (Linear.of(x, torch.float64) for x in (cross.v_proj, cross.out_proj))
        query = Linear.of(cross.q_proj, torch.float32)
        scale = len(query.bias) ** -0.5
        return cls(
            tuple(Norm.of(x, dtype) for x in (layer.norm1, layer.norm2, layer.norm3)),
            Linear.side_by_side(
                [Linear.of(x, dtype) for x in (own.q_proj, own.k_proj, own.v_proj)]
            ),
            Linear.of(own.out_proj, dtype),
            Linear(scale * query.weight, scale * query.bias).to(dtype),
            Linear.of(cross.k_proj, dtype),
            out.after(value).to(dtype),
            Linear.of(layer.linear1, dtype),
            Linear.of(layer.linear2, dtype),
            _turned(ages, turns).to(dtype),
        )


class PreparedMemory:
    """A copy of a network's memory attention for inference.

    Parameters
    ----------
    net : SAM2Base
        The network.
    side : int
        Of the grid of the coarsest features, S/16.
    dtype : torch.dtype
        Of the weights, and of what passes between layers.
    """

    def __init__(self, net: SAM2Base, side: int, dtype: torch.dtype) -> None:
        from sam2.modeling.sam2_utils import get_1d_sine_pe

        attention: Any = net.memory_attention
        self.dtype = dtype
        self._memories: int = net.num_maskmem
        self._reach: int = net.max_obj_ptrs_in_encoder
        self._channels: int = net.mem_dim
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            self._turns = attention.layers[0].self_attn.compute_cis(end_x=side, end_y=side)
            ages = net.maskmem_tpos_enc.detach().float()[:, 0]  # (memories, 1, M)
            self._layers = [_Layer.of(x, ages, self._turns, dtype) for x in attention.layers]
            self._norm = Norm.of(attention.norm, dtype)
            neck: Any = net.image_encoder.neck
            grid = torch.zeros(1, 1, side, side)
            self._positions = 0.1 * _as_tokens(neck.position_encoding(grid)).to(dtype)
            self._tpos: Any = net.obj_ptr_tpos_proj
            self._sine = get_1d_sine_pe
            self._pointer_width: int = net.hidden_dim

    @staticmethod
    def suits(net: SAM2Base) -> bool:
        """Whether a network's memory attention is of the kind that is arranged here."""
        attention: Any = net.memory_attention
        return bool(
            attention.batch_first
            and attention.pos_enc_at_input
            and net.num_maskmem > 0
            and net.memory_temporal_stride_for_eval == 1
            and net.max_cond_frames_in_attn == -1
            and net.use_obj_ptrs_in_encoder
            and net.only_obj_ptrs_in_the_past_for_eval
            and net.add_tpos_enc_to_obj_ptrs
            and net.proj_tpos_enc_in_obj_ptrs
            and net.use_signed_tpos_enc_to_obj_ptrs
            and all(_layer_suits(layer) for layer in attention.layers)
        )

    @torch.no_grad()
    def __call__(
        self,
        top: Tensor,
        prompted: dict[int, Memory],
        tracked: dict[int, Memory],
        index: int,
        backwards: bool,
        slices: int,
    ) -> Tensor:
        """Features of a slice informed by its memories.

        Parameters
        ----------
        top : (B, C, H, W) tensor
            The slice's coarsest features.
        prompted, tracked : dict
            Slice index to memory, each of the same B objects.
        index, slices : int
            The slice, and how many there are.
        backwards : bool
            Whether the stack is walked towards lower indices.
        """
        with torch.autocast("cpu", enabled=False):
            read = self._read(prompted, tracked, index, backwards)
            pointers = self._pointers(prompted, tracked, index, backwards, slices)
            averaged = [_as_tokens(m["maskmem_features"]).to(self.dtype) for _, m in read]
            if pointers is not None:
                averaged.append(pointers[0])
            values = torch.cat(averaged, dim=1)
            x = _as_tokens(top).to(self.dtype) + self._positions
            for number, layer in enumerate(self._layers):
                between_blocks()
                x = x + self._among_themselves(layer, x)
                query = _turned(layer.query(layer.norms[1](x)), self._turns)
                keys = self._keys(number, read, pointers)
                x = x + layer.out(_attended(query, keys, values))
                x = x + layer.narrow(F.relu(layer.widen(layer.norms[2](x))))
            x = self._norm(x).float()
            return x.transpose(1, 2).reshape(top.shape)

    def _among_themselves(self, layer: _Layer, x: Tensor) -> Tensor:
        query, key, value = layer.qkv(layer.norms[0](x)).chunk(3, dim=-1)
        found = F.scaled_dot_product_attention(
            _turned(query, self._turns)[:, None],
            _turned(key, self._turns)[:, None],
            value[:, None],
        )
        return layer.self_out(found[:, 0])

    def _keys(
        self,
        number: int,
        read: list[tuple[int, Memory]],
        pointers: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """What a layer's queries are compared with, (B, N, C)."""
        layer = self._layers[number]
        kept = torch.cat([self._kept(memory)[number] for _, memory in read], dim=1)
        keys = [kept.add_(layer.ages[[age for age, _ in read]].flatten(0, 1))]
        if pointers is not None:
            tokens, position = pointers
            keys.append(layer.key(tokens + position))
        return torch.cat(keys, dim=1)

    def _kept(self, memory: Memory) -> list[Tensor]:
        """Keys (B, HW, C) of a memory in each layer, but for its age."""
        owner, kept = memory.get(KEPT, (None, []))
        if owner is not self:
            placed = memory["maskmem_features"] + memory["maskmem_pos_enc"][-1]
            tokens = _as_tokens(placed).to(self.dtype)
            kept = [_turned(layer.key(tokens), self._turns) for layer in self._layers]
            memory[KEPT] = (self, kept)
        return kept

    def _read(
        self,
        prompted: dict[int, Memory],
        tracked: dict[int, Memory],
        index: int,
        backwards: bool,
    ) -> list[tuple[int, Memory]]:
        """The memories that are read, each with the number of its age's encoding."""
        read = [(self._memories - 1, memory) for memory in prompted.values()]
        past = tracked.get(index + self._memories if backwards else index - self._memories)
        if past is not None:
            past.pop(KEPT, None)  # its pointer is read for longer, its keys are not
        for back in range(self._memories - 1, 0, -1):
            memory = tracked.get(index + back if backwards else index - back)
            if memory is not None:
                read.append((back - 1, memory))
        return read

    def _pointers(
        self,
        prompted: dict[int, Memory],
        tracked: dict[int, Memory],
        index: int,
        backwards: bool,
        slices: int,
    ) -> tuple[Tensor, Tensor] | None:
        """Object pointers as tokens (B, N, M), and the encoding of how far away each is."""
        sign = -1 if backwards else 1
        reach = min(slices, self._reach)
        found = [
            ((index - at) * sign, memory["obj_ptr"])
            for at, memory in prompted.items()
            if (index - at) * sign >= 0
        ]
        for back in range(1, reach):
            memory = tracked.get(index - back * sign)
            if memory is not None:
                found.append((back, memory["obj_ptr"]))
        if not found:
            return None
        distances = torch.tensor([float(d) for d, _ in found]) / (reach - 1)
        sine = self._sine(distances, dim=self._pointer_width)
        position = self._tpos(sine.to(self._tpos.weight.dtype)).to(self.dtype)
        parts = self._pointer_width // self._channels
        pointers = torch.stack([p for _, p in found], dim=1).to(self.dtype)
        tokens = pointers.reshape(len(pointers), len(found) * parts, self._channels)
        return tokens, position.repeat_interleave(parts, dim=0)


def _layer_suits(layer: Any) -> bool:
    """Whether positions enter where :class:`PreparedMemory` lets them."""
    return bool(
        not layer.pos_enc_at_attn
        and layer.pos_enc_at_cross_attn_keys
        and not layer.pos_enc_at_cross_attn_queries
        and layer.activation_str == "relu"
        and layer.self_attn.num_heads == layer.cross_attn_image.num_heads == 1
    )


def _attended(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The values (B, N, M) averaged as the queries (B, Q, C) resemble the keys (B, N, C)."""
    rows = max(1, AT_ONCE // (len(keys) * keys.shape[1]))
    keys = keys.transpose(1, 2)
    parts = [
        torch.bmm(torch.bmm(part, keys).softmax(dim=-1), values)
        for part in query.split(rows, dim=1)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _as_tokens(x: Tensor) -> Tensor:
    """(B, HW, C) of (B, C, H, W)."""
    return x.flatten(2).transpose(1, 2)


def _turned(x: Tensor, turns: Tensor) -> Tensor:
    """Rotary position encoding of tokens (B, HW, C) by complex factors (HW, C/2)."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(pairs * turns).flatten(2).to(x.dtype)
