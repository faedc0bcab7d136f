"""``napari-sss evaluate``: how well a trained model does on labelled volumes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.output import say, tell
from napari_sss.engine.cli.predict import add_trained_arguments, load_trained_model
from napari_sss.engine.cli.terminal import terminal_job

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "evaluate",
        help="Dice, Jaccard, HD95 and ASSD of a trained model",
        description=(
            "Predict labelled volumes and compare: Dice and Jaccard (0 to 1), HD95 and ASSD "
            "(mm), per class and case."
        ),
    )
    add_trained_arguments(parser)
    parser.add_argument(
        "--labels", type=Path, required=True, metavar="DIR", help="the folder of labels"
    )
    parser.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help="millimetres between voxels, instead of what the files say",
    )
    parser.add_argument("--json", type=Path, metavar="F", help="write all figures to this file")


def run(args: argparse.Namespace) -> int:
    """Evaluate."""
    from napari_sss.engine.training.data.cases import find_cases
    from napari_sss.engine.training.evaluation import evaluate
    from napari_sss.engine.volumes.writing import write_json

    cases = find_cases(args.images, args.labels).labelled
    trained, options = load_trained_model(args)
    with terminal_job() as control:
        found = evaluate(
            trained,
            cases,
            options,
            spacing=None if args.spacing is None else tuple(args.spacing),
            on_error=args.on_error,
            control=control,
        )
    say(_as_text(found, {str(v): n for n, v in trained.facts.classes.items()}))
    for name, reason in found.get("skipped", {}).items():
        tell(f"{name} was left out: {reason}")
    if args.json is not None:
        write_json(found, args.json)
    return ExitCode.OK


def _as_text(found: dict[str, Any], names: dict[str, str]) -> str:
    """The means as a table."""
    rows = [("class", "Dice %", "Jaccard %", "HD95 mm", "ASSD mm")]
    parts = [(names.get(v, v), scores) for v, scores in found["classes"].items()]
    for name, scores in [*parts, ("mean", found["mean"])]:
        rows.append(
            (
                name,
                _figure(scores["dice"], 100),
                _figure(scores["jaccard"], 100),
                _figure(scores["hd95"]),
                _figure(scores["assd"]),
            )
        )
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        row[0].ljust(width) + "".join(cell.rjust(11) for cell in row[1:]) for row in rows
    )


def _figure(value: float | None, factor: float = 1.0) -> str:
    return "-" if value is None else f"{factor * value:.2f}"
