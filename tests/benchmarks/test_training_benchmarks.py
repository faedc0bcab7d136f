"""The training benchmarks: their figures by hand, and BHSD's on a generated data set."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest


def _load(repository: Path, name: str) -> ModuleType:
    path = repository / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def training(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    return _load(repository, "_training")


def scores(**cases: float) -> dict:
    return {
        "mean": {"dice": sum(cases.values()) / len(cases), "jaccard": 0.5, "hd95": 2.0,
                 "assd": 1.0},
        "cases": {name: {"1": {"dice": dice}} for name, dice in cases.items()},
        "seconds": 10.0, "steps": 5, "peak_memory_mb": 100.0,
    }  # fmt: skip


def test_the_table_by_hand(training):
    table = training.Table()
    ours = {0: scores(a_ED=0.9, a_ES=0.7, b_ED=0.6), 1: scores(a_ED=0.9, a_ES=0.9, b_ED=0.8)}
    theirs = {0: scores(a_ED=0.8, a_ES=0.6, b_ED=0.6), 1: scores(a_ED=0.8, a_ES=0.8, b_ED=0.6)}
    table.found = {("sss", "3"): ours, ("supervised", "3"): theirs}
    line = table.summary()[0]
    # 2.2 / 3 and 2.6 / 3.
    assert line["dice"] == pytest.approx(0.8)
    assert line["dice_sd"] == pytest.approx(0.4 / 3 / 2**0.5)
    # Patient a: 0.1 with both seeds; b: 0 and 0.2, so 0.1.
    found = table.paired("sss", "supervised", "3")
    assert found["dice"] == pytest.approx(0.1)
    assert found["interval_95"] == pytest.approx([0.1, 0.1])
    assert (found["patients"], found["seeds"]) == (2, [0, 1])
    # Theirs: 2.0 / 3 and 2.2 / 3, mean 0.7. Of an error of 0.3 a third is gone.
    assert table.error_removed("sss", "supervised", "3") == pytest.approx(1 / 3)
    assert table.paired("sss", "bcp", "3") is None
    assert "80.00 ± 9.43" in table.text()


def test_the_steps_that_fit_by_hand(training):
    schedule = sys.modules["_schedule"]
    # 0.85 * 1000 s on two cores are 1700; two jobs' scoring takes 100 of them. A step of
    # both costs 3 s, and the longer job may run alone at the end: 2 s more.
    assert schedule.steps_that_fit([1.0, 2.0], 1000, 2, shared=50) == 320
    assert schedule.steps_that_fit([1.0], 0.1, 1) == 1


def test_the_steps_are_decided_once(training, tmp_path):
    schedule = sys.modules["_schedule"]
    assert schedule.planned_steps(tmp_path / "runs", lambda trial: 70) == 70
    assert schedule.planned_steps(tmp_path / "runs", lambda trial: 90) == 70


def test_the_clock_stops_what_is_not_done(training, tmp_path):
    schedule = sys.modules["_schedule"]
    pool = schedule.Pool(2, deadline=time.monotonic() + 0.2)
    began = time.monotonic()
    pool.run([(tmp_path / str(i), time.sleep, (60,)) for i in range(3)])
    assert time.monotonic() - began < 30
    assert not pool.running


def test_work_that_fails_is_told(training, tmp_path):
    schedule = sys.modules["_schedule"]
    with pytest.raises(SystemExit, match="broken"):
        schedule.Pool(1).run([(tmp_path / "broken", sys.exit, (3,))])


@pytest.mark.slow
def test_bhsd_on_a_generated_data_set(
    repository, training, tiny_checkpoint_folder, tmp_path, monkeypatch
):
    bhsd = _load(repository, "bhsd")
    arguments = [
        "bhsd.py", "--phantom", "--runs", tmp_path / "runs", "--rows", "supervised", "sss",
        "--model", tiny_checkpoint_folder, "--device", "cpu", "--steps", 2,
        "--out", tmp_path / "bhsd.json",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", [str(a) for a in arguments])
    bhsd.main()
    found = json.loads((tmp_path / "bhsd.json").read_text())["results"]
    assert [row["row"] for row in found["rows"]] == ["supervised", "sss"]
    assert set(found["jobs"][0]["classes"]) == set(bhsd.CLASSES)
    assert found["published_mean_dice"] == 0.5315


@pytest.fixture
def tiny_checkpoint_folder(tmp_path: Path) -> Path:
    import torch

    from napari_sss.engine.models.architecture import Architecture, build_sam2
    from napari_sss.engine.models.checkpoint import write_checkpoint

    architecture = Architecture(
        image_size=64, embed_dim=16, stages=(1, 1, 2, 1), global_att_blocks=(3,),
        window_spec=(8, 4, 4, 2), d_model=32, memory_dim=16, memory_layers=1,
        memory_feedforward=32, dropout=0.0, num_memories=3, drawn_prompts=True,
    )  # fmt: skip
    torch.manual_seed(0)
    path = tmp_path / "tiny" / "model.safetensors"
    write_checkpoint(path, build_sam2(architecture), {"architecture": architecture})
    return path.parent
