"""The table of keys, and the help that is drawn from it."""

from __future__ import annotations

from collections import Counter

from napari_sss._widgets.tools.help_overlay import balanced, parts, sections
from napari_sss._widgets.tools.keys import CLASSES, KEYS, Action, key_of, with_key

NAPARIS_EVERYWHERE = {"Ctrl+Y", "Ctrl+R", "Ctrl+E", "Ctrl+T", "Ctrl+G", "V", "Space", "Home"}


def test_every_action_has_a_key_and_no_key_does_two_things():
    assert {key.action for key in KEYS} == set(Action)
    used = Counter(text for key in KEYS for text in key.keys)
    assert set(used.values()) == {1}


def test_what_napari_needs_everywhere_stays_napari_s():
    assert not NAPARIS_EVERYWHERE & {text for key in KEYS for text in key.keys}


def test_keys_that_work_on_every_layer_are_none_that_napari_has():
    always = {text for key in KEYS if key.always for text in key.keys}
    assert always == {"F1", "?", "F2", "F3", "F4", "F5", "Ctrl+PgDown", "Ctrl+PgUp"}


def test_a_tooltip_ends_with_the_key():
    assert with_key("Draw a box.", Action.BOX) == "Draw a box (B)."
    assert key_of(Action.HELP) == "F1"


def test_the_help_lists_what_is_bound_and_the_classes_as_one_line():
    found = dict(sections({Action.POINT, *CLASSES}))
    assert found["Tools"] == [(("P",), "Point"), (("1 – 9",), "Class of new objects")]
    assert "Review" not in found
    assert found["Mouse, and keys of napari"]


def test_columns_keep_the_order_and_nothing_is_lost():
    found = sections(set(Action))
    for count in (1, 2, 3):
        columns = balanced(found, count)
        assert len(columns) == count
        assert [s for column in columns for s in column] == found


def test_combinations_are_drawn_as_several_caps():
    assert parts("Ctrl+Shift+Z") == ["Ctrl", "Shift", "Z"]
    assert parts("Ctrl+PgDown") == ["Ctrl", "PgDn"]
    assert parts("?") == ["?"]
    assert parts("Ctrl + drag") == ["Ctrl + drag"]
