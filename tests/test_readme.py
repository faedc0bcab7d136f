"""Whatever the README tells a newcomer to type, works."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


SHELL = [line for block in blocks("bash") for line in block.splitlines() if line.strip()]
COMMANDS = [line for line in SHELL if line.startswith("napari-sss ")]
INLINE = re.findall(r"`(napari-sss [^`]+)`", README)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scan called as in the README; commands build upon one another there."""
    from napari_sss.engine.volumes.phantom import make_phantom
    from napari_sss.engine.volumes.writing import write_volume

    folder = tmp_path_factory.mktemp("newcomer")
    write_volume(make_phantom((32, 96, 96)).volume, folder / "ct.nii.gz")
    return folder


def test_every_line_of_the_readme_s_shell_blocks_is_tested_here():
    others = set(SHELL) - set(COMMANDS)
    assert others == {
        'pip install "napari[all]" napari-sss',
        "git clone <this repository> && cd napari-sss",
        "make demo",
        "make test",
    }


@pytest.mark.slow
def test_the_commands_run_one_after_the_other(folder):
    assert len(COMMANDS) >= 6
    for command in COMMANDS:
        arguments = shlex.split(command)[1:]
        ran = subprocess.run(
            [sys.executable, "-m", "napari_sss.engine", *arguments],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stderr}"
    made = {path.name for path in folder.iterdir()}
    assert {"demo-output", "mask.nii.gz", "mask.json", "mask.png", "again.nii.gz"} <= made


@pytest.mark.parametrize("command", INLINE)
def test_commands_within_the_text_have_arguments_that_are_known(command):
    from napari_sss.engine.cli import program

    program._parser().parse_args(shlex.split(command)[1:])


def test_what_pip_installs_exists(repository):
    (line,) = (line for line in SHELL if line.startswith("pip install "))
    viewer, own = (Requirement(text) for text in shlex.split(line)[2:])
    assert f"name = {own.name}" in (repository / "setup.cfg").read_text(encoding="utf-8")
    from importlib.metadata import metadata

    assert viewer.extras <= set(metadata(viewer.name).get_all("Provides-Extra"))


@pytest.mark.slow
def test_the_python_example_runs(folder):
    (example,) = blocks("python")
    ran = subprocess.run(
        [sys.executable, "-c", example],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (folder / "bones.nii.gz").is_file()


def test_the_prompt_file_is_one_that_is_read(tmp_path):
    from napari_sss.engine.prompts.promptfile import read_prompts

    (example,) = blocks("json")
    path = tmp_path / "prompts.json"
    path.write_text(example)
    (kidney,) = read_prompts(path).objects
    assert kidney.class_name == json.loads(example)["objects"][0]["class"]


def test_files_that_the_readme_links_to_are_there(repository):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    for link in links:
        assert (repository / link).is_file(), link


def test_the_notice_stands_on_the_first_screens():
    assert "research only" in README
    assert "clinical" in README
    assert README.index("For research only") < README.index("## How it works")
    assert README.index("docs/demo.png") < README.index("## Install")
