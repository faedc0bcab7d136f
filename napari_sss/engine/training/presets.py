"""Named settings: what the sources of SSS disagree on, each way of it under a name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_SSS: dict[str, Any] = {"strategy": "sss"}

# The skeleton: L = L_l + L_u from the first step on, pseudo-label where a probability
# exceeds one half, the student as its own teacher, no CutMix and no dropout of channels.
_PAPER: dict[str, Any] = {
    "strategy": "sss",
    "ema": 0.0,
    "threshold": 0.5,
    "unlabelled_dice": 0.0,
    "ramp": 0.0,
    "burn_in": 0.0,
    "prompt_start": 0.1,
    "labelled_strong": 0.0,
    "unlabelled_weight": 1.0,
    "cutmix": 0.0,
    "channel_dropout": False,
    "norm": "batch",
    "head_levels": "finest",
    "dfe_channels": 256,
    "dfe_layer_scale": None,
    "pseudo_label": "sam",
    "prompt_objects": "one",
    "prompt_points": True,
    "max_prompt_share": 1.0,
    "box_jitter": 0.0,
    "pretrained_rate": 0.025,
}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"sss": MappingProxyType(_SSS), "paper": MappingProxyType(_PAPER)}
)
"""``sss``: SSS on UniMatch V2's stream, the default. ``paper``: the paper's skeleton."""
