"""What the Models tab lists, does, refuses and keeps in step with the panel."""

from __future__ import annotations

import pytest

from napari_sss._widgets.models.controller import NO_MODELS, NO_PROJECT, NOTHING_BEFORE
from napari_sss._widgets.models.rows import (
    COMES_ALONG,
    DAMAGED,
    HERE,
    IN_USE,
    Deed,
    scores_text,
)
from napari_sss._widgets.status import Severity
from napari_sss.engine.modelstore.card import ClassScore, HeldOutScores


def keys(bench):
    return [row.key for row in bench.controller.status.rows]


def test_without_a_project_there_are_the_built_in_models_and_a_hint(bench):
    status = bench.controller.status
    assert [row.section.value for row in status.rows] == ["SAM-2"] * 5
    assert status.empty_text == NO_PROJECT
    assert status.why_no_import == NO_PROJECT
    assert bench.row("embedded").mark == IN_USE


def test_an_empty_project_says_how_to_get_models(opened):
    status = opened.controller.status
    assert status.empty_text == NO_MODELS
    assert (status.why_no_import, status.why_no_roll_back) == ("", NOTHING_BEFORE)


def test_a_built_in_model_says_size_licence_and_what_cannot_be_done(
    bench, monkeypatch, tmp_path
):
    monkeypatch.setenv("NAPARI_SSS_MODELS", str(tmp_path / "cache"))
    row = bench.row("sam2.1-tiny")
    assert row.mark == "156 MB"
    facts = dict(row.facts)
    assert facts["Licence"] == "Apache-2.0"
    assert facts["File"] == "not on this computer yet"
    assert row.why_not[Deed.ACTIVATE] == "Download it first."
    assert Deed.DOWNLOAD not in row.why_not
    assert Deed.DELETE in row.why_not
    own = bench.row("embedded")
    assert own.why_not[Deed.DOWNLOAD] == COMES_ALONG
    assert Deed.VERIFY not in own.why_not


def test_activating_a_model_sets_what_auto_prompt_uses(opened, make_run):
    model = opened.store.add(make_run("a"), name="Heart")
    opened.controller.refresh()
    opened.settle()
    assert keys(opened)[0] == model.id
    told = []
    opened.controller.in_use_changed.connect(lambda *news: told.append(news))
    opened.controller.activate(model.id)
    opened.settle()
    assert opened.choice.status.name == str(model.folder)
    assert opened.choice.trained == model.folder
    assert told[-1] == (str(model.folder), "Heart")
    assert opened.store.active == model.id
    assert opened.row(model.id).mark == IN_USE
    assert opened.row("embedded").mark == HERE
    assert opened.row(model.id).why_not[Deed.DELETE].startswith("It is in use")
    assert opened.controller.model.id == model.id


def test_one_click_rolls_back(opened, make_run):
    model = opened.store.add(make_run("a"), name="Heart")
    opened.controller.activate(model.id)
    opened.settle()
    assert opened.controller.status.roll_back_to == "Embedded"
    opened.controller.roll_back()
    opened.settle()
    assert opened.choice.status.name == "embedded"
    assert opened.choice.trained is None
    assert opened.controller.status.why_no_roll_back == NOTHING_BEFORE


def test_what_a_training_adopts_is_used_at_once(opened, make_run):
    """The store tells; nobody has to press anything in this tab."""
    model = opened.store.adopt(make_run("a"))
    opened.settle()
    assert opened.choice.trained == model.folder


def test_a_model_chosen_at_the_head_of_the_panel_is_noted_in_the_project(
    opened, make_run, monkeypatch
):
    model = opened.store.adopt(make_run("a"))
    opened.settle()
    opened.choice.choose("embedded")
    opened.settle()
    assert opened.store.active == "embedded"
    opened.choice.choose(str(model.folder))  # as the list at the head does
    opened.settle()
    assert opened.store.active == model.id
    assert opened.choice.trained == model.folder


def test_a_project_is_opened_with_the_model_that_was_used_in_it(opened, make_run, tmp_path):
    model = opened.store.adopt(make_run("a"))
    opened.settle()
    first = opened.store.project
    opened.open_project(tmp_path / "another")
    assert opened.choice.status.name == "embedded"  # the other project's model is not ours
    assert opened.choice.trained is None
    opened.room.open(first)
    opened.settle()
    assert opened.choice.trained == model.folder
    assert opened.store.active == model.id


def test_renaming_and_deleting(opened, make_run):
    model = opened.store.add(make_run("a"), name="Heart")
    opened.controller.rename(model.id, "Left heart")
    opened.settle()
    assert opened.row(model.id).title == "Left heart"
    opened.controller.rename(model.id, "")
    opened.settle()
    assert opened.notices[-1].severity is Severity.ERROR
    assert "needs a name" in opened.notices[-1].text
    opened.controller.delete(model.id)
    opened.settle()
    assert opened.row(model.id) is None


def test_a_damaged_model_is_listed_with_the_reason_and_can_be_deleted(opened, make_run):
    model = opened.store.add(make_run("a"))
    (model.folder / "card.json").write_text("{")
    opened.controller.refresh()
    opened.settle()
    row = opened.row(model.id)
    assert row.mark == DAMAGED
    assert "card" in dict(row.facts)["Trouble"]
    assert set(row.why_not) == set(Deed) - {Deed.DELETE}


def test_a_model_in_use_that_was_damaged_is_told_when_the_project_is_opened(
    opened, make_run, tmp_path
):
    model = opened.store.adopt(make_run("a"))
    opened.settle()
    first = opened.store.project
    opened.open_project(tmp_path / "another")
    (model.folder / "model.safetensors").unlink()
    opened.room.open(first)
    opened.settle()
    assert opened.choice.status.name == "embedded"
    assert "m0001 that was used last is damaged" in opened.controller.status.problem


def test_export_tells_where_it_is_and_a_foreign_file_is_refused(opened, make_run, tmp_path):
    model = opened.store.add(make_run("a"), name="Heart")
    opened.controller.refresh()
    opened.settle()
    opened.controller.export(model.id, tmp_path / "heart.zip")
    opened.settle()
    assert (tmp_path / "heart.zip").exists()
    assert "Exported to" in opened.notices[-1].text
    (tmp_path / "foreign.zip").write_bytes(b"no archive")
    opened.controller.take_in(tmp_path / "foreign.zip")
    opened.settle()
    assert opened.notices[-1].severity is Severity.ERROR
    assert "no ZIP file" in opened.notices[-1].text
    assert opened.controller.status.busy == ""


def test_a_read_only_project_can_be_looked_at(opened, make_run):
    from napari_sss.engine.project.project import Project

    model = opened.store.add(make_run("a"))
    folder = opened.store.project
    opened.room.close()
    opened.settle()
    with Project.open(folder):
        opened.room.open(folder)
        opened.settle()
        row = opened.row(model.id)
        assert "reading only" in row.why_not[Deed.ACTIVATE]
        assert "reading only" in row.why_not[Deed.DELETE]
        assert Deed.EXPORT not in row.why_not
        assert "reading only" in opened.controller.status.why_no_import


def test_a_download_shows_progress_and_can_be_stopped(bench, monkeypatch, tmp_path):
    import threading

    monkeypatch.setenv("NAPARI_SSS_MODELS", str(tmp_path))
    started = threading.Event()

    def download(entry, control):
        for done in range(1, 10_000):
            control.report(f"download {entry.title}", done, 10_000)
            started.set()
            threading.Event().wait(0.005)

    monkeypatch.setattr("napari_sss.engine.models.download.download_model", download)
    bench.controller.download("sam2.1-tiny")
    assert started.wait(10)
    bench.deliver()
    status = bench.controller.status
    assert status.busy == "Downloading SAM 2.1 tiny"
    assert status.progress.total == 10_000
    assert bench.row("sam2.1-tiny").mark == "downloading"
    assert bench.row("sam2.1-tiny").why_not[Deed.DOWNLOAD] == "It is on its way."
    bench.controller.cancel()
    bench.settle()
    assert bench.controller.status.busy == ""
    assert bench.row("sam2.1-tiny").mark == "156 MB"


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        (None, "not measured: no accepted case was held out"),
        (HeldOutScores(mean=0.5, cases=1), "0.50 on 1 case"),
        (
            HeldOutScores(
                mean=0.714,
                sd=0.05,
                cases=3,
                classes={"organ": ClassScore(mean=0.8, cases=3)},
                how="2-fold",
            ),
            "0.71 ± 0.05 on 3 cases (organ 0.80); 2-fold",
        ),
    ],
)
def test_scores_are_told_with_their_spread_and_number(scores, text):
    assert scores_text(scores) == text
