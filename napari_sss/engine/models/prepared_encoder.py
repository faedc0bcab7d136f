"""The image encoder with everything that does not depend on the image worked out beforehand.

The same function of the same weights as ``SAM2Base.forward_image``, arranged for a CPU:

- A grey image is one channel, not three equal ones; the padding, the position embedding (which
  SAM-2 resizes anew for each image) and the biases become one constant that is added.
- Tokens stay in the order of their attention windows from block to block, also where a stage
  halves the grid, instead of being sorted into windows and back in every block.
- Where a grid is no multiple of its window, the padding tokens are not multiplied: what they
  become is known.
- The neck's projections and the mask decoder's own first ones are linear maps in a row: their
  products are applied, so that no map of all channels at the finest level is ever made. The
  nearest neighbour commutes with them.
- In bfloat16 the weights are converted once, not at every call as autocast does.

References
----------
Ryali et al., "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles",
arXiv:2306.00989 (2023); Ravi et al., "SAM 2", arXiv:2408.00714 (2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sss.engine.models.architecture import Architecture
from napari_sss.engine.models.interrupting import between_blocks
from napari_sss.engine.models.prepared_layers import Linear, Norm

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

Levels = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class _Tokens:
    """Tokens of B images, in windows or as a grid.

    Parameters
    ----------
    values : (B * windows, side, side, C) tensor, or (B, H, W, C) where ``window`` is 0
        The tokens.
    window : int
        Side of the windows; 0 for the plain grid.
    grid : (int, int)
        H and W.
    """

    values: Tensor
    window: int
    grid: tuple[int, int]

    def in_windows(self, window: int) -> _Tokens:
        """The same in windows of this side, which divides the grid; 0 for the plain grid."""
        if window == self.window:
            return self
        height, width = self.grid
        values = self.values
        channels = values.shape[-1]
        if self.window:
            rows, columns = height // self.window, width // self.window
            values = values.view(-1, rows, columns, self.window, self.window, channels)
            values = values.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)
        if window:
            values = values.view(
                -1, height // window, window, width // window, window, channels
            )
            values = values.permute(0, 1, 3, 2, 4, 5).reshape(-1, window, window, channels)
        return _Tokens(values, window, self.grid)


class _Block:
    """One of Hiera's blocks: attention in windows; a stage's first one halves the grid."""

    def __init__(self, block: Any, dtype: torch.dtype) -> None:
        attention = block.attn
        self.norm1, self.norm2 = (Norm.of(n, dtype) for n in (block.norm1, block.norm2))
        self.qkv = Linear.of(attention.qkv, dtype)
        self.out = Linear.of(attention.proj, dtype)
        self.widen = Linear.of(block.proj, dtype) if hasattr(block, "proj") else None
        self.hidden, self.narrow = (Linear.of(layer, dtype) for layer in block.mlp.layers)
        self.heads: int = attention.num_heads
        self.window: int = block.window_size
        self.halves: bool = block.q_stride is not None

    def __call__(self, tokens: _Tokens) -> _Tokens:
        height, width = tokens.grid
        if self.window and (height % self.window or width % self.window):
            tokens = self._attend_padded(tokens.in_windows(0))
        else:
            tokens = self._attend(tokens.in_windows(self.window))
        x = tokens.values
        x.add_(self.narrow(F.gelu(self.hidden(self.norm2(x)))))
        return tokens

    def _attend(self, tokens: _Tokens) -> _Tokens:
        """Attention where the windows fill the grid."""
        normed = self.norm1(tokens.values)
        attended = self.out(self._among(self.qkv(normed)))
        attended.add_(self._shortcut(tokens.values, normed))
        if not self.halves:
            return _Tokens(attended, tokens.window, tokens.grid)
        height, width = tokens.grid
        return _Tokens(attended, tokens.window // 2, (height // 2, width // 2))

    def _attend_padded(self, tokens: _Tokens) -> _Tokens:
        """Attention where the last windows reach beyond the grid."""
        height, width = tokens.grid
        below, beside = -height % self.window, -width % self.window
        normed = self.norm1(tokens.values)
        qkv = self.qkv(normed)
        # SAM-2 pads with zeros before the projection, which makes its bias of them.
        padded = self.qkv.bias.expand(
            len(qkv), height + below, width + beside, qkv.shape[-1]
        ).contiguous()
        padded[:, :height, :width] = qkv
        all_tokens = _Tokens(padded, 0, (height + below, width + beside))
        found = self._among(all_tokens.in_windows(self.window).values)
        window = self.window
        if self.halves:
            height, width, window = height // 2, width // 2, window // 2
            below, beside = -height % window, -width % window
        joined = _Tokens(found, window, (height + below, width + beside)).in_windows(0)
        # Of a strided view, F.linear would multiply row by row.
        attended = self.out(joined.values[:, :height, :width].contiguous())
        attended.add_(self._shortcut(tokens.values, normed))
        return _Tokens(attended, 0, (height, width))

    def _shortcut(self, x: Tensor, normed: Tensor) -> Tensor:
        if self.widen is None:
            return x
        widened = self.widen(normed)
        return _halved(widened) if self.halves else widened

    def _among(self, qkv: Tensor) -> Tensor:
        """Attention among the tokens of each window (N, h, w, 3C); (N, h', w', C)."""
        count, height, width, channels = qkv.shape
        queries, keys, values = qkv.split(channels // 3, dim=-1)
        if self.halves:
            queries = _halved(queries)
            height, width = height // 2, width // 2

        def by_head(x: Tensor) -> Tensor:
            return x.reshape(count, -1, self.heads, channels // 3 // self.heads).transpose(1, 2)

        found = F.scaled_dot_product_attention(by_head(queries), by_head(keys), by_head(values))
        return found.transpose(1, 2).reshape(count, height, width, channels // 3)


def _halved(x: Tensor) -> Tensor:
    """The largest of each two by two tokens (N, h, w, C)."""
    upper = torch.maximum(x[:, 0::2, 0::2], x[:, 0::2, 1::2])
    lower = torch.maximum(x[:, 1::2, 0::2], x[:, 1::2, 1::2])
    return torch.maximum(upper, lower)


class PreparedEncoder:
    """A copy of a network's image encoder for inference; it does not follow its training.

    Parameters
    ----------
    net : SAM2Base
        The network; its weights are copied where the precision differs, else shared.
    architecture : Architecture
        Its shape, with the size of its input.
    dtype : torch.dtype
        float32 or bfloat16: of the weights, and of what passes between layers.
    """

    def __init__(self, net: SAM2Base, architecture: Architecture, dtype: torch.dtype) -> None:
        self.dtype = dtype
        trunk: Any = net.image_encoder.trunk
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            self._stem, self._everywhere = _stem(trunk, architecture)
            self._stem, self._everywhere = self._stem.to(dtype), self._everywhere.to(dtype)
            self._neck = _Neck(net, architecture.top_down_levels, dtype)
        self._blocks = [_Block(block, dtype) for block in trunk.blocks]
        self._stage_ends = set(trunk.stage_ends)

    @staticmethod
    def suits(net: SAM2Base) -> bool:
        """Whether a network's encoder is of the kind that is arranged here."""
        neck = getattr(net.image_encoder, "neck", None)
        return (
            neck is not None
            and neck.fpn_interp_model == "nearest"
            and neck.fuse_type == "sum"
            and len(neck.convs) == 4
            and all(c.conv.kernel_size == (1, 1) for c in neck.convs)
            and net.image_encoder.scalp == 1
            and net.use_high_res_features_in_sam
        )

    @torch.no_grad()
    def __call__(self, grey: Tensor) -> Levels:
        """The three levels of :class:`Features` for grey images (B, S, S), 0 to 1."""
        with torch.autocast("cpu", enabled=False):
            x = F.conv2d(grey[:, None].to(self.dtype), self._stem, stride=4, padding=3)
            x = x.permute(0, 2, 3, 1) + self._everywhere
            tokens = _Tokens(x, 0, (x.shape[1], x.shape[2]))
            stages = []
            for number, block in enumerate(self._blocks):
                between_blocks()
                tokens = block(tokens)
                if number in self._stage_ends:
                    stages.append(tokens.in_windows(0).values)
            return self._neck(stages)


def _stem(trunk: Any, architecture: Architecture) -> tuple[Tensor, Tensor]:
    """The first convolution for one grey channel, and what it adds whatever the image.

    With ``x_c = (grey - mean_c) / std_c`` in each channel and zeros around, the convolution
    of x is that of grey with ``sum_c w_c / std_c``, plus that of a plane of ones with
    ``-sum_c w_c mean_c / std_c``.
    """
    side = architecture.image_size
    mean, std = (
        torch.tensor(v)[None, :, None, None]
        for v in (architecture.pixel_mean, architecture.pixel_std)
    )
    weight = trunk.patch_embed.proj.weight.detach().float().cpu()
    grey = (weight / std).sum(dim=1, keepdim=True)
    ones = -(weight * mean / std).sum(dim=1, keepdim=True)
    constant = F.conv2d(
        torch.ones(1, 1, side, side),
        ones,
        trunk.patch_embed.proj.bias.detach().float().cpu(),
        stride=4,
        padding=3,
    ).permute(0, 2, 3, 1)
    return grey, constant + trunk._get_pos_embed(constant.shape[1:3]).detach()


class _Neck:
    """The feature pyramid, and of its finer levels only what the mask decoder reads."""

    def __init__(self, net: SAM2Base, top_down: tuple[int, ...], dtype: torch.dtype) -> None:
        convolutions = net.image_encoder.neck.convs  # the coarsest level's first
        lateral = [Linear.of_convolution(c.conv, torch.float64) for c in reversed(convolutions)]
        fine, middle = (
            Linear.of_convolution(c, torch.float64)
            for c in (net.sam_mask_decoder.conv_s0, net.sam_mask_decoder.conv_s1)
        )
        down = [level in top_down for level in range(4)]
        self.dtype = dtype
        # Level 2 is wanted in full, 1 through conv_s1 and, where level 0 reads it, conv_s0.
        self.coarsest = lateral[3].to(dtype) if down[2] else None
        self.top = lateral[2].to(dtype)
        self.middle = middle.after(lateral[1]).to(dtype)
        self.fine = fine.after(lateral[0]).to(dtype)
        self.top_to_middle = middle.weight.to(dtype) if down[1] else None
        self.middle_to_fine = self.top_to_fine = None
        if down[0]:
            # Biases once: this one has the lateral's, not conv_s0's own.
            self.middle_to_fine = Linear(
                fine.weight @ lateral[1].weight, fine.weight @ lateral[1].bias
            ).to(dtype)
            self.top_to_fine = fine.weight.to(dtype) if down[1] else None

    def __call__(self, stages: list[Tensor]) -> Levels:
        """From the stages' tokens (B, H, W, C), the finest first."""
        top = self.top(stages[2])
        if self.coarsest is not None:
            top = top + _doubled(self.coarsest(stages[3]))
        middle = self.middle(stages[1])
        if self.top_to_middle is not None:
            middle += _doubled(F.linear(top, self.top_to_middle))
        fine = self.fine(stages[0])
        if self.middle_to_fine is not None:
            passed = self.middle_to_fine(stages[1])
            if self.top_to_fine is not None:
                passed += _doubled(F.linear(top, self.top_to_fine))
            fine += _doubled(passed)
        # The memory and the decoder add to the top level again and again: in full precision.
        return _channels_first(fine), _channels_first(middle), _channels_first(top.float())


def _doubled(x: Tensor) -> Tensor:
    """Each token (B, H, W, C) four times."""
    batch, height, width, channels = x.shape
    spread = x[:, :, None, :, None].expand(batch, height, 2, width, 2, channels)
    return spread.reshape(batch, 2 * height, 2 * width, channels)


def _channels_first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2).contiguous()
