"""What the package declares of itself is true."""

from __future__ import annotations

import configparser
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from setuptools import find_packages

import napari_sss


@pytest.fixture(scope="module")
def setup_cfg(repository: Path) -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(repository / "setup.cfg", encoding="utf-8")
    return config


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


def test_it_is_found_as_a_napari_plugin(setup_cfg):
    assert "Framework :: napari" in lines(setup_cfg["metadata"]["classifiers"])
    for key in ("description", "long_description", "license", "author", "keywords"):
        assert setup_cfg["metadata"][key]


def test_the_core_brings_no_qt_and_no_viewer(setup_cfg):
    """Who uses the engine on a server wants neither; who uses napari chose a Qt already."""
    names = {
        Requirement(line).name.lower()
        for line in lines(setup_cfg["options"]["install_requires"])
    }
    assert not names & {"napari", "pyqt5", "pyqt6", "pyside2", "pyside6", "superqt"}
    assert {"torch", "sam2", "simpleitk"} <= names


def test_entry_points_lead_somewhere(setup_cfg, repository):
    script = setup_cfg["options.entry_points"]["console_scripts"].strip()
    name, target = (part.strip() for part in script.split("="))
    module, _, function = target.partition(":")
    assert name == "napari-sss"
    assert callable(getattr(importlib.import_module(module), function))
    manifest = setup_cfg["options.entry_points"]["napari.manifest"].strip()
    assert manifest == "napari-sss = napari_sss:napari.yaml"
    assert (repository / "napari_sss" / "napari.yaml").is_file()


def test_the_manifest_at_the_root_is_the_package_s_own(repository):
    inner = (repository / "napari_sss" / "napari.yaml").read_text(encoding="utf-8")
    assert (repository / "napari.yaml").read_text(encoding="utf-8") == inner


def test_every_folder_of_code_is_packaged(repository):
    """A folder without ``__init__.py`` would work here and be missing for everyone else."""
    packaged = set(find_packages(str(repository), include=["napari_sss", "napari_sss.*"]))
    folders = {
        ".".join(path.parent.relative_to(repository).parts)
        for path in (repository / "napari_sss").rglob("*.py")
    }
    assert folders == packaged


def test_the_embedded_model_is_packaged_and_small(setup_cfg, repository):
    patterns = lines(setup_cfg["options.package_data"]["napari_sss"])
    package = repository / "napari_sss"
    packaged = {path for pattern in patterns for path in package.glob(pattern)}
    from napari_sss.engine.models.checkpoint import card_path
    from napari_sss.engine.models.registry import EMBEDDED, entry

    weights = entry(EMBEDDED).path
    assert {
        weights,
        card_path(weights),
        package / "napari.yaml",
        package / "py.typed",
    } <= packaged
    assert weights.stat().st_size <= 20_000_000


def test_licence_and_citation(repository, setup_cfg):
    licence = (repository / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("BSD 3-Clause License")
    assert setup_cfg["metadata"]["license"] == "BSD-3-Clause"
    citation = yaml.safe_load((repository / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == napari_sss.__version__
    assert citation["license"] == "BSD-3-Clause"
    papers = {reference["url"].rpartition("/")[2] for reference in citation["references"]}
    assert papers == {"2506.08949", "2408.00714", "2408.00874"}


def test_requirements_of_the_tests_are_declared_with_a_lower_bound(setup_cfg):
    extras = setup_cfg["options.extras_require"]
    for text in (setup_cfg["options"]["install_requires"], extras["test"]):
        for line in lines(text):
            assert Requirement(line).specifier, f"{line} has no lower bound"


def test_what_the_code_imports_is_what_it_requires(setup_cfg, repository):
    """Nothing is borrowed from a dependency's own dependencies."""
    own_names = {
        "cc3d": "connected-components-3d",
        "lightning_fabric": "lightning-fabric",
        "PIL": "pillow",
        "skimage": "scikit-image",
        "yaml": "pyyaml",
    }
    required = {
        Requirement(line).name.lower()
        for line in lines(setup_cfg["options"]["install_requires"])
    }
    # An extra is imported where it is needed, with a message that says how to get it.
    extra = setup_cfg["options.extras_require"]["dicom"]
    required |= {Requirement(line).name for line in lines(extra)}
    # The viewer side is imported by napari alone, whose own requirements are then there.
    with_napari = {"napari", "npe2", "pandas", "superqt", "vispy"}
    pattern = re.compile(r"^\s*(?:from|import) ([A-Za-z_0-9]+)", re.MULTILINE)
    for path in (repository / "napari_sss").rglob("*.py"):
        engine = "engine" in path.relative_to(repository).parts
        allowed = {"napari_sss"} | required | (set() if engine else with_napari)
        code = re.sub(r'"""[\s\S]*?"""', "", path.read_text(encoding="utf-8"))
        for name in set(pattern.findall(code)) - sys.stdlib_module_names:
            assert own_names.get(name, name).lower() in allowed, f"{path} imports {name}"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("script", ["run", "system-packages", "try-wheel"])
def test_scripts_of_the_ci_can_be_run(repository, script):
    path = repository / ".ci" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["demo", "test", "check", "package", "help"])
def test_targets_of_make_exist(repository, target):
    subprocess.run(
        ["make", "--dry-run", target], cwd=repository, check=True, capture_output=True
    )


def test_the_ci_runs_what_the_readme_says(repository):
    assert "make test" in (repository / ".ci" / "run").read_text(encoding="utf-8")
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^test: check", makefile, re.MULTILINE)
    for tool in ("ruff format --check", "ruff check", "mypy", "lint-imports", "npe2 validate"):
        assert tool in makefile
