from __future__ import annotations

import subprocess
import sys

import pytest

from napari_sss._version import __version__
from napari_sss.engine import errors
from napari_sss.engine.cli import info, program
from napari_sss.engine.cli.exit_codes import ExitCode, exit_code_of


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("x"), 2),
        (errors.SeriesChoiceError("x"), 2),
        (errors.PromptError("x"), 2),
        (errors.ConfigError("x"), 2),
        (errors.DeviceError("x"), 2),
        (errors.ModelError("x"), 3),
        (errors.DownloadError("x"), 3),
        (errors.WriteError("x"), 4),
        (errors.Cancelled(), 130),
        (errors.SSSError("x"), 1),
    ],
)
def test_exit_code_of_each_error(error, code):
    assert exit_code_of(error) == code


def test_every_error_has_a_code_of_its_own():
    """A new kind of error must be given one, or it would count as a fault of the program."""
    kinds = errors.SSSError.__subclasses__()
    assert {kind for kind in kinds if exit_code_of(blank(kind)) == 1} == set()


def blank(kind):
    """An error of this kind, whatever it takes to make one."""
    return kind.__new__(kind)


def test_help_names_every_command_and_loads_nothing_heavy():
    code = (
        "import sys; from napari_sss.engine.cli import main\n"
        "try: main(['--help'])\n"
        "finally: sys.stderr.write(' '.join(sys.modules))"
    )
    shown = python(code)
    assert shown.returncode == 0
    for command in program.COMMANDS:
        assert f"    {command.__name__.rpartition('.')[2]} " in shown.stdout
    loaded = set(shown.stderr.split())
    assert "napari_sss.engine.cli.info" in loaded
    heavy = {"torch", "SimpleITK", "scipy", "skimage", "matplotlib", "napari", "qtpy", "tqdm"}
    assert not loaded & heavy


def test_the_engine_can_be_run_as_a_module():
    shown = subprocess.run(
        [sys.executable, "-m", "napari_sss.engine", "--version"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert shown.stdout.strip() == f"napari-sss {__version__}"


def test_a_wrong_usage_is_bad_input():
    with pytest.raises(SystemExit) as stopped:
        program.main(["info"])
    assert stopped.value.code == ExitCode.BAD_INPUT


def test_an_expected_error_is_one_line_on_stderr(napari_sss, tmp_path):
    ran = napari_sss("info", tmp_path / "absent.nii.gz")
    assert ran.code == ExitCode.BAD_INPUT
    assert ran.out == ""
    assert len(ran.err.splitlines()) == 1
    assert "absent.nii.gz" in ran.err


def test_debug_shows_where_an_expected_error_came_from(napari_sss, tmp_path):
    napari_sss("info", tmp_path / "absent.nii.gz")
    shown = python(
        "import sys; from napari_sss.engine.cli import main; sys.exit(main())",
        "info",
        str(tmp_path / "absent.nii.gz"),
        "--debug",
    )
    assert shown.returncode == ExitCode.BAD_INPUT
    assert "Traceback" in shown.stderr


CRASHING = """
import sys
from napari_sss.engine.cli import info, main
def crash(args):
    raise ZeroDivisionError("by nought")
info.run = crash
sys.exit(main())
"""


def test_an_internal_error_is_two_lines_and_no_traceback():
    shown = python(CRASHING, "info", "x.nii")
    assert shown.returncode == ExitCode.INTERNAL_ERROR
    assert shown.stdout == ""
    what, remedy = shown.stderr.splitlines()
    assert "ZeroDivisionError: by nought" in what
    assert "--debug" in remedy


def test_an_internal_error_has_its_traceback_with_debug():
    shown = python(CRASHING, "info", "x.nii", "--debug")
    assert shown.returncode == ExitCode.INTERNAL_ERROR
    assert "Traceback" in shown.stderr


@pytest.mark.parametrize("error", [errors.Cancelled(), KeyboardInterrupt()])
def test_cancelling_has_the_exit_code_of_an_interrupt(napari_sss, monkeypatch, error):
    def stop(args):
        raise error

    monkeypatch.setattr(info, "run", stop)
    ran = napari_sss("info", "x.nii")
    assert ran.code == ExitCode.CANCELLED
    assert ran.out == ""


def test_a_reader_that_has_enough_is_no_error():
    code = (
        "import os, sys; from napari_sss.engine.cli import info, main\n"
        "def run(args):\n"
        "    for _ in range(100000): sys.stdout.write('a long line of output\\n')\n"
        "    return 0\n"
        "info.run = run; sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "info", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    complaint = process.stderr.read()
    assert process.wait(60) == 0
    assert complaint == ""
