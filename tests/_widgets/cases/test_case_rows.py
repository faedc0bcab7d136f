"""What a line says, which lines are shown, and in which order."""

from __future__ import annotations

import pytest

from napari_sss._widgets.cases.rows import CaseRow, Order, RowFilter, counted, shown
from napari_sss.engine.project.locating import Trouble
from napari_sss.engine.project.records import CaseStatus, Flag


def row(case_id, name, status=CaseStatus.NEW, **more):
    return CaseRow(case_id, name, status, "CT", (10, 20, 30), (5.0, 0.7, 0.8), **more)


ROWS = [
    row(1, "CT_10", CaseStatus.ACCEPTED, objects=2),
    row(2, "CT_9", CaseStatus.SUGGESTED, confidence=0.9),
    row(
        3, "ct_1", CaseStatus.SUGGESTED, confidence=0.3, flags=frozenset({Flag.UNCERTAIN_CLASS})
    ),
    row(4, "MR", trouble=Trouble.MISSING),
]


def names(rows):
    return [r.name for r in rows]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (RowFilter(), ["CT_10", "CT_9", "ct_1", "MR"]),
        (RowFilter(text=" ct "), ["CT_10", "CT_9", "ct_1"]),
        (RowFilter(status=CaseStatus.SUGGESTED), ["CT_9", "ct_1"]),
        (RowFilter(status=CaseStatus.SUGGESTED, flagged=True), ["ct_1"]),
        (RowFilter(troubled=True), ["MR"]),
        (RowFilter(text="x"), []),
    ],
)
def test_filters(chosen, expected):
    assert names(shown(ROWS, chosen)) == expected
    assert chosen.is_empty is (chosen == RowFilter())


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.NAME, ["ct_1", "CT_9", "CT_10", "MR"]),
        (Order.STATUS, ["MR", "ct_1", "CT_9", "CT_10"]),
        (Order.DOUBT, ["ct_1", "CT_9", "CT_10", "MR"]),
    ],
)
def test_orders(order, expected):
    assert names(shown(ROWS, order=order)) == expected


def test_what_a_line_says():
    assert ROWS[1].facts == "suggested · CT · 30×20×10"
    assert ROWS[3].facts == "scan not found · new"
    assert "30×20×10 voxels of 0.8 × 0.7 × 5 mm" in ROWS[0].tooltip
    assert "Flagged: uncertain class" in ROWS[2].tooltip
    assert "Find moved files" in ROWS[3].tooltip


def test_the_count():
    assert counted(ROWS, 4) == "4 cases · 1 accepted"
    assert counted(ROWS, 2) == "2 of 4 cases · 1 accepted"
    assert counted(ROWS[1:2], 1) == "1 case · 0 accepted"
