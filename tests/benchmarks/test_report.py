"""Reports of the benchmarks by hand: table, comparison, pictures, and the list of entries."""

from __future__ import annotations

import copy

import pytest


@pytest.fixture(scope="module")
def report_module(benchmark_module):
    return benchmark_module("_report")


def report() -> dict:
    return {
        "commit": "abc",
        "date": "2026-11-20T10:00:00+00:00",
        "hardware": {"cpu": "A", "cores": 2, "gpu": None},
        "versions": {"torch": "2.13.0"},
        "entries": {
            "one": {
                "title": "First",
                "figures": [
                    {"name": "work", "unit": "ms", "median": 10.0, "q1": 9.0, "q3": 11.0,
                     "calls": 5, "cpu": 8.0, "note": "a slice"},
                ],
                "ratios": [
                    {"name": "speed", "median": 2.0, "q1": 1.9, "q3": 2.1, "goal": 2.0,
                     "limit": None, "note": ""},
                    {"name": "share", "median": 1.2, "q1": 1.1, "q3": 1.3, "goal": None,
                     "limit": 1.0, "note": ""},
                ],
                "facts": {"slices": 7},
            },
            "two": {"title": "Second", "skipped": "there is no screen"},
        },
    }  # fmt: skip


def test_the_table_says_what_met_its_goal(report_module):
    text = report_module.table(report())
    assert "| one | speed | 2 | 1.9 to 2.1 | at least 2 | met |" in text
    assert "| one | share | 1.2 | 1.1 to 1.3 | at most 1 | **missed** |" in text
    assert "| work (a slice) | 10 ms | 9 to 11 | 8 | 5 |" in text
    assert "- slices: 7" in text
    assert "skipped: there is no screen" in text


def test_only_clear_changes_are_marked(report_module):
    before, after = report(), report()
    figure, speed, share = (
        after["entries"]["one"]["figures"][0],
        *after["entries"]["one"]["ratios"],
    )
    figure.update(median=20.0, q1=19.0, q3=21.0)  # twice the time
    speed.update(median=2.1, q1=2.0, q3=2.2)  # quartiles overlap
    share.update(median=0.6, q1=0.5, q3=0.7)  # half of what should be small
    lines = report_module.comparison(before, after).splitlines()
    assert [line.rsplit("|", 2)[1].strip() for line in lines[-3:]] == [
        "",
        "better",
        "**worse**",
    ]
    assert lines[-1] == "| one | work | 10 ms | 20 ms | 2.00 | **worse** |"


def test_other_computers_and_versions_are_named(report_module):
    before, after = report(), report()
    after["hardware"]["cpu"] = "B"
    after["versions"]["torch"] = "2.14.0"
    text = report_module.comparison(before, after)
    assert "Not the same computer: cpu A and B." in text
    assert "torch 2.13.0 to 2.14.0" in text


def test_pictures(report_module, tmp_path):
    content = copy.deepcopy(report())
    content["entries"]["memory"] = {
        "title": "Memory",
        "facts": {"growth_mb": {"ours": {"100": 50, "1000": 60}}},
    }
    written = report_module.plots(content, tmp_path / "pictures")
    assert [path.name for path in written] == ["ratios.png", "memory.png"]
    assert all(path.stat().st_size > 5000 for path in written)


def test_processor_time_counts_pair_by_pair(benchmark_module):
    timing = benchmark_module("_measure").Timing
    ours = timing((9.0, 9.0, 9.0), (1.0, 2.0, 4.0))
    theirs = timing((1.0, 1.0, 1.0), (3.0, 8.0, 20.0))
    # 3, 4 and 5 times; of three values the quartiles lie half way between.
    assert ours.times_as_fast_as(theirs) == (3.5, 4.0, 4.5)


def test_entries_are_listed_and_unknown_ones_refused(benchmark_module, capsys):
    run = benchmark_module("run")
    assert run.main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"pcsw", "encoding-official", "propagation-official", "memory"} <= set(listed)
    assert run.main(["--only", "pcsw", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
