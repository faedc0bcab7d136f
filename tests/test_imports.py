"""What importing costs: opening napari, or asking for help, must wait for nothing heavy."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

MANIFEST = yaml.safe_load(
    (Path(__file__).parent.parent / "napari_sss" / "napari.yaml").read_text()
)
TARGETS = [command["python_name"] for command in MANIFEST["contributions"]["commands"]]
HEAVY = {"torch", "SimpleITK", "scipy", "skimage", "matplotlib", "cc3d", "sam2", "pydantic"}
VIEWER = {"napari", "qtpy", "PyQt6", "PySide6", "magicgui", "superqt"}


def loaded_by(module: str) -> set[str]:
    """Top-level names in ``sys.modules`` of a fresh Python that imports one module."""
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return {name.partition(".")[0] for name in shown.stdout.split()}


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_of_the_manifest_is_there(target):
    module, _, name = target.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_of_the_manifest_waits_for_torch(target):
    assert not loaded_by(target.partition(":")[0]) & {"torch", "sam2", "SimpleITK"}


@pytest.mark.parametrize(
    "module",
    ["napari_sss", *sorted({t.partition(":")[0] for t in TARGETS if "_widgets" not in t})],
)
def test_readers_writers_and_samples_import_nothing_heavy(module):
    assert not loaded_by(module) & (HEAVY | VIEWER)


def test_the_engine_needs_no_viewer():
    """All of the engine, not only what its packages import by themselves."""
    root = Path(__file__).parent.parent / "napari_sss"
    modules = sorted(
        ".".join(("napari_sss", *path.relative_to(root).with_suffix("").parts))
        for path in (root / "engine").rglob("*.py")
        if not path.name.startswith("__")
    )
    assert "napari_sss.engine.inference.segment" in modules
    assert not loaded_by(", ".join(modules)) & VIEWER


def test_every_module_can_be_imported_first():
    """No module relies on another one having been imported before it (no hidden cycle)."""
    root = Path(__file__).parent.parent / "napari_sss" / "engine"
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    for known in [m for m in sys.modules if m.startswith('napari_sss')]:\n"
        "        del sys.modules[known]\n"
        "    importlib.import_module(name)\n"
    )
    modules = [
        ".".join(("napari_sss", "engine", *path.relative_to(root).with_suffix("").parts))
        for path in sorted(root.rglob("*.py"))
        if not path.name.startswith("__")
    ]
    ran = subprocess.run(
        [sys.executable, "-c", code, *modules],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
