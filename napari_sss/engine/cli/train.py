"""``napari-sss train``: fine-tune a SAM-2 on labelled and unlabelled volumes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.output import say, tell
from napari_sss.engine.cli.terminal import terminal_job
from napari_sss.engine.errors import ConfigError

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.training.config import TrainConfig
    from napari_sss.engine.training.data.cases import CaseLists

# What a configuration file may hold beside the settings: the arguments of the same names.
_PATHS = (
    "project",
    "images",
    "labels",
    "unlabelled",
    "val_images",
    "val_labels",
    "labelled_list",
    "train_list",
)


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "train",
        help="fine-tune a model on labelled and unlabelled volumes",
        description=(
            "Fine-tune a SAM-2 with few labels. labels/NAME belongs to images/NAME; an image "
            "without a label is unlabelled. The folder that results is a model."
        ),
    )
    data = parser.add_argument_group("volumes")
    _path(data, "--project", "a project: what was accepted in it is learned from")
    _path(data, "--images", "the folder of images")
    _path(data, "--labels", "the folder of labels")
    _path(data, "--unlabelled", "a folder of further unlabelled images")
    _path(data, "--val-images", "a folder of images to validate on")
    _path(data, "--val-labels", "their labels")
    _path(
        data,
        "--labelled-list",
        "a list, one name a line: only these images are labelled, every other one is not",
    )
    _path(data, "--train-list", "a list: images of other names are left out")
    data.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help="millimetres between voxels, instead of what the files say",
    )
    method = parser.add_argument_group("method")
    method.add_argument("--strategy", metavar="NAME", help="the method (default: sss)")
    method.add_argument("--preset", metavar="NAME", help="named settings: sss or paper")
    method.add_argument(
        "--model", metavar="NAME|PATH", help="the model to start from (default: embedded)"
    )
    method.add_argument("--image-size", type=int, metavar="S", help="side of a slice, pixels")
    method.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1 or mps")
    method.add_argument("--seed", type=int, metavar="N", help="decides everything random")
    method.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting; may be given several times",
    )
    _path(method, "--config", "a YAML file of settings; arguments go before it")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, metavar="M", help="how long to train")
    budget.add_argument("--steps", type=int, metavar="N", help="how many steps to train")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="its folder")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint in RUN, with its settings and volumes",
    )


def run(args: argparse.Namespace) -> int:
    """Train."""
    from napari_sss.engine.training.loop import train

    config, cases = configured_run(args)
    tell(
        f"{config.strategy}: {len(cases.labelled)} labelled, {len(cases.unlabelled)} "
        f"unlabelled, {len(cases.validation)} to validate on; events in {args.out}."
    )
    with terminal_job() as control:
        result = train(
            config, cases, args.out, resume=args.resume, control=control, on_event=_tell
        )
    if result.best_dice is None:
        tell(f"The model of step {result.steps} was kept: there was nothing to validate on.")
    else:
        tell(f"Kept step {result.best_step}, validation Dice {100 * result.best_dice:.2f}.")
    say(str(result.folder))
    return ExitCode.OK


def configured_run(args: argparse.Namespace) -> tuple[TrainConfig, CaseLists]:
    """The settings and cases that the arguments, and the file they name, ask for.

    Raises
    ------
    ConfigError
        Something is missing, unknown or out of its range.
    DataError
        The folders do not hold what they should.
    """
    from napari_sss.engine.training.config import configured, read_config_file
    from napari_sss.engine.training.run_folder import stored_cases, stored_config

    file: dict[str, Any] = {}
    if args.config is not None:
        file = read_config_file(args.config)
    elif args.resume:
        file = stored_config(args.out)
    paths = {name: _resolved(args, file, name) for name in _PATHS}
    preset = args.preset or file.pop("preset", None)
    given = {
        name: getattr(args, name)
        for name in (
            "strategy",
            "model",
            "image_size",
            "device",
            "seed",
            "minutes",
            "steps",
            "spacing",
        )
        if getattr(args, name) is not None
    }
    for one, other in (("minutes", "steps"), ("steps", "minutes")):
        if one in given:
            file.pop(other, None)
    # A project goes on changing; a training that is resumed keeps what it was begun with.
    if args.resume and (paths["project"] is not None or not any(paths.values())):
        config = configured(file, given, preset=preset, settings=args.settings)
        return config, stored_cases(args.out)
    if paths["project"] is not None:
        cases, classes = _of_project(paths, args.out)
        file = {"classes": classes} | file
    else:
        cases = _cases(paths)
    return configured(file, given, preset=preset, settings=args.settings), cases


def _of_project(paths: dict[str, Path | None], out: Path) -> tuple[CaseLists, dict[str, int]]:
    """What was accepted in a project; its labels are copied, so that a run stays what it is."""
    from dataclasses import replace

    from napari_sss.engine.training.data.cases import labelled_cases
    from napari_sss.engine.training.data.project_cases import project_cases

    project = paths["project"]
    if project is None or paths["images"] is not None or paths["labels"] is not None:
        raise ConfigError("--project and --images exclude each other.", "Give one of them.")
    cases, classes = project_cases(project, out / "labels")
    held = _validation(paths)
    return cases if held is None else replace(cases, validation=labelled_cases(*held)), classes


def _validation(paths: dict[str, Path | None]) -> tuple[Path, Path] | None:
    images, labels = paths["val_images"], paths["val_labels"]
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        raise ConfigError("--val-images and --val-labels belong together.", "Give both.")
    return images, labels


def _cases(paths: dict[str, Path | None]) -> CaseLists:
    from napari_sss.engine.training.data.cases import find_cases, read_names

    images, labels = paths["images"], paths["labels"]
    if images is None or labels is None:
        raise ConfigError(
            "A training needs --images and --labels, or --project.",
            "Give them on the command line or in the file of --config.",
        )
    labelled, wanted = paths["labelled_list"], paths["train_list"]
    return find_cases(
        images,
        labels,
        unlabelled=paths["unlabelled"],
        validation=_validation(paths),
        labelled_names=None if labelled is None else read_names(labelled),
        train_names=None if wanted is None else read_names(wanted),
    )


def _resolved(args: argparse.Namespace, file: dict[str, Any], name: str) -> Path | None:
    """A path from the command line, or from the file and then relative to it."""
    in_file = file.pop(name, None)
    given = getattr(args, name)
    if given is not None or in_file is None:
        return given
    path = Path(str(in_file)).expanduser()
    return path if path.is_absolute() or args.config is None else args.config.parent / path


def _path(group: argparse._ArgumentGroup, name: str, what: str) -> None:
    group.add_argument(name, type=Path, metavar="PATH", help=what)


def _tell(event: dict[str, Any]) -> None:
    """Validations and warnings, a line each."""
    if event["event"] == "validation":
        classes = ", ".join(f"{n} {100 * d:.1f}" for n, d in event["classes"].items())
        tell(f"step {event['step']}: Dice {100 * event['dice']:.2f} ({classes})")
    elif event["event"] == "warning":
        tell(f"step {event['step']}: {event['message']}")
