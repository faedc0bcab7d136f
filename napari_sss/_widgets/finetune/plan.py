"""What the person asks of a run: time first, then the method, everything else if wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from napari_sss._widgets.choices import Choice
from napari_sss.engine.runs.estimate import Probe, validate_every_for

BUDGETS = (("15 min", 15.0), ("1 hour", 60.0), ("Overnight", 600.0))
"""Button and minutes."""

_TITLES = {
    "sss": ("SSS", "Learns from the unlabelled scans too, with prompts. The default."),
    "supervised": ("Labels alone", "Learns from what was accepted and from nothing else."),
    "unimatch-v2": ("UniMatch V2", "SSS without SAM-2's prompts: two strong views, a teacher."),
    "fixmatch": ("FixMatch", "One strong view learns what a weak one is sure of."),
    "mean-teacher": ("Mean Teacher", "Student and teacher are to agree under noise."),
    "cps": ("CPS", "Two networks teach each other; twice the cost."),
    "bcp": ("BCP", "Labelled and unlabelled slices are pasted into each other."),
}

MODES = (
    Choice("auto", "Automatic", "By device and memory."),
    Choice("features", "Decoder and heads", "On kept features of the encoder; quick on a CPU."),
    Choice("lora", "Encoder too, lightly (LoRA)", "Small matrices in the encoder learn too."),
    Choice("full", "Everything", "Slow without a GPU."),
)

SHOWN_ELSEWHERE = frozenset({"strategy", "model", "minutes", "steps", "mode", "classes"})
"""Settings with a place of their own in the tab, or that the project decides."""

BY_TIME = frozenset({"validate_every", "checkpoint_every", "log_every"})
"""Settings that follow from the time, unless the person gives them."""


@dataclass(frozen=True)
class Plan:
    """What a run is to be.

    Parameters
    ----------
    minutes : float
        How long it trains.
    strategy, mode : str
        As the configuration calls them.
    more : mapping
        Further settings of the configuration; they win.
    """

    minutes: float = 15.0
    strategy: str = "sss"
    mode: str = "auto"
    more: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def settings(self, model: str) -> dict[str, Any]:
        """The settings of the training.

        Parameters
        ----------
        model : str
            The model to start from.
        """
        every = validate_every_for(self.minutes)
        return {
            "strategy": self.strategy,
            "mode": self.mode,
            "model": model,
            "minutes": self.minutes,
            "validate_every": every,
            "checkpoint_every": every,
            "log_every": 2 if self.minutes <= 30 else 10,
            **self.more,
        }

    def promise(self, probe: Probe | None) -> str:
        """What can be expected of it on this machine, in words."""
        if probe is None:
            return ""
        steps = probe.steps(self.minutes, int(self.settings("")["validate_every"]))
        gigabytes = probe.memory_needed_mb() / 1024
        text = f"About {_rounded(steps)} steps; {gigabytes:.1f} GB memory"
        if probe.gpu_mb:
            text += f", {probe.gpu_mb / 1024:.1f} GB of the GPU"
        return f"{text}. {probe.device}."


def strategy_choices(names: list[str]) -> list[Choice]:
    """The methods to choose from, SSS first, then labels alone."""
    order = list(_TITLES)
    ranked = sorted(names, key=lambda n: (order.index(n) if n in order else len(order), n))
    return [
        Choice(name, *_TITLES.get(name, (name, "A method of another package.")))
        for name in ranked
    ]


def duration(seconds: float) -> str:
    """A time span for people: ``0:42``, ``14 min``, ``2 h 05``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes}:{rest:02d}"
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d}"


def _rounded(count: int) -> str:
    """Two digits of a number, with thin groups: nobody can promise more."""
    if count < 100:
        return str(count)
    scale = 10 ** (len(str(count)) - 2)
    return f"{round(count / scale) * scale:,}"
