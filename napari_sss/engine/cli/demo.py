"""``napari-sss demo``: the whole way, on a CT that the package makes itself.

The CT is a phantom with known truth. It is written as NIfTI and read back like anybody's
scan; the embedded model needs nothing from the network.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sss.engine.cli.arguments import add_json_argument, add_model_arguments
from napari_sss.engine.cli.auto import auto_results
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.results import Outputs, tell_results, write_results
from napari_sss.engine.cli.terminal import Stopwatch
from napari_sss.engine.errors import WriteError

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.volumes.phantom import Phantom

_FOLDER = Path("demo-output")
_PRESET = "kidney-contrast"  # the phantom is a CT in the portal venous phase


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "demo",
        help="prompts and masks of a generated CT, with a picture and a table",
        description="Segment a generated CT with known truth; nothing is downloaded.",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=_FOLDER,
        metavar="DIR",
        help=f"where to write (default: {_FOLDER})",
    )
    parser.add_argument("--preset", default=_PRESET, metavar="NAME", help="the tissue")
    add_model_arguments(parser)
    add_json_argument(parser, "print the report")
    parser.set_defaults(source="intensity", propagate=True)


def run(args: argparse.Namespace) -> int:
    """Make the phantom, segment it, compare with its truth."""
    from napari_sss.engine.reports.table import Truth
    from napari_sss.engine.volumes.phantom import make_phantom
    from napari_sss.engine.volumes.reading import read_volume

    folder = _made(args.output)
    outputs = Outputs(
        mask=folder / "mask.nii.gz",
        instances=folder / "instances.nii.gz",
        report=folder / "report.json",
        picture=folder / "picture.png",
        prompts=folder / "prompts.json",
    )
    outputs.check()
    watch = Stopwatch()
    phantom = make_phantom()
    scan = _written(phantom, folder)
    watch.lap("phantom")
    volume = read_volume(scan)
    watch.lap("read")
    results = replace(
        auto_results(volume, args, watch), truth=Truth(phantom.labels, phantom.names)
    )
    write_results(results, outputs)
    tell_results(results, outputs, as_json=args.json)
    return ExitCode.OK


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            "Choose another one with --output.",
            folder,
        ) from error
    return folder


def _written(phantom: Phantom, folder: Path) -> Path:
    """The phantom as files: the scan, and its truth with the names of the structures."""
    from napari_sss.engine.volumes.writing import write_labels, write_volume

    classes = {name: label for label, name in phantom.names.items()}
    write_labels(
        phantom.labels,
        phantom.volume.grid,
        folder / "truth.nii.gz",
        sidecar={"classes": classes},
    )
    return write_volume(phantom.volume, folder / "ct.nii.gz")
