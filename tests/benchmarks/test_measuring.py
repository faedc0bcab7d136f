"""The measuring helper that every benchmark uses."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest


@pytest.fixture(scope="module")
def helper(repository):
    path = repository / "benchmarks" / "_measure.py"
    spec = importlib.util.spec_from_file_location("_measure", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["_measure"] = module  # dataclasses look their module up by its name
    spec.loader.exec_module(module)
    yield module
    del sys.modules["_measure"]


def test_candidates_take_turns_in_alternating_order(helper):
    calls = []
    timings = helper.measure(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, warmup=1
    )
    # One warm-up each, then a b, b a, a b.
    assert calls == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert {name: len(t.seconds) for name, t in timings.items()} == {"a": 3, "b": 3}


def test_median_and_quartiles(helper):
    # Of 1, 2, 3, 4, 100 ms the quartiles are the 2nd, 3rd and 4th.
    timing = helper.Timing((0.001, 0.100, 0.003, 0.002, 0.004))
    assert timing.summary() == {"median_ms": 3.0, "q1_ms": 2.0, "q3_ms": 4.0, "calls": 5}


def test_the_report_says_what_ran_on_what(helper, tmp_path):
    path = helper.write_report(
        "some", {"rounds": 3}, [{"x": 1}], tmp_path / "sub" / "some.json"
    )
    report = json.loads(path.read_text())
    assert report["settings"] == {"rounds": 3}
    assert report["results"] == [{"x": 1}]
    assert report["hardware"]["cores"] >= 1
    assert report["versions"]["torch"]
    assert report["commit"]
