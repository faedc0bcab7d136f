"""``train``, ``predict`` and ``evaluate`` as a shell calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_sss.engine.volumes.grid import Grid
from napari_sss.engine.volumes.reading import read_volume
from napari_sss.engine.volumes.volume import Volume
from napari_sss.engine.volumes.writing import read_labels, write_labels, write_volume

SHAPE, SPACING = (3, 40, 44), (4.0, 1.5, 1.5)


def _write(folder: Path, name: str, *, labelled: bool = True, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[:, 8:24, 10:30] = 2
    grey = rng.normal(0, 5, SHAPE) + 100 * (labels == 2)
    grid = Grid(SHAPE, SPACING, origin=(3.0, -4.0, 5.0))
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    write_volume(
        Volume(grey.astype(np.float32), grid, "MR"), folder / "images" / f"{name}.nii.gz"
    )
    if labelled:
        write_labels(labels, grid, folder / "labels" / f"{name}.nii.gz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("volumes")
    for i, labelled in enumerate((True, True, False)):
        _write(root, f"v{i}", labelled=labelled, seed=i)
    return root


@pytest.fixture(scope="module")
def quick(tiny_checkpoint, folder) -> list[object]:
    return [
        "--images", folder / "images", "--labels", folder / "labels",
        "--model", tiny_checkpoint, "--device", "cpu",
        "--set", "batch=2", "--set", "unlabelled_batch=2", "--set", "tensorboard=false",
        "--set", "variants=2", "--set", "precision=32-true",
    ]  # fmt: skip


def test_train_predict_evaluate(napari_sss, quick, folder, tmp_path):
    run = tmp_path / "run"
    trained = napari_sss("train", *quick, "--steps", 2, "--out", run)
    assert trained.code == 0, trained.err
    assert trained.out.strip() == str(run)
    assert "2 labelled, 1 unlabelled" in trained.err

    masks = tmp_path / "masks"
    predicted = napari_sss(
        "predict", "--model", run, "--images", folder / "images", "-o", masks, "--device", "cpu"
    )
    assert predicted.code == 0, predicted.err
    assert len(predicted.out.split()) == 3
    grid = read_volume(folder / "images" / "v0.nii.gz").grid
    assert set(np.unique(read_labels(masks / "v0.nii.gz", grid))) <= {0, 2}
    assert json.loads((masks / "v0.json").read_text())["classes"] == {"2": 2}

    figures = tmp_path / "scores.json"
    evaluated = napari_sss(
        "evaluate", "--model", run, "--images", folder / "images",
        "--labels", folder / "labels", "--json", figures, "--device", "cpu",
    )  # fmt: skip
    assert evaluated.code == 0, evaluated.err
    found = json.loads(figures.read_text())
    assert set(found) == {"mean", "classes", "cases"}
    assert set(found["mean"]) == {"dice", "jaccard", "hd95", "assd"}
    assert set(found["classes"]) == {"2"}
    assert set(found["cases"]) == {"v0", "v1"}
    dices = [found["cases"][case]["2"]["dice"] for case in ("v0", "v1")]
    assert found["mean"]["dice"] == pytest.approx(sum(dices) / 2)
    assert "mean" in evaluated.out


@pytest.mark.parametrize("stages", ["fused", "sam"])
def test_the_stages_of_a_prediction(napari_sss, quick, folder, tmp_path, stages):
    run = tmp_path / "run"
    assert napari_sss("train", *quick, "--steps", 1, "--out", run).code == 0
    done = napari_sss(
        "predict", "--model", run, "--images", folder / "images", "-o", tmp_path / "m",
        "--stages", stages, "--device", "cpu",
    )  # fmt: skip
    assert done.code == 0, done.err


def test_a_list_decides_what_is_labelled(napari_sss, quick, tmp_path):
    names = tmp_path / "labelled.txt"
    names.write_text("v1.nii.gz\n")
    done = napari_sss(
        "train", *quick, "--labelled-list", names, "--steps", 1, "--out", tmp_path / "run"
    )
    assert "1 labelled, 2 unlabelled" in done.err
    names.write_text("v2\n")
    refused = napari_sss(
        "train", *quick, "--labelled-list", names, "--steps", 1, "--out", tmp_path / "other"
    )
    assert refused.code == 2
    assert "v2 is listed as labelled" in refused.err


def test_a_file_holds_settings_and_paths(napari_sss, folder, tiny_checkpoint, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(
        f"images: {folder / 'images'}\nlabels: {folder / 'labels'}\n"
        f"model: {tiny_checkpoint}\nstrategy: supervised\nsteps: 9\nbatch: 2\n"
        "device: cpu\ntensorboard: false\nlearning_rate: 2e-3\n"
    )
    run = tmp_path / "run"
    done = napari_sss("train", "--config", file, "--steps", 1, "--out", run)
    assert done.code == 0, done.err
    kept = json.loads((run / "config.json").read_text())
    assert (kept["strategy"], kept["steps"], kept["learning_rate"]) == ("supervised", 1, 0.002)


def test_resume_needs_no_more_than_the_folder(napari_sss, quick, tmp_path):
    run = tmp_path / "run"
    assert napari_sss("train", *quick, "--steps", 1, "--out", run).code == 0
    again = napari_sss("train", "--out", run, "--resume")
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--steps", 1, "--set", "no_such=1"], "no_such"),
        (["--steps", 1, "--set", "batch=0"], "batch"),
        (["--steps", 1, "--set", "batch"], "key=value"),
        (["--steps", 1, "--strategy", "nonsense"], "unimatch-v2"),
        (["--steps", 1, "--preset", "nonsense"], "paper"),
        ([], "minutes or steps"),
    ],
)
def test_wrong_settings_are_refused_by_name(napari_sss, quick, tmp_path, arguments, says):
    refused = napari_sss("train", *quick, *arguments, "--out", tmp_path / "run")
    assert refused.code == 2
    assert says in refused.err
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_predict_refuses_a_model_without_head(napari_sss, tiny_checkpoint, folder, tmp_path):
    refused = napari_sss(
        "predict", "--model", tiny_checkpoint.parent, "--images", folder / "images",
        "-o", tmp_path,
    )  # fmt: skip
    assert refused.code == 3
    assert "no trained model" in refused.err or "no semantic head" in refused.err


def test_auto_finds_candidates_by_a_trained_head(napari_sss, quick, folder, tmp_path):
    run = tmp_path / "run"
    settings = ["--set", "strategy=supervised", "--set", "mode=full", "--set", "zoom=[1, 1]"]
    trained = napari_sss(
        "train", *quick, *settings, "--set", "learning_rate=0.005", "--set", "ema=0",
        "--steps", 40, "--out", run,
    )  # fmt: skip
    assert trained.code == 0, trained.err
    mask = tmp_path / "mask.nii.gz"
    found = napari_sss(
        "auto", folder / "images" / "v2.nii.gz", "--source", "model", "--model", run,
        "-o", mask, "--device", "cpu", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    grid = read_volume(folder / "images" / "v2.nii.gz").grid
    labels = read_labels(mask, grid)
    truth = np.zeros(SHAPE, dtype=bool)
    truth[:, 8:24, 10:30] = True
    # The block keeps the value that its class has in the training's labels.
    assert set(np.unique(labels)) == {0, 2}
    overlap = 2 * ((labels == 2) & truth).sum() / ((labels == 2).sum() + truth.sum())
    assert overlap > 0.8
