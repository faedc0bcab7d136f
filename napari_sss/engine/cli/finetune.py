"""``napari-sss finetune``: a project's fine-tunings, as the Fine-tune tab has them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sss.engine.cli.arguments import add_json_argument
from napari_sss.engine.cli.exit_codes import ExitCode
from napari_sss.engine.cli.output import say, say_json, tell
from napari_sss.engine.cli.terminal import terminal_job
from napari_sss.engine.errors import ConfigError

if TYPE_CHECKING:
    import subprocess

    from napari_sss.engine.cli.arguments import Subparsers
    from napari_sss.engine.jobs import JobControl
    from napari_sss.engine.runs.state import RunState
    from napari_sss.engine.runs.store import RunStore, RunSummary
    from napari_sss.engine.runs.verdict import Judgement

_LOOK_SECONDS = 1.0


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "finetune",
        help="fine-tune in a project: start, watch, pause, resume, compare, adopt",
        description=(
            "A fine-tuning runs in a process of its own in PROJECT/runs, and goes on when the "
            "terminal or the viewer is closed. RUN is its name; by default the newest."
        ),
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = _action(actions, "start", "fix what was accepted, and begin", run=False)
    start.add_argument("--minutes", type=float, default=15.0, metavar="M", help="how long")
    start.add_argument("--strategy", default="sss", metavar="NAME", help="the method")
    start.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
        help="any other setting of a training; may be given several times",
    )  # fmt: skip
    for parser in (start, _action(actions, "resume", "go on with one that stopped")):
        parser.add_argument("--wait", action="store_true", help="until it has ended")
    add_json_argument(_action(actions, "list", "every run", run=False), "print them")
    _action(actions, "pause", "save everything and end the process, to be resumed")
    _action(actions, "finish", "end the training now, keep the model and compare it")
    _action(actions, "discard", "end it and remove everything of it")
    add_json_argument(
        _action(actions, "compare", "the model against the one in use"), "print it"
    )
    _action(actions, "adopt", "use the model from now on")
    _action(actions, "keep", "go on with the model in use")


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    from napari_sss.engine.runs.store import RunStore

    store = RunStore(args.project)
    return int(_ACTIONS[args.action](args, store))


def _start(args: argparse.Namespace, store: RunStore) -> int:
    from napari_sss.engine.modelstore.listing import model_reference
    from napari_sss.engine.modelstore.store import ModelStore
    from napari_sss.engine.runs.estimate import validate_every_for
    from napari_sss.engine.training.config import configured

    current = model_reference(store.project, ModelStore(store.project).active)
    every = validate_every_for(args.minutes)
    asked = {
        "strategy": args.strategy,
        "model": current,
        "minutes": args.minutes,
        "validate_every": every,
        "checkpoint_every": every,
    }
    config = configured(asked, settings=args.settings)
    with terminal_job() as control:
        folder = store.prepare(
            config.model_dump(mode="json"),
            current=current,
            shares_device=False,
            control=control,
        )
    process = store.start(folder)
    say(str(folder))
    return _waited(args, folder, process)


def _resume(args: argparse.Namespace, store: RunStore) -> int:
    folder = _chosen(args, store).folder
    return _waited(args, folder, store.start(folder))


def _waited(args: argparse.Namespace, folder: Path, process: subprocess.Popen[bytes]) -> int:
    """Wait for the end where that was asked for; Ctrl+C leaves the run at work."""
    if not args.wait:
        return ExitCode.OK
    with terminal_job() as control:
        state = _watched(folder, process, control)
    if state.problem:
        tell(f"napari-sss: {state.problem} {state.remedy}")
        return ExitCode.RUN
    return ExitCode.OK


def _watched(folder: Path, process: subprocess.Popen[bytes], control: JobControl) -> RunState:
    from napari_sss.engine.runs.watching import RunWatcher

    watcher = RunWatcher(folder, process)
    while (state := watcher.look().state).phase.is_active:
        control.report(state.stage or state.phase.value, state.done, state.total)
        time.sleep(_LOOK_SECONDS)
    return state


def _list(args: argparse.Namespace, store: RunStore) -> int:
    from napari_sss.engine.runs.decision import decision_of

    runs = store.list()
    if args.json:
        say_json([_as_json(one) | {"decision": decision_of(one.folder)} for one in runs])
        return ExitCode.OK
    for one in runs:
        decided = decision_of(one.folder)
        config = one.request.settings
        budget = (
            f"{config['steps']} steps" if config.get("steps") else f"{config['minutes']:g} min"
        )
        ended = f", {decided}" if decided else ""
        say(
            f"{one.folder.name}  {one.state.phase.value}{ended}  {config['strategy']}, {budget}"
        )
    return ExitCode.OK


def _pause(args: argparse.Namespace, store: RunStore) -> int:
    from napari_sss.engine.runs.store import pause

    pause(_active(args, store).folder)
    return ExitCode.OK


def _finish(args: argparse.Namespace, store: RunStore) -> int:
    from napari_sss.engine.runs.store import stop_and_keep

    stop_and_keep(_active(args, store).folder)
    return ExitCode.OK


def _discard(args: argparse.Namespace, store: RunStore) -> int:
    from napari_sss.engine.runs.store import stop_and_discard

    chosen = _chosen(args, store)
    if chosen.state.phase.is_active:
        stop_and_discard(chosen.folder)
    else:
        store.discard(chosen.folder)
    return ExitCode.OK


def _compare(args: argparse.Namespace, store: RunStore) -> int:
    found = _judgement(_chosen(args, store).folder)
    if args.json:
        say_json(found.as_json())
        return ExitCode.OK
    for line in (*found.classes, found.mean):
        cells = ("-" if v is None else f"{v:.3f}" for v in (line.old, line.new, line.gain))
        say("  ".join([f"{line.name:24}", *(f"{cell:>7}" for cell in cells)]))
    say(f"{found.verdict.value}: {found.reason}")
    for warning in found.warnings:
        say(f"warning: {warning}")
    return ExitCode.OK


def _adopt(args: argparse.Namespace, store: RunStore) -> int:
    from napari_sss.engine.runs.decision import adopt

    model = adopt(store.project, _chosen(args, store).folder)
    say(f"{model.name} ({model.id}) is used from now on.")
    return ExitCode.OK


def _keep(args: argparse.Namespace, store: RunStore) -> int:
    from napari_sss.engine.runs.decision import keep_the_old

    keep_the_old(_chosen(args, store).folder)
    return ExitCode.OK


def _judgement(folder: Path) -> Judgement:
    from napari_sss.engine.runs.files import GATE_NAME, read_json
    from napari_sss.engine.runs.verdict import Judgement

    content = read_json(folder / GATE_NAME)
    if content is None:
        raise ConfigError(
            f"{folder.name} has not been compared yet.", "Wait until it has ended.", folder
        )
    return Judgement.from_json(content["judgement"])


def _chosen(args: argparse.Namespace, store: RunStore) -> RunSummary:
    """The run that was named, or the newest."""
    runs = store.list()
    if not runs:
        raise ConfigError(
            f"{store.project} has no fine-tuning.", "Begin one with: napari-sss finetune start."
        )
    if args.run_name is None:
        return runs[-1]
    for one in runs:
        if one.folder.name == args.run_name:
            return one
    names = ", ".join(one.folder.name for one in runs)
    raise ConfigError(f"There is no fine-tuning {args.run_name!r}.", f"There are: {names}.")


def _active(args: argparse.Namespace, store: RunStore) -> RunSummary:
    chosen = _chosen(args, store)
    if not chosen.state.phase.is_active:
        raise ConfigError(
            f"{chosen.folder.name} is not running: it is {chosen.state.phase.value}.", ""
        )
    return chosen


def _as_json(one: RunSummary) -> dict[str, Any]:
    return {
        "name": one.folder.name,
        "folder": str(one.folder),
        "created": one.request.created,
        "phase": one.state.phase.value,
        "problem": one.state.problem,
        "settings": one.request.settings,
    }


def _action(
    actions: Subparsers, name: str, what: str, *, run: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=what, description=what)
    parser.add_argument("project", type=Path, metavar="PROJECT", help="the project's folder")
    if run:
        parser.add_argument("run_name", nargs="?", metavar="RUN", help="by default the newest")
    return parser


_ACTIONS = {
    "start": _start,
    "resume": _resume,
    "list": _list,
    "pause": _pause,
    "finish": _finish,
    "discard": _discard,
    "compare": _compare,
    "adopt": _adopt,
    "keep": _keep,
}
