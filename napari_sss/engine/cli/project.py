"""``napari-sss project``: projects of annotated cases, without a viewer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sss.engine.cli.arguments import add_json_argument, add_reading_arguments
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.output import say, say_json, tell
from napari_sss.engine.cli.project_pool import add_prelabel, add_rank, prelabel, rank
from napari_sss.engine.cli.terminal import terminal_job

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.project.cases import Case, Reading
    from napari_sss.engine.project.project import Project

_STATUSES = ("new", "suggested", "in work", "parked", "accepted")
_FORMS = ("mask", "objects", "nnunet", "dicom-seg")
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "project",
        help="make a project, add cases, list them, export what was annotated",
        description="Projects: folders of cases with classes, annotations and their history.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_create(actions)
    _add_add(actions)
    _add_list(actions)
    _add_export(actions)
    add_rank(actions)
    add_prelabel(actions)


def run(args: argparse.Namespace) -> int:
    """Do what was asked of the project."""
    actions = {
        "create": _create,
        "add": _add,
        "list": _list,
        "export": _export,
        "rank": rank,
        "prelabel": prelabel,
    }
    return actions[args.action](args)


def _add_create(actions: Subparsers) -> None:
    parser = actions.add_parser("create", help="make a new project")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="NAME[:#rrggbb]",
        help="a class, in the order of their ids; may be given again and again",
    )
    add_json_argument(parser, "print the project")


def _add_add(actions: Subparsers) -> None:
    parser = actions.add_parser("add", help="add scans: files, or folders of them")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the project")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    add_reading_arguments(parser)
    add_json_argument(parser, "print what was added and skipped")


def _add_list(actions: Subparsers) -> None:
    parser = actions.add_parser("list", help="the cases and how far they are")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the project")
    parser.add_argument(
        "--status", action="append", choices=_STATUSES, help="only these; may be repeated"
    )
    add_json_argument(parser, "print the cases")


def _add_export(actions: Subparsers) -> None:
    parser = actions.add_parser("export", help="write masks for other programs")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the project")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="where to write"
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=_FORMS,
        default="mask",
        help="one mask of class ids for each case (default), one file for each object, an "
        "nnU-Net dataset of the accepted cases, or DICOM Segmentations",
    )
    parser.add_argument(
        "--case", action="append", default=[], metavar="NAME", help="only these cases"
    )
    parser.add_argument(
        "--accepted", action="store_true", help="only accepted cases, and accepted objects"
    )
    parser.add_argument(
        "--suffix", choices=_SUFFIXES, default=".nii.gz", help="format of masks and objects"
    )
    group = parser.add_argument_group("nnU-Net")
    group.add_argument("--link", action="store_true", help="link scans instead of copying them")
    group.add_argument(
        "--partial",
        action="store_true",
        help="also cases accepted in parts; the rest of them is to be ignored",
    )
    parser.add_argument(
        "--own-names",
        action="store_true",
        help="name files by their cases, which may carry a patient's name",
    )
    add_json_argument(parser, "print what was written")


def _create(args: argparse.Namespace) -> int:
    from napari_sss.engine.project.project import Project

    with Project.create(args.folder) as project:
        for text in args.classes:
            name, _, colour = text.partition(":")
            project.add_class(name, colour or None)
        content = {"folder": str(project.folder), "classes": _classes(project)}
    if args.json:
        say_json(content)
    else:
        say(f"Made {content['folder']} with {len(args.classes)} classes.")
    return ExitCode.OK


def _add(args: argparse.Namespace) -> int:
    with _opened(args.folder) as project, terminal_job() as control:
        added = project.cases.add(args.paths, _reading(args), control)
    if args.json:
        skipped = [{"path": str(path), "reason": reason} for path, reason in added.skipped]
        say_json({"added": [_content(c) for c in added.cases], "skipped": skipped})
    else:
        for case in added.cases:
            say(_line(case))
    for path, reason in added.skipped:
        tell(f"skipped {path}: {reason}")
    tell(f"Added {len(added.cases)}, skipped {len(added.skipped)}.")
    return ExitCode.OK if added.cases or not added.skipped else ExitCode.BAD_INPUT


def _list(args: argparse.Namespace) -> int:
    from napari_sss.engine.project.cases import CaseFilter
    from napari_sss.engine.project.records import CaseStatus

    chosen = None if args.status is None else [CaseStatus(s) for s in args.status]
    with _opened(args.folder, read_only=True) as project:
        cases = project.cases.select(CaseFilter(statuses=chosen))
        content = {
            "folder": str(project.folder),
            "classes": _classes(project),
            "cases": [_content(case) for case in cases],
        }
    if args.json:
        say_json(content)
        return ExitCode.OK
    for case in cases:
        say(_line(case))
    tell(f"{len(cases)} cases, {len(content['classes'])} classes.")
    return ExitCode.OK


def _export(args: argparse.Namespace) -> int:
    from napari_sss.engine.project.nnunet import export_nnunet

    with _opened(args.folder, read_only=True) as project, terminal_job() as control:
        if args.form == "nnunet":
            written = export_nnunet(
                project,
                args.output,
                images="link" if args.link else "copy",
                partial=args.partial,
                own_names=args.own_names,
                control=control,
            )
            files = {project.cases.get(i).name: [name] for i, name in written.names.items()}
            for name, reason in written.skipped:
                tell(f"skipped {name}: {reason}")
        else:
            files = _export_each(project, args, control)
    if args.json:
        say_json({"form": args.form, "output": str(args.output), "files": files})
    else:
        for name, paths in files.items():
            say(f"{name}: {', '.join(paths)}")
    return ExitCode.OK


def _export_each(
    project: Project, args: argparse.Namespace, control: Any
) -> dict[str, list[str]]:
    """One file, or one folder, for each case."""
    from napari_sss.engine.project.dicom_seg import export_dicom_seg
    from napari_sss.engine.project.exporting import (
        chosen_cases,
        export_mask,
        export_objects,
        made_folder,
    )
    from napari_sss.engine.project.paths import safe_name

    place, only = made_folder(args.output), args.accepted
    files: dict[str, list[str]] = {}
    ids = chosen_cases(project, args.case, accepted_only=only)
    for number, case_id in enumerate(ids):
        control.report("export", number, len(ids))
        case = project.cases.get(case_id)
        name = safe_name(case.name) if args.own_names else f"case_{case_id:04d}"
        if args.form == "objects":
            folder = place / name
            paths = export_objects(
                project, case_id, folder, suffix=args.suffix, accepted_only=only
            )
        elif args.form == "dicom-seg":
            target = place / f"{name}.dcm"
            paths = [export_dicom_seg(project, case_id, target, accepted_only=only)]
        else:
            target = place / f"{name}{args.suffix}"
            paths = [export_mask(project, case_id, target, accepted_only=only)]
        files[case.name] = [path.relative_to(place).as_posix() for path in paths]
    return files


def _opened(folder: Path, *, read_only: bool = False) -> Project:
    from napari_sss.engine.project.project import Project

    return Project.open(folder, read_only=read_only)


def _reading(args: argparse.Namespace) -> Reading:
    from napari_sss.engine.project.cases import Reading

    return Reading(
        series_uid=args.series,
        frame=args.frame,
        spacing=None if args.spacing is None else tuple(args.spacing),
        modality=args.modality,
        nan=args.nan,
        shear=args.shear,
    )


def _classes(project: Project) -> list[dict[str, Any]]:
    return [
        {"id": record.id, "name": record.name, "colour": record.colour, "key": record.key}
        for record in project.classes
    ]


def _content(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "name": case.name,
        "status": case.status.value,
        "modality": case.modality,
        "shape_zyx": list(case.grid.shape),
        "spacing_zyx_mm": list(case.grid.spacing),
        "path": str(case.absolute_path),
    }


def _line(case: Case) -> str:
    size = " x ".join(str(n) for n in case.grid.shape)
    return f"{case.id:4}  {case.status.value:9}  {case.modality:7}  {size:15}  {case.name}"
