"""What all tests share: calm threads, the folder of real volumes, skipping without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before anything imports torch: a waiting OpenMP thread must not take a core from the viewer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return _REPOSITORY


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real volumes, which lie beside the project and never in it."""
    folder = Path(os.environ.get("NAPARI_SSS_TEST_DATA", _REPOSITORY / "../shared/data"))
    if not folder.is_dir():
        pytest.skip(f"No real volumes: NAPARI_SSS_TEST_DATA or {folder} is not a folder.")
    return folder.resolve()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of default projects: one for each test, never the user's; nor is the cache."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("NAPARI_SSS_HOME", str(folder))
    monkeypatch.setenv("NAPARI_SSS_FEATURE_CACHE", str(folder / "features"))
    return folder
