from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from napari_sss.engine.errors import ModelError
from napari_sss.engine.models.registry import entry, model_names, models_folder


def test_the_names_are_the_documented_ones():
    assert model_names() == (
        "embedded",
        "sam2.1-tiny",
        "sam2.1-small",
        "sam2.1-base-plus",
        "sam2.1-large",
    )


@pytest.mark.parametrize("name", model_names()[1:])
def test_an_official_model_says_where_what_and_under_which_licence(name):
    official = entry(name)
    assert official.url == (
        f"https://dl.fbaipublicfiles.com/segment_anything_2/092824/{official.file_name}"
    )
    # A checkpoint is float32 weights and little else.
    assert official.size == pytest.approx(4 * official.parameters, rel=0.01)
    assert len(bytes.fromhex(official.sha256)) == 32
    assert official.licence == "Apache-2.0"
    assert official.image_size == 1024


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ModelError, match=r"'sam3'.*embedded, sam2\.1-tiny"):
        entry("sam3")


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SSS_MODELS", str(tmp_path))
    assert entry("sam2.1-tiny").path == tmp_path / "sam2.1_hiera_tiny.pt"
    monkeypatch.delenv("NAPARI_SSS_MODELS")
    assert models_folder().name == "models"
    assert "napari-sss" in models_folder().parts


def test_the_embedded_model_lies_in_the_package():
    assert entry("embedded").is_packaged
    assert entry("embedded").path.parent.parts[-3:] == ("engine", "models", "weights")
    assert isinstance(entry("embedded").path, Path)


def test_listing_models_imports_no_torch():
    code = (
        "import sys, napari_sss.engine.models.registry, napari_sss.engine.models.download;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
