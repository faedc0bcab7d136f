"""``napari-sss project rank`` and ``prelabel``: work on the whole pool, without a viewer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sss.engine.cli.arguments import add_json_argument
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.output import say, say_json, tell
from napari_sss.engine.cli.terminal import terminal_job

if TYPE_CHECKING:
    from napari_sss.engine.background.job import PoolJob
    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.ranking.ranking import Ranking


def add_rank(actions: Subparsers) -> None:
    """Declare the arguments of ``rank``."""
    parser = actions.add_parser(
        "rank", help="which cases are best annotated next, why, and on which slices"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the project")
    parser.add_argument(
        "--top", type=int, default=10, metavar="N", help="how many to show (default: 10)"
    )
    _add_model(parser)
    add_json_argument(parser, "print the whole ranking")


def add_prelabel(actions: Subparsers) -> None:
    """Declare the arguments of ``prelabel``."""
    parser = actions.add_parser(
        "prelabel", help="suggest objects in all cases that nobody has touched"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the project")
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="the tissue to look for, where the model knows no classes; see "
        "'napari-sss presets'",
    )
    _add_model(parser)
    add_json_argument(parser, "print what was suggested")


def rank(args: argparse.Namespace) -> int:
    """Rank the pool."""
    from napari_sss.engine.background.work import work_on_pool
    from napari_sss.engine.project.project import Project
    from napari_sss.engine.ranking.ranking import read_ranking

    job = _job(args, rank=True, prelabel=False)
    with Project.open(args.folder, read_only=True) as project, terminal_job() as control:
        work_on_pool(project, _background(args.folder), job, control)
        ranking = read_ranking(project.folder)
    assert ranking is not None
    if args.json:
        say_json(_content(ranking))
        return ExitCode.OK
    for place, case in enumerate(ranking.cases[: args.top], start=1):
        where = ", ".join(str(hint.index) for hint in case.slices)
        say(f"{place:3}  {case.score:.3f}  {case.name}  slices {where}")
        for reason in case.reasons:
            say(f"            {reason}")
    for name, why in ranking.skipped:
        tell(f"skipped {name}: {why}")
    tell(f"{len(ranking.cases)} cases ranked, {len(ranking.accepted)} with accepted parts.")
    return ExitCode.OK


def prelabel(args: argparse.Namespace) -> int:
    """Suggest objects in untouched cases."""
    from napari_sss.engine.background.entering import enter_results
    from napari_sss.engine.background.work import work_on_pool
    from napari_sss.engine.errors import InputError
    from napari_sss.engine.project.project import Project

    job = _job(args, rank=False, prelabel=True)
    folder = _background(args.folder)
    with Project.open(args.folder) as project, terminal_job() as control:
        if project.read_only:
            raise InputError(
                f"The project {project.folder} cannot be written: {project.why_read_only}.",
                "Close it there; in the viewer, press Pre-label in the tab Models.",
            )
        done = work_on_pool(project, folder, job, control)
        entered = enter_results(project, folder, control=control)
        names = {case.id: case.name for case in project.cases.select()}
    for name, why in (*done.failures.items(), *entered.kept):
        tell(f"skipped {name}: {why}")
    if args.json:
        content = {
            "cases": [names[case_id] for case_id in entered.cases],
            "objects": entered.objects,
            "skipped": [{"case": n, "reason": why} for n, why in done.failures.items()],
        }
        say_json(content)
    else:
        say(f"{entered.objects} objects suggested in {len(entered.cases)} cases.")
    return ExitCode.OK


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="a model of the project by its name or id, one of 'napari-sss models list', or "
        "a path (default: the one that the project uses)",
    )
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:N or mps")


def _job(args: argparse.Namespace, *, rank: bool, prelabel: bool) -> PoolJob:
    from napari_sss.engine.background.choosing import pool_job
    from napari_sss.engine.errors import ConfigError

    job = pool_job(
        args.folder,
        args.model,
        rank=rank,
        prelabel=prelabel,
        preset=getattr(args, "preset", None),
        device=args.device,
    )
    if prelabel and not job.trained and job.preset is None:
        raise ConfigError(
            f"The model {job.model_name} knows no classes.",
            "Give --preset, or --model with one that was fine-tuned.",
        )
    return job


def _background(project: Path) -> Path:
    from napari_sss.engine.background.job import background_folder
    from napari_sss.engine.models.files import writing

    folder = background_folder(project)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _content(ranking: Ranking) -> dict[str, Any]:
    return {
        "model": ranking.model,
        "made": ranking.made,
        "cases": [
            {
                "id": case.case_id,
                "name": case.name,
                "score": case.score,
                "reasons": list(case.reasons),
                "slices": [
                    {"plane": s.plane.name.lower(), "index": s.index, "reason": s.reason}
                    for s in case.slices
                ],
            }
            for case in ranking.cases
        ],
        "skipped": [{"case": name, "reason": why} for name, why in ranking.skipped],
    }
