"""How a mask was made, as JSON beside it: enough to make it again and to trust it.

The scan is named by its SHA-256 alone. Paths and file names stay out, for they often carry a
patient's name.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sss.engine.inference.result import Segmentation, SegmentedObject
from napari_sss.engine.models.files import sha256_of
from napari_sss.engine.prompts.promptfile import prompts_to_dict
from napari_sss.engine.prompts.types import ObjectPrompts, PromptSet
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Volume

if TYPE_CHECKING:
    from napari_sss.engine.models.sam2_model import Sam2Model

VERSION = 1

_PACKAGES = ("napari-sss", "torch", "sam2", "numpy", "scipy", "scikit-image", "SimpleITK")


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights made a mask.

    Parameters
    ----------
    name : str
        The registry's name, or the file name of a checkpoint.
    sha256 : str
        Of the weights.
    image_size : int
        Side of the square the model saw, pixels.
    device : str
        Where it computed.
    """

    name: str
    sha256: str
    image_size: int
    device: str

    @classmethod
    def of(cls, model: Sam2Model) -> ModelIdentity:
        """The identity of a loaded model."""
        name = Path(model.name).name
        return cls(name, model.sha256, model.image_size, str(model.device))


def provenance(
    volume: Volume,
    segmentation: Segmentation,
    *,
    model: ModelIdentity,
    window: IntensityWindow,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of a mask's sidecar.

    Parameters
    ----------
    volume : Volume
        The scan.
    segmentation : Segmentation
        What was found; its class table says what the mask's values mean.
    model : ModelIdentity
        The weights.
    window : IntensityWindow
        What the model saw of the intensities.
    settings : mapping
        The options of the run, plain content.
    """
    return {
        "format": "napari-sss mask",
        "version": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "classes": dict(segmentation.class_ids),
        "objects": [
            {
                "id": segmented.prompts.id,
                "class": segmented.prompts.class_name,
                "confidence": round(segmented.confidence, 4),
                "mask": segmented.origin,
            }
            for segmented in _by_id(segmentation)
        ],
        "source": _source(volume),
        "grid": _grid(segmentation.grid),
        "model": asdict(model),
        "window": asdict(window),
        "settings": dict(settings),
        "prompts": _prompts(segmentation, volume.source.frame),
        "software": _software(),
        "notice": "Made by a research tool. Not for clinical use.",
    }


def _by_id(segmentation: Segmentation) -> list[SegmentedObject]:
    return sorted(segmentation.objects, key=lambda segmented: segmented.prompts.id)


def _source(volume: Volume) -> dict[str, Any]:
    """The scan's fingerprint: of its file, or of its voxels where several files hold it."""
    path = volume.source.path
    if path is not None and path.is_file():
        hashed, digest = "file", sha256_of(path)
    else:
        array = np.ascontiguousarray(volume.array)
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        hashed, digest = "voxels", hashlib.sha256(little_endian.data).hexdigest()
    return {
        "sha256": digest,
        "sha256_of": hashed,
        "frame": volume.source.frame,
        "modality": volume.modality,
        "spacing_known": volume.spacing_known,
        "notes": [_unnamed(note, path) for note in volume.notes],
    }


def _unnamed(note: str, path: Path | None) -> str:
    """The note without the name of the file, which may be the patient's."""
    if path is None:
        return note
    return note.replace(str(path), "the file").replace(path.name, "the file")


def _grid(grid: Grid) -> dict[str, Any]:
    return {
        "shape_zyx": list(grid.shape),
        "spacing_zyx_mm": list(grid.spacing),
        "origin_xyz_lps_mm": list(grid.origin),
        "direction": list(grid.direction),
    }


def _prompts(segmentation: Segmentation, frame: int | None) -> dict[str, Any]:
    """The prompts as a prompt file holds them, masks by their SHA-256 instead of a path."""
    owners = [segmented.prompts for segmented in _by_id(segmentation)]
    content = prompts_to_dict(PromptSet(tuple(map(_without_masks, owners)), frame))
    for owner, entry in zip(owners, content["objects"], strict=True):
        for prompt, prompt_entry in zip(owner.prompts, entry["prompts"], strict=True):
            if prompt.mask is not None:
                prompt_entry["mask_sha256"] = sha256_of(prompt.mask)
    return content


def _without_masks(owner: ObjectPrompts) -> ObjectPrompts:
    return replace(owner, prompts=tuple(replace(p, mask=None) for p in owner.prompts))


def _software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
