"""Device, precision and the update of weights, through Lightning Fabric."""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_sss.engine.models.devices import choose_device, precision_for
from napari_sss.engine.training.errors import DivergedError

if TYPE_CHECKING:
    from napari_sss.engine.models.sss.segmenter import Segmenter
    from napari_sss.engine.training.config import TrainConfig


class Runtime:
    """What a strategy needs to know of the hardware.

    Parameters
    ----------
    config : TrainConfig
        Names device and precision.
    """

    def __init__(self, config: TrainConfig) -> None:
        from lightning_fabric import Fabric

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
        self.device = choose_device(config.device)
        precision: Any = config.precision
        if precision == "auto":
            half = precision_for(self.device) == torch.bfloat16
            precision = "bf16-mixed" if half else "32-true"
        self.precision = precision
        accelerator = {"cuda": "cuda", "mps": "mps"}.get(self.device.type, "cpu")
        devices: Any = [self.device.index or 0] if accelerator == "cuda" else 1
        self.fabric = Fabric(accelerator=accelerator, devices=devices, precision=precision)

    @property
    def dtype(self) -> torch.dtype:
        """The precision in which networks compute."""
        return torch.bfloat16 if self.precision == "bf16-mixed" else torch.float32

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which networks compute."""
        return self.fabric.autocast()

    def peak_memory_mb(self) -> float:
        """Most memory that this process has used: the GPU's, or else the main memory.

        0 where the system does not tell (Windows has no such count for a process).
        """
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        try:
            import resource
        except ImportError:
            return 0.0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)

    def backward(self, loss: Tensor, step: int) -> None:
        """Add a loss's gradients.

        Raises
        ------
        DivergedError
            The loss is not finite.
        """
        if not bool(torch.isfinite(loss)):
            raise DivergedError(
                f"The loss became {float(loss.detach())} at step {step}.",
                "The last checkpoint is good: resume from it with a lower learning rate, or "
                "look for a faulty volume.",
            )
        self.fabric.backward(loss)

    def update(
        self, optimiser: torch.optim.Optimizer, factor: float, clip: float, step: int
    ) -> float:
        """One step of an optimiser.

        Parameters
        ----------
        optimiser : Optimizer
            Its groups hold their full learning rate as ``"full_lr"``.
        factor : float
            Share of it now.
        clip : float
            Largest norm of the gradients.
        step : int
            For the message.

        Returns
        -------
        float
            Norm of the gradients before clipping.

        Raises
        ------
        DivergedError
            A gradient is not finite.
        """
        for group in optimiser.param_groups:
            group["lr"] = group["full_lr"] * factor
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, clip)
        if not bool(torch.isfinite(norm)):
            raise DivergedError(
                f"The gradients became infinite at step {step}.",
                "The last checkpoint is good: resume from it with a lower learning rate.",
            )
        optimiser.step()
        return float(norm)


_DECAYED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def adamw(network: Segmenter, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW: a lower rate for what is pretrained, and decay of layers' weights alone.

    Biases, norms, learned factors and embeddings (of positions, prompts, absent memories) do
    not decay: zero means nothing for them.
    """
    decayed = {
        id(p)
        for layer in network.modules()
        if isinstance(layer, _DECAYED)
        for p in layer.parameters()
        if p.ndim >= 2
    }
    groups: list[dict[str, Any]] = []
    for parameters, rate in (
        (network.pretrained_parameters(), config.learning_rate * config.pretrained_rate),
        (network.added_parameters(), config.learning_rate),
    ):
        for decays in (True, False):
            chosen = [p for p in parameters if (id(p) in decayed) == decays]
            if chosen:
                decay = config.weight_decay if decays else 0.0
                groups.append(
                    {"params": chosen, "lr": rate, "full_lr": rate, "weight_decay": decay}
                )
    return torch.optim.AdamW(groups)
