"""What a model is asked about a case, and what is kept of the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sss.engine.errors import Cancelled
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.ranking.examined import ExaminedCache, case_key, place_of
from napari_sss.engine.ranking.examining import Examiner, networks_of_run
from napari_sss.engine.training.checkpoint import Snapshot, learned_state, write_snapshot
from napari_sss.engine.volumes.grid import Grid


def test_a_model_without_classes_gives_features_alone(pool, tiny_model):
    found = Examiner.of(tiny_model).examine(pool.cases.read(1))
    channels = tiny_model.architecture.d_model
    assert found.embedding.shape == (6, 2 * channels)  # mean and spread
    assert found.found.shape == (6, 0)
    assert (found.how, found.disagreement) == ("none", 0.0)


def test_features_do_not_depend_on_the_axis_order(pool, tiny_model):
    """The same scan stored from sagittal slices: canonical slices are the same."""
    volume = pool.cases.read(1)
    view = volume.grid.canonical_view()
    turned = volume.viewed(replace(view, order=(2, 0, 1)))
    one = Examiner.of(tiny_model).examine(volume).embedding
    other = Examiner.of(tiny_model).examine(turned).embedding
    assert one.shape == other.shape
    assert np.allclose(one, other, atol=1e-4)


def test_a_trained_model_is_asked_again_about_copies(pool, trained):
    examiner = Examiner.of(trained.segmenter.sam2, trained)
    found = examiner.examine(pool.cases.read(1))
    assert (found.how, found.classes) == ("views", ("organ", "lesion"))
    assert found.found.shape == (6, 2)
    assert (found.disputed <= found.claimed).all()
    assert (found.found.sum(axis=1) <= found.claimed).all()


def test_views_leave_sides_alone(trained):
    from napari_sss.engine.ranking.examining import _views

    assert len(_views(("organ",))) == 3
    assert len(_views(("left kidney",))) == 2  # a mirrored left kidney is a right one


def test_mirroring_is_undone_in_the_label_map():
    from napari_sss.engine.ranking.examining import _views

    see, back = _views(("organ",))[-1]
    labels = torch.arange(6).reshape(1, 2, 3)
    assert not torch.equal(see(labels), labels)
    assert torch.equal(back(see(labels)), labels)


def _run_with(folder, trained, names, changed):
    """A training's checkpoint with networks of these names; one of them is another one."""
    tensors = {}
    for name in names:
        state = learned_state(trained.segmenter, "features")
        for key, value in state.items():
            other = value * -1 if name == changed and key.startswith("head") else value.clone()
            tensors[f"network.{name}.{key}"] = other
    folder.mkdir(exist_ok=True)
    write_snapshot(Snapshot(tensors, {"step": 1}), folder / "checkpoint.safetensors")
    return folder


def test_student_and_teacher_are_the_second_opinions_where_a_run_has_both(
    tmp_path, pool, trained
):
    run = _run_with(tmp_path, trained, ["student", "teacher"], "teacher")
    sam2 = trained.segmenter.sam2
    examiner = Examiner.of(sam2, trained, run)
    assert examiner.how == "pair"
    assert examiner.key != Examiner.of(sam2, trained).key
    differs = examiner.examine(pool.cases.read(1))
    same = _run_with(tmp_path / "same", trained, ["student", "teacher"], None)
    alike = Examiner.of(sam2, trained, same).examine(pool.cases.read(1))
    assert alike.disputed.sum() == 0  # equal networks never disagree
    assert differs.how == "pair"


def test_a_run_with_one_network_or_none_gives_no_pair(tmp_path, trained):
    assert networks_of_run(trained.segmenter, tmp_path) is None
    one = _run_with(tmp_path, trained, ["student"], None)
    assert networks_of_run(trained.segmenter, one) is None
    (tmp_path / "checkpoint.safetensors").write_bytes(b"damaged")
    assert networks_of_run(trained.segmenter, tmp_path) is None


def test_what_was_measured_is_found_again_by_content_and_reading(tmp_path, pool, trained):
    examiner = Examiner.of(trained.segmenter.sam2, trained)
    case = pool.cases.get(1)
    found = examiner.examine(pool.cases.read(1))
    cache = ExaminedCache(tmp_path, examiner.key)
    assert cache.get(case) is None
    cache.put(case, found)
    again = cache.get(replace(case, name="renamed", id=9))
    assert again.classes == found.classes
    assert np.array_equal(again.disputed, found.disputed)
    assert np.allclose(again.embedding, found.embedding, rtol=1e-2, atol=1e-3)
    assert cache.get(pool.cases.get(2)) is None  # another content
    other = replace(case, reading=replace(case.reading, frame=1))
    assert case_key(other) != case_key(case)


def test_a_damaged_file_is_measured_again_and_no_pickle_is_read(tmp_path, pool):
    cache, case = ExaminedCache(tmp_path, "k"), pool.cases.get(1)
    path = tmp_path / "ranking" / "k" / f"{case_key(case)}.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 cut off")
    assert cache.get(case) is None
    with path.open("wb") as stream:
        np.savez(stream, facts=np.array([object()], dtype=object))
    assert cache.get(case) is None


def test_it_can_be_cancelled(pool, tiny_model):
    control = JobControl()
    control.cancel()
    with pytest.raises(Cancelled):
        Examiner.of(tiny_model).examine(pool.cases.read(1), control)


def test_a_hint_names_the_slice_of_the_scans_own_array():
    """LPS x, y, z along X, Y, Z: canonical slices run from the head, so they are flipped."""
    grid = Grid((10, 20, 30))
    plane, index = place_of(grid, 2)
    assert (plane.name, index) == ("AXIAL", 7)
