"""``napari-sss auto``: prompts and masks of a whole volume, with nobody at the mouse."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sss.engine.cli.arguments import (
    add_image_arguments,
    add_model_arguments,
    add_result_arguments,
    load_chosen_model,
    read_image,
)
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.results import Outputs, Results, tell_results, write_results
from napari_sss.engine.cli.terminal import Stopwatch, terminal_job

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.models.sss.trained import TrainedModel
    from napari_sss.engine.volumes.volume import Volume


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "auto",
        help="find objects, prompt them with PCSW and segment them with SAM-2",
        description="Find objects, prompt them with PCSW and segment them with SAM-2.",
    )
    add_image_arguments(parser)
    group = parser.add_argument_group("objects")
    group.add_argument(
        "--source",
        choices=("intensity", "everything", "model"),
        default="intensity",
        help="where candidates come from: a tissue preset, SAM-2's grid of points, or the "
        "model's own semantic head (default: intensity)",
    )
    group.add_argument(
        "--preset",
        metavar="NAME",
        help="the tissue to look for, see 'napari-sss presets' (default: soft-tissue for a CT, "
        "mr-intermediate for an MR)",
    )
    group.add_argument(
        "--no-propagate",
        dest="propagate",
        action="store_false",
        help="decode the prompted slices and no others",
    )
    add_model_arguments(parser)
    add_result_arguments(parser)
    parser.add_argument(
        "--prompts-out",
        type=Path,
        metavar="P.json",
        help="the prompts that were made, for 'napari-sss segment' or the viewer",
    )


def run(args: argparse.Namespace) -> int:
    """Read, prompt, segment, write."""
    outputs = Outputs.of(args)
    outputs.check(args.image)
    watch = Stopwatch()
    volume = read_image(args)
    watch.lap("read")
    results = auto_results(volume, args, watch)
    write_results(results, outputs)
    tell_results(results, outputs, as_json=args.json)
    return ExitCode.OK


def auto_results(volume: Volume, args: argparse.Namespace, watch: Stopwatch) -> Results:
    """Segment a volume as the arguments of the command say."""
    # Not before the scan was read: a faulty file is refused before anyone waits for torch.
    from napari_sss.engine.inference.auto import AutoOptions, auto_segment
    from napari_sss.engine.prompts.presets import tissue_preset
    from napari_sss.engine.reports.sidecar import ModelIdentity
    from napari_sss.engine.volumes.intensity import window_for

    preset = _preset_name(volume, args)
    preset_window = tissue_preset(preset).window if preset else None
    window = window_for(volume, args.window or preset_window)
    options = AutoOptions(source=args.source, preset=preset, propagate=args.propagate)
    trained = _trained(args)
    model = load_chosen_model(args) if trained is None else trained.segmenter.sam2
    watch.lap("model")
    with terminal_job() as control:
        segmentation = auto_segment(
            volume, model, options, window=window, trained=trained, control=control
        )
    watch.lap("segment")
    settings = {"command": args.command, **options.model_dump(mode="json", exclude_none=True)}
    return Results(
        volume, segmentation, ModelIdentity.of(model), window, settings, watch.seconds
    )


def _trained(args: argparse.Namespace) -> TrainedModel | None:
    """The trained model, where its head is to find the candidates."""
    if args.source != "model":
        return None
    from napari_sss.engine.models.sss.trained import load_trained

    return load_trained(Path(args.model), device=args.device, image_size=args.image_size)


def _preset_name(volume: Volume, args: argparse.Namespace) -> str | None:
    """The tissue asked for, or the one for any organ; only one source looks at it."""
    if args.source != "intensity":
        return None
    return args.preset or ("mr-intermediate" if volume.modality == "MR" else "soft-tissue")
