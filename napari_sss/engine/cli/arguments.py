"""Arguments that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sss.engine.cli.output import tell

if TYPE_CHECKING:
    from typing import TypeAlias

    from napari_sss.engine.models.sam2_model import Sam2Model
    from napari_sss.engine.volumes.volume import Volume

    Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """The scan, and what the file itself may not tell about it."""
    parser.add_argument(
        "image",
        type=Path,
        metavar="IMAGE",
        help="a NIfTI, NRRD, MHA or DICOM file, or the folder of a DICOM series",
    )
    add_reading_arguments(parser)


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """What files may not tell about the scans in them."""
    group = parser.add_argument_group("reading")
    group.add_argument("--series", metavar="UID", help="which series of a DICOM folder to read")
    group.add_argument(
        "--frame", type=int, metavar="N", help="which frame of a 4-D file to read, from 0"
    )
    group.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help="millimetres between voxels, for a file that does not tell",
    )
    group.add_argument(
        "--modality",
        choices=("CT", "MR", "unknown"),
        help="instead of what the header says or the intensities suggest",
    )
    group.add_argument(
        "--nan",
        choices=("refuse", "fill"),
        default="refuse",
        help="what to do with NaN and infinities: fill gives them the smallest intensity",
    )
    group.add_argument(
        "--shear",
        choices=("refuse", "resample"),
        default="refuse",
        help="what to do with axes that are not at right angles, as of a tilted gantry",
    )


def read_image(args: argparse.Namespace) -> Volume:
    """Read the scan that :func:`add_image_arguments` describes; its notes go to stderr.

    Raises
    ------
    VolumeError
        It cannot be read as asked.
    """
    from napari_sss.engine.volumes.reading import read_volume

    volume = read_volume(
        args.image,
        series_uid=args.series,
        frame=args.frame,
        spacing=None if args.spacing is None else tuple(args.spacing),
        modality=args.modality,
        nan=args.nan,
        shear=args.shear,
    )
    for note in volume.notes:
        tell(f"note: {note}")
    return volume


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, where it runs, and what it sees of the intensities."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="embedded",
        metavar="NAME|PATH",
        help="a name that 'napari-sss models list' shows, or a checkpoint (default: embedded)",
    )
    group.add_argument(
        "--device", metavar="D", help="cpu, cuda, cuda:1 or mps (default: the best there is)"
    )
    group.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help="side of the image the model sees, a multiple of 32 (default: the model's own)",
    )
    group.add_argument(
        "--window",
        metavar="NAME",
        help="the intensity window, see 'napari-sss presets' (default: by the modality)",
    )


def load_chosen_model(args: argparse.Namespace) -> Sam2Model:
    """Load the model that :func:`add_model_arguments` describes.

    Raises
    ------
    ModelError
        There is no such model, or it cannot be loaded.
    DeviceError
        This machine has no such device.
    """
    from napari_sss.engine.models.loading import load_model

    return load_model(args.model, device=args.device, image_size=args.image_size)


def add_result_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the masks and what is told about them go."""
    group = parser.add_argument_group("results")
    group.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="MASK",
        help="the mask of class ids (.nii.gz, .nii, .nrrd, .mha) on the scan's own grid",
    )
    group.add_argument(
        "--instances", type=Path, metavar="F", help="also a mask of object ids, beside it"
    )
    group.add_argument(
        "--report", type=Path, metavar="R.json", help="the table of objects, with all figures"
    )
    group.add_argument(
        "--picture", type=Path, metavar="P.png", help="slices with prompts and masks"
    )
    add_json_argument(parser, "print the report")


def add_json_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """``--json``: what goes to stdout is one JSON document and nothing else."""
    parser.add_argument("--json", action="store_true", help=f"{what} as JSON, and only that")
