"""The program: from arguments to a command, and from an error to an exit code."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType, TracebackType

from napari_sss._version import __version__
from napari_sss.engine.cli import (
    auto,
    demo,
    evaluate,
    finetune,
    info,
    models,
    predict,
    presets,
    pretrain,
    project,
    segment,
    train,
)
from napari_sss.engine.cli.exit_codes import ExitCode, exit_code_of
from napari_sss.engine.cli.output import tell
from napari_sss.engine.errors import Cancelled, SSSError
from napari_sss.engine.models.environment import prepare_for_torch

COMMANDS: tuple[ModuleType, ...] = (
    info,
    auto,
    segment,
    models,
    presets,
    project,
    train,
    finetune,
    predict,
    evaluate,
    pretrain,
    demo,
)

_DESCRIPTION = """\
Prompts and SAM-2 masks for CT and MR volumes, without a viewer. For research, not for
clinical use."""

_EPILOG = """\
exit codes: 0 done; 2 the input or the arguments cannot be used; 3 a model is missing or
broken; 4 a result cannot be written; 5 a training cannot go on; 1 an error inside the
program; 130 cancelled"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments without the program's name; the process's own where it is None.

    Returns
    -------
    int
        The exit code, see :class:`~napari_sss.engine.cli.exit_codes.ExitCode`.
    """
    args = _parser().parse_args(argv)
    _set_up_logging(args)
    prepare_for_torch()
    if argv is None and not args.debug:
        sys.excepthook = _say_internal_error
    try:
        code = args.run(args)
        sys.stdout.flush()
        return int(code)
    except Cancelled:
        tell("Cancelled.")
        return ExitCode.CANCELLED
    except SSSError as error:
        if args.debug:
            logging.getLogger(__name__).exception("%s", type(error).__name__)
        tell(f"napari-sss: {error}")
        return exit_code_of(error)
    except KeyboardInterrupt:
        tell("Interrupted.")
        return ExitCode.CANCELLED
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain again as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-sss",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"napari-sss {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
        name = command.__name__.rpartition(".")[2]
        command_parser = subparsers.choices[name]
        command_parser.set_defaults(run=command.run)
        _add_common_options(command_parser)
    return parser


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("messages")
    group.add_argument(
        "-v", "--verbose", action="store_true", help="say on stderr what is being done"
    )
    group.add_argument(
        "--debug", action="store_true", help="show the whole traceback of an error"
    )


def _set_up_logging(args: argparse.Namespace) -> None:
    level = logging.DEBUG if args.debug else logging.INFO if args.verbose else logging.WARNING
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s: %(message)s"
    )
    logging.getLogger("napari_sss").setLevel(level)


def _say_internal_error(
    kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    """Stand in for Python's traceback: one line of what, one of what to do about it."""
    tell(f"napari-sss: internal error: {kind.__name__}: {error}")
    tell("Run the same command with --debug and report the traceback it shows.")
