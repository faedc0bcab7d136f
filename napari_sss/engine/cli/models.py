"""``napari-sss models``: which models there are, fetching them, checking their files."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_sss.engine.cli.arguments import add_json_argument
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.output import say, say_json
from napari_sss.engine.cli.terminal import terminal_job

if TYPE_CHECKING:
    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.models.registry import ModelEntry


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "models",
        help="list, download and verify models",
        description="Models known by name: list them, download one, verify a file.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all models, and whether they are here")
    add_json_argument(listing, "print the list")
    download = actions.add_parser("download", help="fetch a model's file and verify it")
    download.add_argument("name", metavar="NAME", help="as 'napari-sss models list' shows it")
    verify = actions.add_parser("verify", help="check files: complete, unchanged, usable")
    verify.add_argument(
        "names",
        metavar="NAME|PATH",
        nargs="*",
        help="which (default: every registered model that is on this computer)",
    )
    add_json_argument(verify, "print the findings")


def run(args: argparse.Namespace) -> int:
    """Do what was asked of the models."""
    actions = {"list": _list, "download": _download, "verify": _verify}
    return actions[args.action](args)


def _list(args: argparse.Namespace) -> int:
    entries = _entries()
    if args.json:
        say_json([_content(entry) for entry in entries])
        return ExitCode.OK
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        columns = (f"{entry.name:{width}}", f"{_size(entry):>7}", f"{entry.licence:12}")
        say("  ".join((*columns, f"{_state(entry):8}", entry.title)))
    return ExitCode.OK


def _download(args: argparse.Namespace) -> int:
    from napari_sss.engine.models.download import download_model
    from napari_sss.engine.models.registry import entry

    with terminal_job() as control:
        path = download_model(entry(args.name), control)
    say(str(path))
    return ExitCode.OK


def _verify(args: argparse.Namespace) -> int:
    from napari_sss.engine.models.loading import verify_model

    names = args.names or [entry.name for entry in _entries() if entry.path.is_file()]
    with terminal_job() as control:
        reports = [verify_model(name, control) for name in names]
    if args.json:
        say_json([{**asdict(report), "path": str(report.path)} for report in reports])
    else:
        for report in reports:
            say(f"{report.name}: {'ok' if report.ok else 'FAULTY'}. {report.detail}")
            if report.sha256:
                say(f"    {report.path}\n    SHA-256 {report.sha256}")
    return ExitCode.OK if all(report.ok for report in reports) else ExitCode.MODEL


def _entries() -> tuple[ModelEntry, ...]:
    from napari_sss.engine.models.registry import entry, model_names

    return tuple(entry(name) for name in model_names())


def _content(entry: ModelEntry) -> dict[str, Any]:
    content = {**asdict(entry), "path": str(entry.path), "here": entry.path.is_file()}
    content["size"] = _bytes(entry)
    return content


def _state(entry: ModelEntry) -> str:
    if entry.path.is_file():
        return "here"
    return "missing" if entry.is_packaged else "download"


def _bytes(entry: ModelEntry) -> int | None:
    """Bytes of the file: as published, or of what the package brings."""
    if entry.size is None and entry.path.is_file():
        return entry.path.stat().st_size
    return entry.size


def _size(entry: ModelEntry) -> str:
    size = _bytes(entry)
    return "?" if size is None else f"{size / 1e6:.0f} MB"
