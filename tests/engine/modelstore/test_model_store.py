"""Keeping, naming, activating, rolling back and deleting a project's models."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from napari_sss.engine.errors import ModelError, WriteError
from napari_sss.engine.modelstore import files as store_files
from napari_sss.engine.modelstore.card import (
    MODEL_FILES,
    SEMANTIC,
    WEIGHTS,
    ClassScore,
    HeldOutScores,
)
from napari_sss.engine.modelstore.store import ModelStore

SCORES = HeldOutScores(
    mean=0.71, sd=0.05, cases=2, classes={"organ": ClassScore(mean=0.8, sd=0.1, cases=2)}
)


def test_the_files_are_those_that_training_writes():
    from napari_sss.engine.models.checkpoint import card_path
    from napari_sss.engine.models.loading import WEIGHTS_NAME
    from napari_sss.engine.models.sss.trained import SEMANTIC_NAME

    assert WEIGHTS_NAME == WEIGHTS
    assert SEMANTIC_NAME == SEMANTIC
    assert card_path(store_files.Path(WEIGHTS)).name in MODEL_FILES


def test_an_empty_project_uses_the_embedded_model(store):
    assert store.models == ()
    assert store.active == "embedded"
    assert store.active_model is None
    assert store.previous is None
    assert not store.folder.exists()  # looking writes nothing


def test_a_run_is_kept_with_what_it_tells(store, make_run):
    model = store.add(make_run("a"), scores=SCORES)
    card = model.card
    assert (model.id, model.name, card.strategy) == ("m0001", "SSS 1", "sss")
    assert (card.steps, card.seconds, card.image_size) == (120, 61, 64)
    assert card.data.model_dump() == {
        "labelled_cases": 3,
        "labelled_slices": 17,
        "pool_cases": 9,
        "held_out_cases": None,
    }
    assert card.run == "run-a"
    assert card.scores == SCORES
    assert [p.name for p in card.parents] == ["Embedded"]
    assert card.classes == {"organ": 1, "lesion": 2}
    assert model.size == sum((model.folder / f).stat().st_size for f in MODEL_FILES)
    assert store.models == (model,)
    assert store.active == "embedded"  # keeping is not using


def test_what_was_trained_from_a_kept_model_names_it_and_its_parents(store, make_run):
    first = store.add(make_run("a"), name="First")
    weights = first.card.files[WEIGHTS].sha256
    second = store.add(make_run("b", base_sha256=weights))
    assert [(p.name, p.model_id) for p in second.card.parents] == [
        ("First", "m0001"),
        ("Embedded", None),
    ]


def test_the_same_weights_are_kept_once_and_take_newer_scores(store, make_run):
    first = store.add(make_run("a"))
    again = store.add(make_run("a"), scores=SCORES)
    assert again.id == first.id
    assert store.get(first.id).card.scores == SCORES
    assert len(store.models) == 1


def test_adopting_uses_and_rolling_back_goes_back_step_by_step(store, make_run):
    a, b = store.adopt(make_run("a")), store.adopt(make_run("b"))
    assert (store.active, store.previous) == (b.id, a.id)
    assert store.roll_back() == a.id
    assert (store.active, store.previous) == (a.id, "embedded")
    assert store.roll_back() == "embedded"
    with pytest.raises(ModelError, match="No other model was used"):
        store.roll_back()
    assert [(s.act, s.model) for s in store.history] == [
        ("activate", a.id),
        ("activate", b.id),
        ("roll back", a.id),
        ("roll back", "embedded"),
    ]


def test_after_a_roll_back_another_branch_can_be_taken(store, make_run):
    a, b = store.adopt(make_run("a")), store.adopt(make_run("b"))
    store.roll_back()
    store.activate("sam2.1-tiny")
    assert (store.active, store.previous) == ("sam2.1-tiny", a.id)
    assert store.active_model is None
    store.activate(b.id)
    assert store.previous == "sam2.1-tiny"


def test_activating_what_is_active_changes_nothing(store, make_run):
    a = store.adopt(make_run("a"))
    store.activate(a.id)
    assert len(store.history) == 1


def test_the_active_model_cannot_be_deleted_others_can(store, make_run):
    a, b = store.adopt(make_run("a")), store.adopt(make_run("b"))
    with pytest.raises(ModelError, match="in use"):
        store.delete(b.id)
    store.delete(a.id)
    assert [m.id for m in store.models] == [b.id]
    assert store.previous == "embedded"  # the deleted one is passed over
    assert store.roll_back() == "embedded"
    assert not list(store.folder.glob(".deleted-*"))


def test_a_number_is_never_given_again(store, make_run):
    a = store.add(make_run("a"))
    store.delete(a.id)
    assert store.add(make_run("b")).id == "m0002"


def test_names_are_checked_and_unique(store, make_run):
    a, b = store.add(make_run("a"), name="Heart"), store.add(make_run("b"), name="Heart")
    assert (a.name, b.name) == ("Heart", "Heart (2)")
    assert store.rename(b.id, "  Left heart ").name == "Left heart"
    assert store.named("Left heart").id == b.id
    for bad in ("", "   ", "x" * 81, "a\nb", "Heart", "embedded"):
        with pytest.raises(ModelError):
            store.rename(b.id, bad)
    assert store.get(b.id).name == "Left heart"


def test_a_changed_file_is_noticed_and_never_activated(store, make_run):
    a = store.add(make_run("a"))
    path = a.folder / WEIGHTS
    content = bytearray(path.read_bytes())
    content[0] ^= 1  # the size stays
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors is missing or not the file"):
        store.activate(a.id)
    assert store.active == "embedded"
    path.write_bytes(b"short")
    listing = store.listing()
    assert listing.models == ()
    assert listing.damaged[0][0] == a.folder
    assert "model.safetensors" in listing.damaged[0][1]


def test_one_damaged_model_does_not_hide_the_others(store, make_run):
    a, b = store.add(make_run("a")), store.add(make_run("b"))
    (a.folder / "card.json").write_text("{")
    assert [m.id for m in store.models] == [b.id]
    store.delete(a.id)  # and it can be removed
    assert store.listing().damaged == ()


def test_a_copied_folder_is_no_second_model(store, make_run):
    import shutil

    a = store.add(make_run("a"))
    shutil.copytree(a.folder, store.folder / "m0007")
    assert [m.id for m in store.models] == [a.id]
    assert "Export and Import" in store.listing().damaged[0][1]
    assert store.add(make_run("b")).id == "m0008"


def test_files_that_do_not_belong_together_are_refused(store, make_run):
    run = make_run("a")
    (run / SEMANTIC).write_bytes(b"of another moment")
    with pytest.raises(ModelError, match="does not belong to the card"):
        store.add(run)
    assert store.models == ()
    assert not list(store.folder.glob(".incoming-*"))


def test_a_folder_without_a_model_is_refused(store, tmp_path, make_run):
    with pytest.raises(ModelError, match="holds no trained model"):
        store.add(tmp_path)
    run = make_run("a")
    card = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps({k: v for k, v in card.items() if k != "sss"}))
    with pytest.raises(ModelError, match="knows no classes"):
        store.add(run)


def test_a_full_disk_leaves_nothing_behind(store, make_run, monkeypatch):
    import errno
    import os

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = make_run("a")
    with monkeypatch.context() as patched:
        patched.setattr(store_files.os, "fsync", full)
        with pytest.raises(WriteError, match="No space left"):
            store.add(run)
    assert store.models == ()
    assert not list(store.folder.glob(".incoming-*"))
    assert store.add(run).id == "m0001"


def test_a_damaged_history_is_told_and_models_stay(store, make_run):
    a = store.adopt(make_run("a"))
    (store.folder / "store.json").write_text("[")
    with pytest.raises(ModelError, match=r"store\.json.* is damaged"):
        _ = store.active
    assert [m.id for m in store.models] == [a.id]
    (store.folder / "store.json").unlink()
    assert store.active == "embedded"
    assert store.add(make_run("b")).id == "m0002"  # numbers of folders count too


KILLED = """
import os, sys, time
from pathlib import Path
from napari_sss.engine.modelstore import files, store
project, run, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
if moment == "copying":
    files.os.fsync = lambda handle: os.kill(os.getpid(), 9)
elif moment == "placing":
    store.put_in_place = lambda made, final: os.kill(os.getpid(), 9)
elif moment == "deleting":
    files.shutil.rmtree = lambda *a, **k: os.kill(os.getpid(), 9)
    store.ModelStore(project).delete("m0001")
store.ModelStore(project).adopt(run)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    ("moment", "left"), [("copying", ["m0001"]), ("placing", ["m0001"]), ("deleting", [])]
)
def test_a_kill_leaves_a_whole_model_or_none(store, make_run, moment, left):
    store.add(make_run("a"))
    arguments = [store.project, make_run("b"), moment]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, arguments)], check=False, timeout=60
    )
    assert killed.returncode == -9
    again = ModelStore(store.project)
    assert [m.id for m in again.models] == left
    assert again.listing().damaged == ()
    assert again.active == "embedded"
    added = again.adopt(make_run("b"))  # the lock died with its owner, the rest is swept
    assert again.active == added.id
    rests = [p.name for p in again.folder.iterdir() if p.name.startswith((".inc", ".del"))]
    assert rests == []


def test_two_processes_wait_for_each_other(store, make_run):
    code = (
        "import sys; from pathlib import Path;"
        "from napari_sss.engine.modelstore.store import ModelStore;"
        "ModelStore(Path(sys.argv[1])).add(Path(sys.argv[2]))"
    )
    runs = [make_run(name) for name in "abcd"]
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(store.project), str(run)])
        for run in runs
    ]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    assert [m.id for m in store.models] == ["m0001", "m0002", "m0003", "m0004"]


def test_looking_imports_no_torch(store, make_run):
    store.adopt(make_run("a"))
    code = (
        "import sys; from napari_sss.engine.modelstore.store import ModelStore;"
        "s = ModelStore(sys.argv[1]); s.models, s.active_model, s.previous;"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.project)], check=False)
    assert done.returncode == 0


def test_a_damaged_model_is_passed_over_and_named(store, make_run):
    a, b = store.adopt(make_run("a")), store.adopt(make_run("b"))
    (b.folder / WEIGHTS).unlink()
    assert (store.active, store.previous) == (a.id, "embedded")
    assert store.passed_over == b.id
    store.activate("embedded")
    assert store.passed_over == ""
    assert store.previous == a.id
