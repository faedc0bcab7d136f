"""Making an annotation's masks again from the sidecar that was exported with them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sss.engine.cli.arguments import load_chosen_model
from napari_sss.engine.cli.output import tell
from napari_sss.engine.cli.results import Results
from napari_sss.engine.cli.terminal import Stopwatch, terminal_job
from napari_sss.engine.errors import InputError, PromptError

if TYPE_CHECKING:
    from napari_sss.engine.project.provenance import Replay
    from napari_sss.engine.volumes.volume import Volume


def read_replay(path: Path) -> Replay:
    """Read an annotation's sidecar.

    Raises
    ------
    InputError
        If it cannot be read, or is no annotation's sidecar.
    """
    from napari_sss.engine.project.provenance import Replay

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: {error}.", "Give the sidecar of an exported mask.", path
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is no sidecar.", "Give that of an exported mask.", path)
    return Replay.of(content)


def check_scan(replay: Replay, volume: Volume, args: argparse.Namespace) -> None:
    """Refuse another scan than the one that was annotated.

    Raises
    ------
    PromptError
        If its content or its size is another one.
    """
    from napari_sss.engine.project.cases import Reading
    from napari_sss.engine.project.fingerprint import fingerprint_of

    reading = Reading(series_uid=volume.source.series_uid)
    same = fingerprint_of(args.image, reading) == replay.fingerprint
    if not same or volume.grid.shape != replay.shape:
        raise PromptError(
            f"{args.image} is not the scan that {args.replay} was made for.",
            "Give the scan that was annotated, unchanged.",
            args.image,
        )


def replayed(
    volume: Volume, replay: Replay, args: argparse.Namespace, watch: Stopwatch
) -> Results:
    """Have the model answer the prompts, and lay what was stored over its answers.

    Says on stderr whether the masks are the same, voxel by voxel.
    """
    from napari_sss.engine.inference.result import Segmentation, SegmentedObject
    from napari_sss.engine.inference.segment import segment_prompts
    from napari_sss.engine.prompts.types import ObjectPrompts
    from napari_sss.engine.reports.sidecar import ModelIdentity
    from napari_sss.engine.volumes.intensity import IntensityWindow, window_for
    from napari_sss.engine.volumes.region import Region

    check_scan(replay, volume, args)
    _check_models(replay)
    model = load_chosen_model(args)
    watch.lap("model")
    made: dict[int, Region] = {}
    window = window_for(volume, args.window)
    with terminal_job() as control:
        for key in dict.fromkeys(replay.run_of.values()):
            run = replay.runs[key]
            if model.sha256 != run["sha256"]:
                tell(f"note: the masks were made with another model, {run['model']}.")
            if args.window is None and run.get("window"):
                window = IntensityWindow.from_dict(run["window"])
            propagate = args.propagate and bool(run.get("settings", {}).get("propagate", True))
            found = segment_prompts(
                volume,
                replay.prompts_of(key),
                model,
                window=window,
                propagate=propagate,
                control=control,
            )
            made |= {answer.prompts.id: answer.region for answer in found.objects}
    labels = replay.labels(made)
    watch.lap("segment")
    same = replay.is_same(labels)
    tell("The masks are the same." if same else "note: the masks are not quite the same.")
    asked = {prompts.id: prompts for prompts in replay.prompts.objects}
    objects = tuple(
        SegmentedObject(
            asked.get(object_id, ObjectPrompts(object_id, name, ())),
            Region.of(labels == object_id),
            confidence=1.0 if confidence is None else confidence,
        )
        for object_id, (name, confidence) in replay.objects.items()
        if object_id in replay.exported
    )
    segmentation = Segmentation(volume.grid, objects, dict(replay.classes))
    settings = {"command": args.command, "replayed": True, "same": same}
    identity = ModelIdentity.of(model)
    return Results(volume, segmentation, identity, window, settings, watch.seconds)


def _check_models(replay: Replay) -> None:
    """Refuse an annotation that several models made.

    Raises
    ------
    InputError
        If one model cannot repeat it.
    """
    used = {replay.runs[key]["sha256"]: replay.runs[key] for key in replay.run_of.values()}
    if len(used) > 1:
        models = ", ".join(sorted(run["model"] for run in used.values()))
        raise InputError(
            f"The masks were made with {len(used)} models ({models}).",
            "Only masks that one model made can be replayed.",
        )
