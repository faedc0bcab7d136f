"""The command ``finetune`` on runs that others have made."""

from __future__ import annotations

import json

import pytest

from napari_sss.engine.cli import main
from napari_sss.engine.runs.decision import decision_of
from napari_sss.engine.runs.request import RunRequest, write_request
from napari_sss.engine.runs.state import RunPhase, RunState, write_state
from napari_sss.engine.runs.verdict import judged
from napari_sss.engine.training.config import configured


@pytest.fixture
def project(tmp_path):
    """A project with a paused run and a newer one that is done."""
    settings = configured({"minutes": 5.0}).model_dump(mode="json")
    for name, phase in (("20260101-100000", "paused"), ("20260102-100000", "done")):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        write_request(RunRequest(id=name, created="2026", settings=settings), folder)
        write_state(folder, RunState(RunPhase(phase)))
    found = judged(["liver"], {"a": {"liver": 0.8}}, {"a": {"liver": 0.6}})
    (folder / "gate.json").write_text(json.dumps({"judgement": found.as_json()}))
    return tmp_path


def test_runs_are_listed_oldest_first(project, capsys):
    assert main(["finetune", "list", str(project)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "20260101-100000  paused  sss, 5 min",
        "20260102-100000  done  sss, 5 min",
    ]
    assert main(["finetune", "list", str(project), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["phase"] for one in listed] == ["paused", "done"]


def test_the_newest_is_compared_unless_one_is_named(project, capsys):
    assert main(["finetune", "compare", str(project)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["liver", "0.600", "0.800", "0.200"]
    assert "adopt: The new model is better by 0.200 Dice" in out
    assert main(["finetune", "compare", str(project), "20260101-100000"]) == 2
    assert "has not been compared yet" in capsys.readouterr().err


def test_keeping_the_old_one_is_noted(project):
    assert main(["finetune", "keep", str(project)]) == 0
    assert decision_of(project / "runs/20260102-100000") == "kept"


def test_what_does_not_run_cannot_be_paused_but_discarded(project, capsys):
    assert main(["finetune", "pause", str(project)]) == 2
    assert "is not running" in capsys.readouterr().err
    assert main(["finetune", "discard", str(project), "20260101-100000"]) == 0
    assert not (project / "runs/20260101-100000").exists()


def test_a_run_that_is_not_there_is_named_with_those_that_are(project, capsys):
    assert main(["finetune", "compare", str(project), "yesterday"]) == 2
    assert "20260101-100000, 20260102-100000" in capsys.readouterr().err


def test_without_any_run_it_says_how_to_begin(tmp_path, capsys):
    assert main(["finetune", "compare", str(tmp_path)]) == 2
    assert "finetune start" in capsys.readouterr().err
