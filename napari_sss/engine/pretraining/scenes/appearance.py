"""Intensities of tissues: tables of HU for CT, drawn contrasts for MR, textures for both.

A palette is drawn once per scene; each object then draws its own tissue from it, near the
palette's mean, with a drift across the object and textures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from .draws import Draws
from .shapes import Points

# Mean HU without contrast medium, and the range of what contrast medium adds in the
# arterial, portal and late phases.
_HU: dict[str, tuple[float, tuple[float, float, float]]] = {
    "air": (-1000, (0, 0, 0)),
    "gas": (-920, (0, 0, 0)),
    "lung": (-830, (20, 20, 10)),
    "fat": (-102, (2, 4, 3)),
    "skin": (-5, (5, 10, 10)),
    "muscle": (54, (6, 12, 10)),
    "liver": (56, (12, 58, 38)),
    "spleen": (48, (70, 75, 45)),
    "pancreas": (40, (60, 50, 30)),
    "kidney_cortex": (34, (150, 145, 110)),
    "kidney_medulla": (30, (40, 120, 110)),
    "fluid": (6, (0, 0, 0)),
    "urine": (6, (0, 0, 180)),
    "bile": (8, (0, 2, 2)),
    "blood": (44, (260, 110, 75)),
    "venous_blood": (42, (60, 125, 75)),
    "myocardium": (48, (55, 65, 45)),
    "gut_wall": (40, (35, 55, 35)),
    "gut": (28, (2, 4, 4)),
    "stool": (20, (0, 0, 0)),
    "gland": (40, (20, 45, 35)),
    "cortical_bone": (850, (0, 0, 0)),
    "marrow": (170, (5, 10, 10)),
    "disc": (82, (3, 5, 5)),
    "cartilage": (90, (0, 0, 0)),
    "grey_matter": (37, (2, 5, 4)),
    "white_matter": (29, (1, 3, 2)),
    "csf": (8, (0, 0, 0)),
    "lesion_dark": (18, (2, 12, 10)),
    "lesion_bright": (72, (70, 60, 50)),
    "mediastinum": (-70, (5, 10, 10)),
    "table": (-250, (0, 0, 0)),
}

# Relative signal, 0 to 1, in common MR weightings: cine bSSFP, T1, T2, fat-suppressed T2.
_MR: dict[str, tuple[float, float, float, float]] = {
    "air": (0.0, 0.0, 0.0, 0.0),
    "gas": (0.03, 0.02, 0.02, 0.02),
    "lung": (0.08, 0.07, 0.06, 0.06),
    "fat": (0.80, 0.95, 0.75, 0.18),
    "skin": (0.50, 0.50, 0.35, 0.30),
    "muscle": (0.26, 0.38, 0.18, 0.28),
    "liver": (0.26, 0.50, 0.25, 0.35),
    "spleen": (0.45, 0.38, 0.45, 0.65),
    "pancreas": (0.35, 0.52, 0.35, 0.45),
    "kidney_cortex": (0.50, 0.45, 0.55, 0.70),
    "kidney_medulla": (0.55, 0.35, 0.65, 0.80),
    "fluid": (0.90, 0.15, 0.95, 1.00),
    "urine": (0.90, 0.12, 0.95, 1.00),
    "bile": (0.90, 0.25, 0.95, 1.00),
    "blood": (0.80, 0.30, 0.12, 0.15),
    "venous_blood": (0.76, 0.30, 0.15, 0.20),
    "myocardium": (0.30, 0.40, 0.28, 0.36),
    "gut_wall": (0.30, 0.42, 0.30, 0.42),
    "gut": (0.55, 0.35, 0.60, 0.70),
    "stool": (0.35, 0.45, 0.30, 0.35),
    "gland": (0.40, 0.45, 0.50, 0.60),
    "cortical_bone": (0.05, 0.06, 0.05, 0.05),
    "marrow": (0.50, 0.70, 0.50, 0.25),
    "disc": (0.40, 0.40, 0.55, 0.60),
    "cartilage": (0.50, 0.45, 0.50, 0.60),
    "grey_matter": (0.45, 0.45, 0.55, 0.60),
    "white_matter": (0.40, 0.62, 0.38, 0.42),
    "csf": (0.90, 0.18, 0.95, 1.00),
    "lesion_dark": (0.25, 0.25, 0.25, 0.25),
    "lesion_bright": (0.70, 0.60, 0.75, 0.85),
    "mediastinum": (0.65, 0.80, 0.60, 0.20),
    "table": (0.0, 0.0, 0.0, 0.0),
}

_HOLLOW = ("air", "gas", "lung", "cortical_bone", "table")
_FIXED = (*_HOLLOW, "fat", "mediastinum")
# Probability of fibres: seen in muscle, never in what flows.
_STRIPED = {
    "muscle": 0.4,
    **dict.fromkeys(("blood", "venous_blood", "urine", "bile", "fluid", "csf", "fat"), 0.0),
}
MR_SCALE = 1000.0
"""The palette's units of an MR tissue that gives full signal."""


@dataclass(frozen=True)
class Tissue:
    """What fills one object.

    Parameters
    ----------
    mean : float
        Mean intensity in the palette's units.
    weights : tuple of float
        Amplitude of each noise channel of the points, in the same units.
    stripes : float
        Amplitude of parallel stripes (fibres), in the same units.
    wave : (float, float, float)
        Wave vector of the stripes in radians per mm along z, y, x.
    """

    mean: float
    weights: tuple[float, ...] = ()
    stripes: float = 0.0
    wave: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def render(self, points: Points) -> torch.Tensor:
        """Intensities at the points, (Z, Y, X)."""
        value = torch.full_like(points.z, self.mean)
        for channel, weight in enumerate(self.weights):
            if weight:
                value.add_(points.noise[channel], alpha=weight)
        if self.stripes:
            z, y, x = self.wave
            phase = z * points.z + y * points.y + x * points.x + 1.5 * points.noise[2]
            value.add_(torch.sin(phase), alpha=self.stripes)
        return value

    def shifted(self, by: float) -> Tissue:
        """The same texture around another mean."""
        return replace(self, mean=self.mean + by)


class Palette:
    """The tissues' intensities in one scan.

    Parameters
    ----------
    draws : Draws
        Source of the contrast.
    modality : str
        ``"CT"`` (HU) or ``"MR"`` (0 to about 1000).
    camouflage : float
        Probability that the contrast between soft tissues is compressed.
    cine : float
        For MR, the probability of a bright-blood cine contrast.
    """

    def __init__(
        self, draws: Draws, modality: str, camouflage: float = 0.0, cine: float = 0.15
    ) -> None:
        self.modality = modality
        self._draws = draws
        self._means = _ct_means(draws) if modality == "CT" else _mr_means(draws, cine)
        self.unit = 1.0 if modality == "CT" else draws.uniform(3.0, 6.0)
        """Size of one HU of soft-tissue contrast in the palette's units."""
        self.contrast = draws.uniform(0.22, 0.7) if draws.chance(camouflage) else 1.0
        """Factor on the soft tissues' differences: below 1 where they are nearly alike."""
        if self.contrast < 1:
            self._compress(self.contrast)
        self._texture = draws.log_uniform(0.4, 2.0) * (1.0 if modality == "CT" else 1.4)

    def mean(self, name: str) -> float:
        """Mean intensity of a tissue."""
        return self._means[name]

    def tissue(self, name: str, spread: float = 1.0) -> Tissue:
        """One object's own intensities.

        Parameters
        ----------
        name : str
            A tissue of the tables.
        spread : float
            Scales how far the object's mean may lie from the tissue's.
        """
        draws, unit = self._draws, self.unit
        if name in _HOLLOW:
            rough = {"lung": 18.0, "cortical_bone": 60.0 if unit == 1.0 else 3.0}.get(name, 0)
            return Tissue(self._means[name], (0.0, 0.0, rough * unit, rough * unit * 0.5))
        mean = self._means[name] + draws.normal(0, 6.0 * spread) * unit
        if self.modality == "MR":
            mean = max(mean, 0.01 * MR_SCALE)
        drift = unit * draws.choice((0.0, 2.0, 5.0, 12.0), (4, 4, 3, 1))
        grain = unit * self._texture * draws.choice((0.5, 2.0, 5.0, 10.0), (3, 4, 3, 1))
        weights = (
            draws.normal(0, 1) * drift,
            draws.normal(0, 1) * drift,
            draws.normal(0, 0.8) * grain,
            draws.normal(0, 1) * grain,
        )
        if name in ("stool", "gut"):
            weights = (*weights[:2], 14 * unit * draws.normal(), 20 * unit * draws.normal())
        striped = draws.chance(_STRIPED.get(name, 0.05))
        stripes = unit * draws.uniform(3, 15) if striped else 0.0
        return Tissue(mean, weights, stripes, _wave(draws) if striped else (0.0, 0.0, 0.0))

    def near(self, tissue: Tissue, contrast: float) -> Tissue:
        """Another object's tissue whose mean differs by ``contrast`` HU, either way."""
        other = self.tissue("liver", 0.0)
        step = self._draws.sign() * contrast * self.unit
        return replace(other, mean=tissue.mean + step)

    def _compress(self, factor: float) -> None:
        soft = [name for name in self._means if name not in _FIXED]
        pivot = self._means[self._draws.choice(("muscle", "liver", "spleen", "gut_wall"))]
        for name in soft:
            self._means[name] = pivot + factor * (self._means[name] - pivot)


def _wave(draws: Draws) -> tuple[float, float, float]:
    """A wave vector, radians per mm, of stripes 3 to 10 mm apart."""
    size = 2 * math.pi / draws.log_uniform(3, 10)
    angle = draws.uniform(0, 2 * math.pi)
    return draws.normal(0, 0.1) * size, size * math.sin(angle), size * math.cos(angle)


def _ct_means(draws: Draws) -> dict[str, float]:
    phase = draws.choice((None, 0, 1, 2), (3, 2, 4, 1.5))
    dose = draws.uniform(0.5, 1.2)
    means = {}
    for name, (native, added) in _HU.items():
        mean = native + (dose * added[phase] if phase is not None else 0.0)
        if name not in _FIXED:
            mean += draws.normal(0, 6 if name not in ("marrow", "gut") else 20)
        means[name] = mean
    if draws.chance(0.25):  # fatty liver
        means["liver"] -= draws.uniform(10, 60)
    if draws.chance(0.2):  # oral contrast medium
        means["gut"] = draws.uniform(80, 350)
    means["lesion_dark"] = min(means["lesion_dark"], means["liver"] - draws.uniform(8, 60))
    means["lesion_bright"] = means["liver"] + draws.uniform(10, 70)
    return means


def _mr_means(draws: Draws, cine: float) -> dict[str, float]:
    style = 0 if draws.chance(cine) else draws.choice((1, 2, 3, None), (2, 2, 1.5, 3))
    gamma = draws.uniform(0.7, 1.5)
    means = {}
    for name, signals in _MR.items():
        if name in _HOLLOW:
            signal = signals[0] * draws.uniform(0.5, 1.5)
        elif style is None:
            signal = draws.uniform(0.08, 1.0)
        else:
            signal = max(0.03, signals[style] ** gamma + draws.normal(0, 0.05))
        means[name] = MR_SCALE * signal
    return means
