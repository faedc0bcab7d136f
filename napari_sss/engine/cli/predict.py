"""``napari-sss predict``: label maps of many volumes from a trained model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.output import say, tell
from napari_sss.engine.cli.terminal import terminal_job

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.inference.prediction import PredictOptions
    from napari_sss.engine.models.sss.trained import TrainedModel


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "predict",
        help="label maps from a trained model",
        description="Write a label map, on its own grid, for every image of a folder.",
    )
    add_trained_arguments(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="where to write"
    )


def add_trained_arguments(parser: argparse.ArgumentParser) -> None:
    """The trained model, the images, and how it predicts."""
    parser.add_argument(
        "--model", type=Path, required=True, metavar="RUN", help="the folder of a training"
    )
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="the folder of images"
    )
    parser.add_argument(
        "--stages",
        choices=("head", "fused", "sam"),
        default="head",
        help="the semantic head, SAM-2's prompted masks, or both fused (default: head)",
    )
    parser.add_argument(
        "--zoom",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look closer at what a first pass found, as the model was trained to",
    )
    parser.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1 or mps")
    parser.add_argument(
        "--image-size", type=int, metavar="S", help="side of a slice (default: the model's)"
    )
    parser.add_argument(
        "--on-error",
        choices=("skip", "refuse"),
        default="skip",
        help="leave out what cannot be read, with its name, or stop",
    )


def load_trained_model(args: argparse.Namespace) -> tuple[TrainedModel, PredictOptions]:
    """The model and its options as the arguments say."""
    from napari_sss.engine.inference.prediction import PredictOptions
    from napari_sss.engine.models.sss.trained import load_trained

    trained = load_trained(args.model, device=args.device, image_size=args.image_size)
    return trained, PredictOptions(stages=args.stages, zoom=args.zoom)


def run(args: argparse.Namespace) -> int:
    """Predict every image."""
    from napari_sss.engine.errors import InputError
    from napari_sss.engine.inference.prediction import predict_volume
    from napari_sss.engine.models.files import writing
    from napari_sss.engine.training.data.cases import scans_in
    from napari_sss.engine.training.data.preparing import read_case_volume
    from napari_sss.engine.volumes.writing import write_labels

    cases = scans_in(args.images)
    trained, options = load_trained_model(args)
    with writing(args.output):
        args.output.mkdir(parents=True, exist_ok=True)
    sidecar = _sidecar(trained, args)
    with terminal_job() as control:
        for number, case in enumerate(cases):
            control.report("predict", number, len(cases))
            try:
                volume = read_case_volume(case)
            except InputError as error:
                if args.on_error == "refuse":
                    raise
                tell(f"{case.name} is left out: {error}")
                continue
            labels = predict_volume(volume, trained, options, control).labels()
            path = args.output / f"{case.name}.nii.gz"
            write_labels(
                labels, volume.grid, path, sidecar=sidecar | {"image": case.image.name}
            )
            say(str(path))
        control.report("predict", len(cases), len(cases))
    return ExitCode.OK


def _sidecar(trained: TrainedModel, args: argparse.Namespace) -> dict[str, Any]:
    """How the masks were made."""
    from napari_sss._version import __version__

    return {
        "program": f"napari-sss {__version__}",
        "model": str(args.model),
        "model_sha256": trained.segmenter.sam2.sha256,
        "semantic_sha256": trained.facts.semantic_sha256,
        "stages": args.stages,
        "zoom": args.zoom,
        "classes": trained.facts.classes,
        "not_for": "clinical use",
    }
