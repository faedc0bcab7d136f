import pytest

from napari_sss._widgets.choices import (
    OPEN_MODEL,
    default_source,
    model_choices,
    preset_class,
    preset_window,
    source_choices,
    source_of,
    window_choices,
)
from napari_sss._widgets.objects_table import cell_text, row_note
from napari_sss._widgets.run_section import progress_text
from napari_sss._widgets.status import ObjectRow, ObjectState
from napari_sss.engine.jobs import Progress
from napari_sss.engine.prompts.presets import TISSUE_PRESETS
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.intensity import PERCENTILES, PRESETS


def test_the_embedded_model_comes_first_and_a_file_last():
    keys = [choice.key for choice in model_choices()]
    assert keys[0] == "embedded"
    assert keys[-1] == OPEN_MODEL


def test_a_model_that_must_be_downloaded_says_how_much(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SSS_MODELS", str(tmp_path))
    titles = {choice.key: choice.title for choice in model_choices()}
    assert titles["sam2.1-tiny"] == "SAM 2.1 tiny (download 156 MB)"  # 156008466 bytes
    assert titles["embedded"] == "Embedded"


@pytest.mark.parametrize("modality", ["CT", "MR", "unknown"])
def test_every_modality_has_sources_and_one_to_begin_with(modality):
    choices = {choice.key: choice for choice in source_choices(modality)}
    assert default_source(modality) in choices
    assert choices["model"].why_not
    assert not choices["everything"].why_not
    tissues = {source_of(key)[1] for key in choices if source_of(key)[0] == "intensity"}
    suiting = {p.name for p in TISSUE_PRESETS.values() if modality in ("unknown", p.modality)}
    assert tissues == suiting


def test_a_tissue_knows_its_class_and_window():
    assert preset_class("bone") == "bone"
    assert preset_window("bone") in PRESETS
    assert preset_window("mr-bright") == PERCENTILES
    assert preset_window(None) is None


def test_windows_in_hu_are_not_offered_for_mr():
    assert [c.key for c in window_choices("MR")] == [PERCENTILES]
    assert [c.key for c in window_choices("CT")] == [*PRESETS, PERCENTILES]


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (None, "Starting …"),
        (Progress("candidates", 0, 0, 2.0), "Candidates …"),
        (Progress("masks", 0, 12, 2.0), "Masks 0/12"),
        # 3 of 12 in 20 s: 9 more at 20 / 3 s each are 60 s.
        (Progress("masks", 3, 12, 20.0), "Masks 3/12, 1:00 left"),
        (Progress("download", 50_000_000, 100_000_000, 5.0), "Download 50/100 MB, 0:05 left"),
    ],
)
def test_progress_is_told_in_words(progress, text):
    assert progress_text(progress) == text


def test_cells_tell_what_is_known_and_what_is_awaited():
    row = ObjectRow(3, "kidney", Plane.AXIAL, 8, confidence=0.912)
    assert [cell_text(row, c) for c in range(4)] == ["kidney 3", "…", "…", "0.91"]
    done = ObjectRow(3, "kidney", Plane.AXIAL, 8, 5, 12, 99.96, None, ObjectState.EDITED)
    assert [cell_text(done, c) for c in range(4)] == ["kidney 3 ✎", "5–12", "100.0", "–"]
    empty = ObjectRow(3, "kidney", Plane.AXIAL, 8, state=ObjectState.EMPTY)
    assert cell_text(empty, 1) == "–"
    assert "move its box" in row_note(empty)
