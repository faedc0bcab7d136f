"""The models that napari-sss knows by name, and where their files lie on this computer.

Nothing here imports torch, so that listing models is immediate.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from napari_sss.engine.errors import ModelError

MODELS_FOLDER_VARIABLE = "NAPARI_SSS_MODELS"
"""Environment variable that names another folder for downloaded models."""

EMBEDDED = "embedded"
"""Name of the model that comes inside the package."""

_OFFICIAL_URL = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
_OFFICIAL_SOURCE = (
    "Published by Meta without checksums; size and SHA-256 are those that several "
    "independent public projects pin for this file."
)


@dataclass(frozen=True)
class ModelEntry:
    """What is known of a model before any of its weights are read.

    Parameters
    ----------
    name : str
        What the user types and what a report records.
    title : str
        What the panel shows.
    file_name : str
        Name of the weights' file.
    licence : str
        SPDX identifier of the weights' licence.
    source : str
        Who made the weights, and where the checksum comes from.
    image_size : int
        Pixels along each side of the square image the model was trained on.
    parameters : int
        Weights in all, rounded to 0.1 million.
    url : str, optional
        Where the file can be downloaded; None for what the package brings.
    size : int, optional
        Bytes of the file.
    sha256 : str, optional
        SHA-256 of the file, lower-case hexadecimal. None for the packaged model, whose card
        holds it.
    """

    name: str
    title: str
    file_name: str
    licence: str
    source: str
    image_size: int
    parameters: int
    url: str | None = None
    size: int | None = None
    sha256: str | None = None

    @property
    def is_packaged(self) -> bool:
        """Whether the weights come with the package and need no download."""
        return self.url is None

    @property
    def path(self) -> Path:
        """Where the weights lie, or will lie once they are downloaded."""
        folder = packaged_folder() if self.is_packaged else models_folder()
        return folder / self.file_name


def _official(
    size_name: str, title: str, parameters: int, size: int, sha256: str
) -> ModelEntry:
    file_name = f"sam2.1_hiera_{size_name}.pt"
    return ModelEntry(
        name=f"sam2.1-{size_name.replace('_', '-')}",
        title=f"SAM 2.1 {title}",
        file_name=file_name,
        licence="Apache-2.0",
        source=_OFFICIAL_SOURCE,
        image_size=1024,
        parameters=parameters,
        url=_OFFICIAL_URL + file_name,
        size=size,
        sha256=sha256,
    )


_ENTRIES = (
    ModelEntry(
        name=EMBEDDED,
        title="Embedded",
        file_name="embedded.safetensors",
        licence="BSD-3-Clause",
        source="Trained by this project on procedurally generated images only.",
        image_size=192,
        parameters=6_930_000,
    ),
    _official(
        "tiny",
        "tiny",
        39_000_000,
        156_008_466,
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ),
    _official(
        "small",
        "small",
        46_100_000,
        184_416_285,
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ),
    _official(
        "base_plus",
        "base+",
        80_900_000,
        323_606_802,
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ),
    _official(
        "large",
        "large",
        224_400_000,
        898_083_611,
        "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
    ),
)


def model_names() -> tuple[str, ...]:
    """Return the names of all registered models, the embedded one first, then by size."""
    return tuple(entry.name for entry in _ENTRIES)


def entry(name: str) -> ModelEntry:
    """Look up a registered model by its name.

    Raises
    ------
    ModelError
        No model is registered under ``name``; the message lists the names.
    """
    for known in _ENTRIES:
        if known.name == name:
            return known
    raise ModelError(
        f"No model is called {name!r}.",
        f"Choose one of {', '.join(model_names())}, or give the path of a checkpoint file.",
    )


def models_folder() -> Path:
    """Return the folder of downloaded models: the user's cache, or ``$NAPARI_SSS_MODELS``."""
    chosen = os.environ.get(MODELS_FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return user_cache_path("napari-sss", appauthor=False) / "models"


def packaged_folder() -> Path:
    """Return the folder of the weights that come with the package."""
    return Path(__file__).parent / "weights"
