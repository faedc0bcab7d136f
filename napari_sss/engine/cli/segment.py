"""``napari-sss segment``: masks from prompts that are given."""

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
from napari_sss.engine.cli.replaying import read_replay, replayed
from napari_sss.engine.cli.results import Outputs, Results, tell_results, write_results
from napari_sss.engine.cli.terminal import Stopwatch, terminal_job
from napari_sss.engine.errors import PromptError

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.prompts.types import PromptSet
    from napari_sss.engine.volumes.volume import Volume


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "segment",
        help="masks from boxes, points, strokes, polygons or masks in a prompt file",
        description="Segment the objects that a prompt file names.",
    )
    add_image_arguments(parser)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--prompts", type=Path, metavar="P.json", help="the prompt file")
    asked.add_argument(
        "--replay",
        type=Path,
        metavar="MASK.json",
        help="the sidecar of a mask exported from a project: make that mask again",
    )
    parser.add_argument(
        "--no-propagate",
        dest="propagate",
        action="store_false",
        help="decode the prompted slices and no others",
    )
    add_model_arguments(parser)
    add_result_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read, segment, write."""
    from napari_sss.engine.prompts.promptfile import read_prompts

    outputs = Outputs.of(args)
    given = args.replay or args.prompts
    outputs.check(args.image, given)
    watch = Stopwatch()
    replay = read_replay(given) if args.replay else None
    prompts = read_prompts(given) if replay is None else replay.prompts
    args.frame = _agreed_frame(args.frame, prompts, given)
    volume = read_image(args)
    watch.lap("read")
    if replay is None:
        results = _results(volume, prompts, args, watch)
    else:
        results = replayed(volume, replay, args, watch)
    write_results(results, outputs)
    tell_results(results, outputs, as_json=args.json)
    return ExitCode.OK


def _results(
    volume: Volume, prompts: PromptSet, args: argparse.Namespace, watch: Stopwatch
) -> Results:
    # Not before the scan was read: a faulty file is refused before anyone waits for torch.
    from napari_sss.engine.inference.segment import segment_prompts
    from napari_sss.engine.reports.sidecar import ModelIdentity
    from napari_sss.engine.volumes.intensity import window_for

    window = window_for(volume, args.window)
    model = load_chosen_model(args)
    watch.lap("model")
    with terminal_job() as control:
        segmentation = segment_prompts(
            volume, prompts, model, window=window, propagate=args.propagate, control=control
        )
    watch.lap("segment")
    settings = {"command": args.command, "propagate": args.propagate}
    return Results(
        volume, segmentation, ModelIdentity.of(model), window, settings, watch.seconds
    )


def _agreed_frame(frame: int | None, prompts: PromptSet, given: Path) -> int | None:
    """The frame that arguments and prompt file ask for, if either does."""
    asked = {wanted for wanted in (frame, prompts.frame) if wanted is not None}
    if len(asked) > 1:
        raise PromptError(
            f"{given} was made for frame {prompts.frame}, not for {frame}.",
            "Leave --frame out, or give the prompts of that frame.",
            given,
        )
    return next(iter(asked), None)
