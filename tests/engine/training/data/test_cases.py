"""Which volumes are labelled, and every way in which folders can be wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_sss.engine.errors import GeometryError, VolumeError
from napari_sss.engine.training.data.cases import Case, find_cases, read_names
from napari_sss.engine.training.data.preparing import IGNORE, number_objects
from napari_sss.engine.training.data.sampling import SliceSampler, collate
from napari_sss.engine.training.data.store import (
    CaseStore,
    LabelSurvey,
    Preparation,
    find_classes,
    survey,
)
from napari_sss.engine.training.errors import DataError
from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.writing import read_labels, write_labels

CLASSES = {"one": 1, "three": 3}


@pytest.fixture
def own(data_folder: Path, tmp_path: Path) -> Path:
    """A copy of the data that a test may spoil."""
    return Path(shutil.copytree(data_folder, tmp_path / "data"))


def found(folder: Path, **options):
    return find_cases(folder / "images", folder / "labels", **options)


def names(cases) -> list[str]:
    return [case.name for case in cases]


def store_of(folder: Path, **options) -> CaseStore:
    lists = found(folder)
    preparation = Preparation(64, CLASSES)
    return CaseStore([*lists.labelled, *lists.unlabelled], preparation, **options)


def test_an_image_without_label_is_unlabelled(data_folder):
    lists = found(data_folder)
    assert names(lists.labelled) == ["case0", "case1"]
    assert names(lists.unlabelled) == ["case2", "case3", "case4"]


@pytest.mark.parametrize("entry", ["case1", "case1.nii.gz"])
def test_a_list_makes_every_other_image_pool(data_folder, entry):
    lists = found(data_folder, labelled_names=[entry])
    assert names(lists.labelled) == ["case1"]
    assert names(lists.unlabelled) == ["case0", "case2", "case3", "case4"]
    assert all(case.label is None for case in lists.unlabelled)


def test_a_train_list_leaves_the_others_out(data_folder):
    lists = found(data_folder, train_names=["case0", "case3"])
    assert (names(lists.labelled), names(lists.unlabelled)) == (["case0"], ["case3"])


def test_more_of_the_pool_and_validation(data_folder):
    val = data_folder / "val"
    lists = found(
        data_folder, unlabelled=val / "images", validation=(val / "images", val / "labels")
    )
    assert names(lists.unlabelled)[-1] == "other"
    assert names(lists.validation) == ["other"]


def test_a_label_may_have_another_format(own):
    grid = Grid((5, 48, 56), (5.0, 1.5, 1.5))
    labels = read_labels(own / "labels/case0.nii.gz", grid)
    (own / "labels/case0.nii.gz").unlink()
    write_labels(labels, grid, own / "labels/case0.nrrd")
    assert names(found(own).labelled) == ["case0", "case1"]


def test_folders_that_hold_nothing_are_named(own, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for images, labels, says in (
        (own / "images", empty, "empty"),
        (empty, own / "labels", "empty"),
        (own / "nowhere", own / "labels", "nowhere"),
        (own / "images", own / "val/labels", "No image in"),
    ):
        with pytest.raises(DataError, match=says):
            find_cases(images, labels)
    with pytest.raises(DataError, match="case4 is listed as labelled"):
        found(own, labelled_names=["case4"])
    with pytest.raises(DataError, match="ghost is listed"):
        found(own, train_names=["ghost"])
    shutil.copy(own / "images/case0.nii.gz", own / "images/case0.nii")
    with pytest.raises(DataError, match="same name"):
        found(own)


def test_lists(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("# three\ncase1\n\n case2.nii.gz \n")
    assert read_names(file) == ["case1", "case2.nii.gz"]
    file.write_text("\n")
    with pytest.raises(DataError, match="names no case"):
        read_names(file)
    with pytest.raises(DataError, match="cannot be read"):
        read_names(tmp_path / "none.txt")


def test_classes_are_the_values_in_the_labels(data_folder):
    assert find_classes(found(data_folder).labelled, "refuse") == {"1": 1, "3": 3}


def test_a_survey_counts_slices_and_shares(data_folder):
    seen = survey(store_of(data_folder), [0, 1], CLASSES)
    assert len(seen.slices) == 10  # two cases of five slices
    # The balls reach 2.6 slices from the middle one: over all five.
    assert len(seen.by_class[0]) == len(seen.by_class[1]) == 10
    assert seen.shares.sum() == pytest.approx(1)


def test_a_class_without_voxel_is_named(data_folder):
    store = CaseStore(found(data_folder).labelled, Preparation(64, CLASSES | {"none": 9}))
    with pytest.raises(DataError, match="'none'"):
        survey(store, [0, 1], CLASSES | {"none": 9})


def test_values_that_no_class_names_are_told(data_folder):
    store = CaseStore(found(data_folder).labelled, Preparation(64, {"one": 1}))
    with pytest.raises(DataError, match=r"\[3\], which no class names"):
        store[0]


def test_image_and_label_of_different_grids(own):
    write_labels(
        np.ones((5, 48, 56), np.uint8), Grid((5, 48, 56), (5.0, 2.0, 2.0)),
        own / "labels/case0.nii.gz",
    )  # fmt: skip
    with pytest.raises(GeometryError, match="case0"):
        store_of(own)[0]


def test_one_corrupt_file_among_many_is_skipped_with_its_name_or_refused(own, caplog):
    (own / "images/case3.nii.gz").write_bytes(b"no scan")
    store = store_of(own)
    assert store.get(3) is None
    assert "case3" in caplog.text
    assert store.get(2) is not None
    sampler = SliceSampler(
        store, survey(store, [0, 1], CLASSES), [2, 3, 4], foreground_share=0.5, seed=0
    )
    drawn = {number for _ in range(20) for number, _ in sampler.unlabelled(4).slices}
    assert drawn == {2, 4}
    with pytest.raises(VolumeError, match="case3"):
        store_of(own, on_error="refuse").get(3)


def test_no_labelled_case_that_can_be_read(own):
    for i in (0, 1):
        (own / f"labels/case{i}.nii.gz").write_bytes(b"no mask")
    with pytest.raises(DataError, match="None of the labelled"):
        survey(store_of(own), [0, 1], CLASSES)


def test_the_store_keeps_no_more_than_there_is_room_for(data_folder):
    store = store_of(data_folder, megabytes=0.2)
    one = store[0]
    # 5 slices of 64 x 64: 2 bytes of grey, 1 of label, 2 of object.
    assert one.nbytes == 5 * 64 * 64 * 5
    for number in (1, 2, 3):
        store[number]
    assert store[3] is store[3]
    assert store[0] is not one  # it had to make room


def test_squares_keep_their_place_and_labels_their_voxels(data_folder):
    case = store_of(data_folder)[0]
    assert case.grey.shape == (5, 64, 64)
    inside = case.labels == 1
    assert case.grey[inside].mean() > 0.85  # 180 of a window of about 30 to 180
    assert case.grey[case.labels == 2].mean() < 0.15
    # The longer side of 56 columns fills the square; 48 rows leave a border of 4/56 each.
    border = int(64 * 3 / 56)
    assert not case.grey[:, :border].any()
    assert case.geometry.grid.spacing == pytest.approx((5.0, 1.5 * 56 / 64, 1.5 * 56 / 64))


def test_probabilities_come_back_to_the_volumes_own_grid(data_folder):
    import torch

    lists = found(data_folder)
    preparation = Preparation(64, CLASSES)
    case = preparation(lists.labelled[0])
    squares = torch.nn.functional.one_hot(
        torch.from_numpy(case.labels.astype(np.int64)), 3
    ).permute(0, 3, 1, 2)
    labels = case.geometry.probabilities_on_source(squares.float()).argmax(0)
    truth = preparation.truth(lists.labelled[0])
    assert labels.shape == truth.shape
    one, two = labels == 1, truth == 1
    assert 2 * (one & two).sum() / (one.sum() + two.sum()) > 0.95


def test_flipped_and_turned_files_give_the_same_squares(own):
    import SimpleITK as sitk  # noqa: N813

    plain = store_of(own)[0]
    for kind in ("images", "labels"):
        path = own / kind / "case0.nii.gz"
        turned = sitk.PermuteAxes(sitk.ReadImage(str(path)), [1, 0, 2])
        sitk.WriteImage(sitk.Flip(turned, [True, False, True]), str(path))
    turned = store_of(own)[0]
    assert np.array_equal(plain.labels, turned.labels)
    np.testing.assert_allclose(
        plain.grey.astype(np.float32), turned.grey.astype(np.float32), atol=2e-3
    )


def test_objects_are_numbered_within_their_class_by_size():
    labels = np.zeros((2, 8, 8), np.uint8)
    labels[0, 0, 0] = 1  # small
    labels[:, 4:6, 4:6] = 1  # large
    labels[0, 0, 1] = 2  # touches the small one, but is of another class
    labels[1, 7, 7] = IGNORE
    objects = number_objects(labels)
    assert objects[0, 4, 4] == 1
    assert objects[0, 0, 0] == 1 + 256
    assert objects[0, 0, 1] == 2
    assert objects[1, 7, 7] == 0


def test_of_the_pool_no_label_is_ever_seen(data_folder):
    store = store_of(data_folder)
    batch = collate(store, [(0, 2)], as_pool=True)
    assert set(batch.labels.unique().tolist()) == {IGNORE}
    assert not batch.objects.any()


def test_sampling_shows_rare_classes_as_often():
    # Class b is on one slice of twenty; with a balanced share of 1 half of the draws show it.
    seen = LabelSurvey([(0, i) for i in range(20)], [list(range(20)), [7]], np.ones(3) / 3)
    sampler = SliceSampler(None, seen, [], foreground_share=1.0, seed=0)
    drawn = [sampler._labelled_slice() for _ in range(2000)]
    assert drawn.count((0, 7)) / 2000 == pytest.approx(0.5 + 0.5 / 20, abs=0.04)


def test_a_restored_sampler_draws_the_same(data_folder):
    store = store_of(data_folder)
    seen = survey(store, [0, 1], CLASSES)

    def sampler(seed: int) -> SliceSampler:
        return SliceSampler(store, seen, [2, 3, 4], foreground_share=0.5, seed=seed)

    one, two = sampler(1), sampler(2)
    one.labelled(3)
    two.restore(one.state())
    assert one.labelled(4).slices == two.labelled(4).slices
    assert one.unlabelled(4).slices == two.unlabelled(4).slices


def test_a_case_says_when_it_has_changed(own):
    case = Case("case0", own / "images/case0.nii.gz", own / "labels/case0.nii.gz")
    before = case.fingerprint()
    assert before == case.fingerprint()
    case.label.write_bytes(b"shorter")
    assert before != case.fingerprint()
