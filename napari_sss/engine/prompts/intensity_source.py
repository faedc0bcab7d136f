"""Coarse masks from intensities alone, for when nothing has been trained yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sss.engine.errors import VolumeError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.body import body_mask
from napari_sss.engine.prompts.components import keep_components
from napari_sss.engine.prompts.constraints import evenly_sampled
from napari_sss.engine.prompts.morphology import close, dilate, open_
from napari_sss.engine.prompts.presets import DenseTissue, TissuePreset
from napari_sss.engine.prompts.separation import separate
from napari_sss.engine.prompts.working_grid import WorkingGrid
from napari_sss.engine.volumes.grid import Grid, Vector3
from napari_sss.engine.volumes.region import Region
from napari_sss.engine.volumes.volume import Volume

# Objects are told apart on blocks of about this size: finer than what is eroded, coarse
# enough for the distance transforms that it takes.
_SEPARATION_BLOCK_MM = 2.5
_EROSION_STEP_MM = 1.5
_STEPS = 5

# Noise and calcifications reach the HU of a seed too, in specks.
_LEAST_SEED_ML = 0.1

# The largest value of 12 bits: metal beyond it would shine into its surroundings when blurred.
_BRIGHTEST_HU = 3071


@dataclass(frozen=True)
class IntensitySource:
    """The candidate source of a tissue preset.

    Parameters
    ----------
    preset : TissuePreset
        What to look for.
    """

    preset: TissuePreset

    def candidates(
        self, volume: Volume, control: JobControl | None = None
    ) -> Mapping[str, NDArray[Any]]:
        """The tissue's coarse mask.

        Parameters
        ----------
        volume : Volume
            The scan; in HU where the preset is for CT.
        control : JobControl, optional
            Hears how far the work is and may cancel it.

        Returns
        -------
        mapping of str to (Z, Y, X) array
            One entry, the preset's class: bool, or unsigned labels where the preset
            separates objects.

        Raises
        ------
        VolumeError
            Where the volume holds NaN or infinities, or is an MR and the preset for CT, or
            the other way round.
        """
        control = control or JobControl()
        self._check(volume)
        control.report("candidates", 0, _STEPS)
        inside, box = self._inside(volume)
        found = self._found_in(volume, inside, box, control)
        control.report("candidates", _STEPS, _STEPS)
        full = np.zeros(volume.grid.shape, dtype=found.dtype)
        full[box] = found
        return {self.preset.class_name: full}

    def _check(self, volume: Volume) -> None:
        if volume.array.dtype.kind == "f" and not (
            np.isfinite(volume.array.min()) and np.isfinite(volume.array.max())
        ):
            raise VolumeError(
                f"The volume {volume.source.name} holds NaN or infinite intensities.",
                "Replace them, for instance by the lowest intensity.",
                volume.source.path,
            )
        if volume.modality not in (self.preset.modality, "unknown"):
            raise VolumeError(
                f"The preset {self.preset.name} is for {self.preset.modality}, and "
                f"{volume.source.name} is {volume.modality}.",
                "Choose a preset of that modality.",
                volume.source.path,
            )

    def _inside(
        self, volume: Volume
    ) -> tuple[NDArray[np.bool_] | None, tuple[slice, slice, slice]]:
        """The body and the box around it; everything where the preset is for MR."""
        if self.preset.modality != "CT":
            z, y, x = (slice(0, size) for size in volume.grid.shape)
            return None, (z, y, x)
        body = body_mask(volume)
        region = Region.of(body)
        return region.mask, region.slices

    def _found_in(
        self,
        volume: Volume,
        inside: NDArray[np.bool_] | None,
        box: tuple[slice, slice, slice],
        control: JobControl,
    ) -> NDArray[Any]:
        """The tissue in the box."""
        grid = volume.grid
        array = volume.array[box]
        if self.preset.modality == "CT":
            array = np.minimum(array, _BRIGHTEST_HU)
        intensities = smoothed(array, self.preset.smoothing_mm, grid.spacing)
        low, high = self._limits(volume)
        mask = (intensities >= low) & (intensities <= high)
        control.report("candidates", 1, _STEPS)
        if inside is not None:
            mask &= inside
        if self.preset.exclude is not None:
            mask &= ~_dense(array, self.preset.exclude, grid.spacing)
        control.report("candidates", 2, _STEPS)
        if self.preset.seed is not None:
            mask &= self._near_seeds(mask & (intensities >= self.preset.seed), grid)
        control.report("candidates", 3, _STEPS)
        mask = self._cleaned(mask, inside, grid)
        control.report("candidates", 4, _STEPS)
        if self.preset.separation is None:
            return mask
        return self._separated(mask, grid.spacing, control)

    def _near_seeds(self, seeds: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
        """All that lies within reach of a seed that is no speck."""
        seeds = keep_components(seeds, _LEAST_SEED_ML / grid.voxel_ml)
        return dilate(seeds, self.preset.seed_reach_mm, grid.spacing)

    def _cleaned(
        self, mask: NDArray[np.bool_], inside: NDArray[np.bool_] | None, grid: Grid
    ) -> NDArray[np.bool_]:
        """The mask closed, opened and rid of parts that are too small."""
        preset = self.preset
        if preset.closing_mm:
            mask = close(mask, preset.closing_mm, grid.spacing)
            if inside is not None:
                mask &= inside
        if preset.opening_mm:
            mask = open_(mask, preset.opening_mm, grid.spacing)
        return keep_components(mask, (preset.constraints.min_volume_ml or 0.0) / grid.voxel_ml)

    def _limits(self, volume: Volume) -> tuple[float, float]:
        """The range in the volume's own units."""
        low, high = self.preset.intensity_range
        if self.preset.modality == "MR":
            sample = evenly_sampled(volume.array)
            low = None if low is None else float(np.percentile(sample, low))
            high = None if high is None else float(np.percentile(sample, high))
        return -np.inf if low is None else low, np.inf if high is None else high

    def _separated(
        self, mask: NDArray[np.bool_], spacing: Vector3, control: JobControl
    ) -> NDArray[np.uint16]:
        """Labels of the mask's objects."""
        rules, limits = self.preset.separation, self.preset.constraints
        if rules is None or not mask.any():
            return mask.astype(np.uint16)
        grid = WorkingGrid.near(mask.shape, spacing, _SEPARATION_BLOCK_MM)
        coarse = grid.means(mask) >= 0.5
        block_ml = float(np.prod(grid.spacing)) / 1000
        shallow, deep = rules.erosion_mm
        labels = separate(
            coarse,
            grid.spacing,
            tuple(np.arange(shallow, deep + 1e-6, _EROSION_STEP_MM)),
            (limits.min_volume_ml or 0.0) / block_ml,
            np.inf if limits.max_volume_ml is None else limits.max_volume_ml / block_ml,
            rules.min_isolation,
            control,
        )
        if grid.is_fine:
            return labels
        # The blocks that an object's free surface cuts through belong to it as well.
        rim = ndimage.grey_dilation(labels, size=3)
        labels = np.where((labels == 0) & ~coarse, rim, labels)
        return np.where(mask, grid.upsample(labels), 0).astype(np.uint16)


def smoothed(array: NDArray[Any], sigma_mm: float, spacing: Vector3) -> NDArray[np.float32]:
    """Intensities after a Gaussian of ``sigma_mm``; axes with coarser voxels stay the same."""
    array = array.astype(np.float32)
    sigma = [sigma_mm / step if sigma_mm >= step / 3 else 0.0 for step in spacing]
    return ndimage.gaussian_filter(array, sigma, truncate=2.5) if any(sigma) else array


def _dense(array: NDArray[Any], rule: DenseTissue, spacing: Vector3) -> NDArray[np.bool_]:
    """Bone and metal with their rim."""
    dense = array >= rule.min_hu
    if rule.closing_mm:
        dense = close(dense, rule.closing_mm, spacing)
    return dilate(dense, rule.margin_mm, spacing)
