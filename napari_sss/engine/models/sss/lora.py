"""LoRA: fine-tuning an encoder through a few small matrices beside its large ones."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.utils import parametrize

_TARGETS = ("qkv", "proj")


class LowRank(nn.Module):
    """Adds ``alpha / rank * up @ down`` to a weight; ``up`` starts at zero.

    Parameters
    ----------
    weight : (out, in) tensor
        The frozen weight.
    rank : int
        Width of the bottleneck.
    alpha : float
        Scale of what is learned.

    References
    ----------
    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685 (2021).
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        self.down = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
        self.up = nn.Parameter(weight.new_zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        """The weight as the layer uses it."""
        return weight + self.scale * (self.up @ self.down)


def add_lora(module: nn.Module, rank: int, alpha: float | None = None) -> int:
    """Put LoRA on the attention's linear layers inside ``module`` and freeze all else there.

    Returns
    -------
    int
        How many layers got it.
    """
    module.requires_grad_(False)
    layers = [
        layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear) and name.rpartition(".")[2] in _TARGETS
    ]
    for layer in layers:
        added = LowRank(layer.weight, rank, alpha if alpha is not None else rank)
        parametrize.register_parametrization(layer, "weight", added)
    return len(layers)


def merged_state(module: nn.Module) -> dict[str, Tensor]:
    """The module's state as it would be without LoRA, what was learned written into it.

    The module stays as it is. (PyTorch's own removal would also take LoRA from its copies,
    for they share a class.)
    """
    marker = ".parametrizations.weight."
    state = {name: value for name, value in module.state_dict().items() if marker not in name}
    for name, layer in module.named_modules():
        if parametrize.is_parametrized(layer, "weight"):
            state[f"{name}.weight"] = layer.weight.detach()
    return state
