"""From a model's name or path to a model that is ready to work."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sss.engine.errors import ModelError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.environment import prepare_for_torch
from napari_sss.engine.models.files import cached_sha256, sha256_of
from napari_sss.engine.models.registry import (
    EMBEDDED,
    ModelEntry,
    entry,
    model_names,
)

if TYPE_CHECKING:
    import torch
    from sam2.modeling.sam2_base import SAM2Base

    from napari_sss.engine.models.architecture import Architecture
    from napari_sss.engine.models.sam2_model import Sam2Model

logger = logging.getLogger(__name__)

WEIGHTS_NAME = "model.safetensors"
"""The weights' file in the folder of a trained model."""


@dataclass(frozen=True)
class VerifyReport:
    """What was found of a model's file.

    Parameters
    ----------
    name : str
        As it was asked for.
    path : Path
        The weights' file.
    ok : bool
        Whether it is there, complete, unchanged, and fits the network it is for.
    detail : str
        One sentence: what is right, or what is wrong and what to do.
    sha256 : str
        Of the file; empty where there is none.
    kind : str
        The model the weights are for; empty where it was not recognised.
    """

    name: str
    path: Path
    ok: bool
    detail: str
    sha256: str = ""
    kind: str = ""


def load_model(
    name_or_path: str | Path = EMBEDDED,
    *,
    device: str | torch.device | None = None,
    image_size: int | None = None,
    precision: torch.dtype | None = None,
) -> Sam2Model:
    """Load a model for inference or fine-tuning.

    Parameters
    ----------
    name_or_path : str or Path
        A name of the registry, a checkpoint file, or the folder of a trained model.
    device : str or torch.device, optional
        Where it computes; None takes the fastest there is. Where the device has no room for
        the weights the CPU is used instead, with a warning; the model says where it is.
    image_size : int, optional
        Side of the model's square input in pixels, a multiple of 32; None takes the one it
        was trained with.
    precision : torch.dtype, optional
        None takes what suits the device.

    Raises
    ------
    ModelError
        The name is unknown, the file is missing, damaged or of another model, or the image
        size is not possible.
    DeviceError
        The device is absent.
    """
    path, known = locate(name_or_path)
    prepare_for_torch()
    from napari_sss.engine.models.architecture import build_sam2
    from napari_sss.engine.models.checkpoint import fill, read_checkpoint
    from napari_sss.engine.models.devices import choose_device

    chosen = choose_device(None if device is None else str(device))
    checkpoint = read_checkpoint(path)
    architecture = checkpoint.architecture
    if image_size is not None:
        check_image_size(image_size)
        architecture = architecture.at(image_size)
    net = build_sam2(architecture)
    fill(net, checkpoint)
    name = known.name if known else str(path)
    model = _placed(net.eval(), architecture, chosen, precision, name, cached_sha256(path))
    logger.info("Loaded %s (%s) on %s", name, checkpoint.kind, model.device)
    return model


def _placed(
    net: SAM2Base,
    architecture: Architecture,
    device: torch.device,
    precision: torch.dtype | None,
    name: str,
    sha256: str,
) -> Sam2Model:
    """The model on its device, or on the CPU where that has no room for it."""
    import torch

    from napari_sss.engine.models.devices import precision_for
    from napari_sss.engine.models.memory import is_out_of_memory
    from napari_sss.engine.models.sam2_model import Sam2Model

    try:
        return Sam2Model(
            net, architecture, device, precision or precision_for(device), name, sha256
        )
    except RuntimeError as error:
        if device.type == "cpu" or not is_out_of_memory(error):
            raise
        logger.warning("%s has no room for %s: using the CPU, slower.", device, name)
    cpu = torch.device("cpu")
    return Sam2Model(net, architecture, cpu, precision or precision_for(cpu), name, sha256)


def locate(name_or_path: str | Path) -> tuple[Path, ModelEntry | None]:
    """Find a model's weights, and its entry where it is a registered one.

    A registered name goes before a file of the same name; write ``./name`` for the file.

    Raises
    ------
    ModelError
        Nothing of that name or path, or a registered model that is not downloaded yet.
    """
    if str(name_or_path) in model_names():
        known = entry(str(name_or_path))
        if not known.path.is_file():
            raise _absent(known)
        return known.path, known
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        if not (path / WEIGHTS_NAME).is_file():
            raise ModelError(
                f"The folder {path} holds no trained model ({WEIGHTS_NAME} is missing).",
                "Choose the folder of a finished training, or a checkpoint file.",
                path,
            )
        return path / WEIGHTS_NAME, None
    if not path.is_file():
        raise ModelError(
            f"There is no model {str(name_or_path)!r}: neither a known name nor a file.",
            f"Choose one of {', '.join(model_names())}, or the path of a checkpoint.",
            path,
        )
    return path, None


def check_image_size(image_size: int) -> None:
    """Refuse image sizes that SAM-2's grid of stride 32 cannot hold.

    Raises
    ------
    ModelError
        ``image_size`` is not a multiple of 32, or smaller than 64.
    """
    if image_size < 64 or image_size % 32:
        raise ModelError(
            f"The image size {image_size} is not possible.",
            "Choose a multiple of 32, 64 or more (1024, 512 and 256 are usual).",
        )


def verify_model(name_or_path: str | Path, control: JobControl | None = None) -> VerifyReport:
    """Check that a model's file is there, complete, unchanged, and fits its network.

    Raises
    ------
    ModelError
        The name is unknown.
    Cancelled
        The user asked to stop.
    """
    from napari_sss.engine.models.architecture import build_sam2
    from napari_sss.engine.models.checkpoint import fill, read_checkpoint

    name = str(name_or_path)
    known = entry(name) if name in model_names() else None
    try:
        path, _ = locate(name_or_path)
    except ModelError as error:
        if known is None:
            raise
        return VerifyReport(name, known.path, False, str(error))
    sha256 = sha256_of(path, control, stage=f"verify {name}")
    try:
        checkpoint = read_checkpoint(path)
        expected = known.sha256 if known and known.sha256 else None
        if expected is None and checkpoint.card is not None:
            expected = checkpoint.card.sha256
        if expected not in (None, sha256):
            detail = f"Its SHA-256 is not {expected}: {_remedy(known)}"
            return VerifyReport(name, path, False, detail, sha256, checkpoint.kind)
        fill(build_sam2(checkpoint.architecture), checkpoint)
    except ModelError as error:
        return VerifyReport(name, path, False, str(error), sha256)
    detail = "Complete and unchanged." if expected else "Complete; no checksum to compare with."
    return VerifyReport(name, path, True, detail, sha256, checkpoint.kind)


def _absent(known: ModelEntry) -> ModelError:
    if known.is_packaged:
        return ModelError(
            f"The embedded model's weights {known.path} are missing.",
            "Install napari-sss again; a source tree needs its weights checked out.",
            known.path,
        )
    return ModelError(
        f"{known.title} is not on this computer yet ({known.path}).",
        f"Download it with: napari-sss models download {known.name}",
        known.path,
    )


def _remedy(known: ModelEntry | None) -> str:
    if known is None:
        return "the weights are not those that its card describes."
    if known.is_packaged:
        return "install napari-sss again."
    return f"download it again with: napari-sss models download {known.name}"
