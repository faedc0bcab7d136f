"""What an object of a tissue can be, in physical units."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_sss.engine.errors import VolumeError
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.region import Region


class PhysicalConstraints(BaseModel):
    """Limits an object must keep; None leaves a property free.

    Volumes and intensities are judged for the object as a whole. Shift and change of area
    are judged from each slice to the next along array axis 0 and per mm, so that the same
    limits hold for thin and thick slices.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_volume_ml: float | None = Field(
        None, ge=0, title="Smallest volume", description="Millilitres."
    )
    max_volume_ml: float | None = Field(
        None, gt=0, title="Largest volume", description="Millilitres."
    )
    max_length_mm: float | None = Field(
        None,
        gt=0,
        title="Largest length",
        description="Along the slices' axis, mm; a vessel runs on where an organ ends.",
    )
    intensity_range: tuple[float, float] | None = Field(
        None,
        title="Intensity range",
        description="Where the object's median intensity must lie, ends included.",
    )
    intensity_unit: Literal["HU", "percentile"] = Field(
        "HU",
        title="Intensity unit",
        description="HU for CT; percentiles (0 to 100) of the volume's intensities for MR.",
    )
    max_shift_mm_per_mm: float | None = Field(
        None,
        gt=0,
        title="Largest shift of the centroid",
        description="In-plane mm per mm from slice to slice; 1 is a slant of 45 degrees.",
    )
    max_area_change_per_mm: float | None = Field(
        None,
        gt=0,
        title="Largest change of area",
        description="Share of the larger of two neighbouring cross-sections, per mm.",
    )
    slice_rule: Literal["trim", "reject"] = Field(
        "trim",
        title="Where slices break a limit",
        description=(
            "trim keeps the run of slices around the largest cross-section, as where a mask "
            "leaks into a neighbour; reject drops the object."
        ),
    )

    @model_validator(mode="after")
    def _ordered(self) -> PhysicalConstraints:
        low, high = self.min_volume_ml, self.max_volume_ml
        if low is not None and high is not None and low > high:
            raise ValueError(f"the smallest volume {low} ml exceeds the largest {high} ml")
        if self.intensity_range is not None and (
            self.intensity_range[0] >= self.intensity_range[1]
        ):
            raise ValueError(f"the intensity range {self.intensity_range} is empty")
        return self

    def allow_volume(self, voxels: Any, grid: Grid) -> Any:
        """Whether objects of so many voxels (scalar or array) keep the limits of volume."""
        volume = np.asarray(voxels) * grid.voxel_ml
        # Half a millionth: a limit of exactly n voxels must not fail on rounding.
        slack = 5e-7 * volume
        low = -np.inf if self.min_volume_ml is None else self.min_volume_ml
        high = np.inf if self.max_volume_ml is None else self.max_volume_ml
        return (volume + slack >= low) & (volume - slack <= high)

    def intensity_limits(self, intensities: NDArray[Any] | None) -> tuple[float, float] | None:
        """The intensity range in the volume's own units, or None where there is no limit."""
        if self.intensity_range is None or intensities is None:
            return None
        if self.intensity_unit == "HU":
            return self.intensity_range
        low, high = np.percentile(evenly_sampled(intensities), self.intensity_range)
        return float(low), float(high)

    def keep(self, region: Region, grid: Grid) -> Region | None:
        """The part of an object that keeps the limits between slices, of length and volume.

        Parameters
        ----------
        region : Region
            The object.
        grid : Grid
            Gives the spacing.

        Returns
        -------
        Region or None
            The object, trimmed where ``slice_rule`` says so; None where it is rejected.
        """
        breaks = self._breaks(region, grid)
        if breaks.any():
            if self.slice_rule == "reject":
                return None
            region = _run_around_largest(region, breaks)
        if self.max_length_mm is not None:
            length = region.mask.shape[0] * grid.spacing[0]
            # The slack is rounding's: a limit of exactly n slices must hold n slices.
            if length > self.max_length_mm * (1 + 1e-6):
                return None
        return region if self.allow_volume(region.voxels, grid) else None

    def _breaks(self, region: Region, grid: Grid) -> NDArray[np.bool_]:
        """Whether a limit is broken from each slice of the object to its next."""
        areas = np.count_nonzero(region.mask, axis=(1, 2)).astype(np.float64)
        breaks = np.zeros(max(0, len(areas) - 1), dtype=bool)
        dz = grid.spacing[0]
        if self.max_area_change_per_mm is not None:
            larger = np.maximum(np.maximum(areas[1:], areas[:-1]), 1)
            breaks |= np.abs(np.diff(areas)) / larger / dz > self.max_area_change_per_mm
        if self.max_shift_mm_per_mm is not None:
            centroids = cross_section_centroids(region) * np.asarray(grid.spacing[1:])
            shifts = np.linalg.norm(np.diff(centroids, axis=0), axis=1)
            breaks |= shifts / dz > self.max_shift_mm_per_mm
        return breaks


def evenly_sampled(intensities: NDArray[Any]) -> NDArray[np.float64]:
    """About a million voxels spread evenly over a volume, for its percentiles."""
    step = max(1, round((intensities.size / 1e6) ** (1 / 3)))
    sample = np.asarray(intensities[::step, ::step, ::step], dtype=np.float64)
    return sample[np.isfinite(sample)]


def cross_section_centroids(region: Region) -> NDArray[np.float64]:
    """``(y, x)`` of each cross-section's centroid, in voxels of the region's mask."""
    rows = region.mask.sum(axis=2, dtype=np.float64)
    columns = region.mask.sum(axis=1, dtype=np.float64)
    areas = np.maximum(rows.sum(axis=1), 1)
    y = rows @ np.arange(rows.shape[1]) / areas
    x = columns @ np.arange(columns.shape[1]) / areas
    return np.stack([y, x], axis=1)


def median_intensity(region: Region, intensities: NDArray[Any]) -> float:
    """The median of the intensities inside an object.

    Raises
    ------
    VolumeError
        Where the object holds NaN or infinities.
    """
    inside = intensities[region.slices][region.mask]
    if not np.isfinite(inside).all():
        raise VolumeError(
            "The volume holds NaN or infinite intensities inside an object.",
            "Replace them, for instance by the lowest intensity, before prompting.",
        )
    return float(np.median(inside))


def _run_around_largest(region: Region, breaks: NDArray[np.bool_]) -> Region:
    """The slices around the largest cross-section up to the nearest break on each side."""
    best = int(np.argmax(np.count_nonzero(region.mask, axis=(1, 2))))
    places = np.flatnonzero(breaks)  # a break at i lies between slices i and i + 1
    below, above = places[places < best], places[places >= best]
    start = int(below[-1]) + 1 if below.size else 0
    stop = int(above[0]) + 1 if above.size else len(region.mask)
    z, y, x = region.offset
    return Region.of(region.mask[start:stop], (z + start, y, x))
