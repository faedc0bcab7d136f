"""A small project with one case, and the slow model that it is compared with."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_sss.engine.project.case_session import CaseSession
from napari_sss.engine.project.project import Project

MakeScan = Callable[..., Path]


def load_beside(name: str) -> ModuleType:
    """A module that lies beside the tests, which are no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, Path(__file__).with_name(f"{name}.py")
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def naive() -> ModuleType:
    """The module with the naive model."""
    return load_beside("naive_model")


@pytest.fixture
def make_scan(tmp_path: Path) -> MakeScan:
    """Write a scan (Z, Y, X) of noise, with spacing 3 x 0.5 x 1 mm and an origin."""

    def make(
        name: str = "scan.nii.gz", shape: tuple[int, int, int] = (4, 12, 14), seed: int = 0
    ) -> Path:
        array = np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((1.0, 0.5, 3.0))
        image.SetOrigin((5.0, -7.0, 11.0))
        path = tmp_path / "scans" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        sitk.WriteImage(image, str(path))
        return path

    return make


@pytest.fixture
def project(tmp_path: Path, make_scan: MakeScan) -> Iterator[Project]:
    """A project with one case and the classes ``organ`` (1) and ``lesion`` (2)."""
    with Project.create(tmp_path / "project") as made:
        made.cases.add([make_scan()])
        made.add_class("organ")
        made.add_class("lesion")
        yield made


@pytest.fixture
def session(project: Project) -> CaseSession:
    """The case, open for work."""
    return project.open_case(1)
