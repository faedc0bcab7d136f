"""How far a training will come in its time and how much memory it will take, from a probe.

A step is cheap once its slices' features are kept, and dear before: in ``n`` steps of ``b``
slices, drawn at random from ``S``, about ``S (1 - exp(-n b / S))`` of them are seen and so
encoded once. With ``w`` seconds for a step on kept features, ``e`` for encoding a slice and
``v`` for a validation every ``k`` steps::

    seconds(n) = n w + e S (1 - exp(-n b / S)) + v n / k
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from napari_sss.engine.runs.files import read_json
from napari_sss.engine.volumes.atomic import write_json

ESTIMATE_NAME = "estimate.json"


@dataclass(frozen=True)
class Probe:
    """What a few real steps on this machine took.

    Parameters
    ----------
    step_seconds : float
        A step on slices whose features are kept (or, without a cache, any step).
    encode_seconds : float
        Encoding one slice for the cache; 0 without one.
    setup_seconds : float
        Reading the labelled volumes and building the networks.
    validation_seconds : float
        One validation.
    slices : int
        Slices to draw from, labelled and not.
    batch : int
        Slices of a step.
    memory_mb, gpu_mb : float
        Peak of the probe.
    slice_mb : float
        What a kept slice takes with its features.
    cache_mb : float
        Room for those.
    mode : str
        What is tuned.
    device : str
        Where, in words.
    """

    step_seconds: float
    encode_seconds: float
    setup_seconds: float
    validation_seconds: float
    slices: int
    batch: int
    memory_mb: float
    gpu_mb: float
    slice_mb: float
    cache_mb: float
    mode: str = ""
    device: str = ""

    def seconds(self, steps: int, validate_every: int) -> float:
        """Seconds that so many steps take, without the setup."""
        seen = 0.0
        if self.slices:
            seen = self.slices * (1 - math.exp(-steps * self.batch / self.slices))
        validations = self.validation_seconds * steps / validate_every
        return steps * self.step_seconds + seen * self.encode_seconds + validations

    def steps(self, minutes: float, validate_every: int) -> int:
        """Steps that fit into so many minutes."""
        low, high = 0, 1
        while self.seconds(high, validate_every) < 60 * minutes and high < 10**8:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            if self.seconds(middle, validate_every) <= 60 * minutes:
                low = middle
            else:
                high = middle
        return low

    def memory_needed_mb(self) -> float:
        """Main memory when everything that will be kept is kept."""
        return self.memory_mb + min(self.cache_mb, self.slices * self.slice_mb)


def write_probe(probe: Probe, folder: Path) -> None:
    """Write what was measured.

    Raises
    ------
    WriteError
        It cannot be written.
    """
    write_json(asdict(probe), folder / ESTIMATE_NAME)


def read_probe(folder: Path) -> Probe | None:
    """What was measured; None where nothing was."""
    content = read_json(folder / ESTIMATE_NAME)
    if content is None:
        return None
    known = {field.name for field in fields(Probe)}
    try:
        return Probe(**{k: v for k, v in content.items() if k in known})
    except TypeError:
        return None


def validate_every_for(minutes: float) -> int:
    """Steps between validations that give a curve to watch within so many minutes."""
    for most, steps in ((3, 20), (10, 40), (30, 80), (120, 150)):
        if minutes <= most:
            return steps
    return 300
