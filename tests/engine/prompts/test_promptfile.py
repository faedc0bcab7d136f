"""Prompt files: the format read and written, and every fault named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_sss.engine.errors import PromptError, WriteError
from napari_sss.engine.prompts.promptfile import (
    check_prompts,
    prompts_from_dict,
    prompts_to_dict,
    read_prompts,
    write_prompts,
)
from napari_sss.engine.prompts.types import (
    Box,
    ObjectPrompts,
    Plane,
    Point,
    Polygon,
    PromptSet,
    SlicePrompt,
    Stroke,
)


def _file(**prompt: Any) -> dict[str, Any]:
    """A file with one object and one prompt, a box unless the prompt says otherwise."""
    prompt = {"z": 4, **(prompt or {"box": [1, 2, 3, 4]})}
    return {"version": 1, "objects": [{"id": 1, "class": "kidney", "prompts": [prompt]}]}


def _prompt(**prompt: Any) -> SlicePrompt:
    return prompts_from_dict(_file(**prompt)).objects[0].prompts[0]


def test_the_documented_example(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(
        '{"version": 1, "objects": [{"id": 1, "class": "kidney", "prompts":'
        ' [{"z": 40, "box": [10, 20, 30, 45], "points": [[12, 22, 1], [11, 40.5, 0]]}]}]}'
    )
    prompt = SlicePrompt(
        40, Box(10, 20, 30, 45), (Point(12, 22, positive=True), Point(11, 40.5, positive=False))
    )
    assert read_prompts(path) == PromptSet((ObjectPrompts(1, "kidney", (prompt,)),))


def test_optional_keys() -> None:
    prompt = _prompt(
        plane="coronal",
        strokes=[{"points": [[1, 2], [3, 4.5]]}, {"points": [[0, 0]], "positive": False}],
        polygons=[{"points": [[0, 0], [4, 0], [0, 4]], "positive": True}],
        confidence=0.25,
    )
    assert prompt.plane is Plane.CORONAL
    assert prompt.strokes == (
        Stroke(((1, 2), (3, 4.5))),
        Stroke(((0, 0),), positive=False),
    )
    assert prompt.polygons == (Polygon(((0, 0), (4, 0), (0, 4))),)
    assert prompt.confidence == 0.25


def test_a_frame_may_stand_on_the_file_or_on_its_prompts() -> None:
    on_file = {**_file(), "frame": 3}
    on_prompt = _file(box=[1, 2, 3, 4], frame=3)
    assert prompts_from_dict(on_file) == prompts_from_dict(on_prompt)
    assert prompts_from_dict(on_file).frame == 3
    with pytest.raises(PromptError, match=r'"frame" has several values: \[2, 3\]'):
        prompts_from_dict({**on_prompt, "frame": 2})


def test_everything_survives_a_round_trip(tmp_path: Path) -> None:
    mask = tmp_path / "sub" / "mask.nii.gz"
    mask.parent.mkdir()
    mask.touch()
    full = SlicePrompt(
        3,
        Box(0.5, 1, 7, 9.25),
        (Point(2, 3), Point(4.5, 5, positive=False)),
        (Stroke(((1, 1), (2, 2)), positive=False),),
        (Polygon(((1, 1), (5, 1), (3, 6))),),
        mask.resolve(),
        Plane.SAGITTAL,
        0.125,
    )
    prompts = PromptSet(
        (
            ObjectPrompts(7, "Leber, links", (full, SlicePrompt(0, Box(0, 0, 1, 1))), 0.5),
            ObjectPrompts(2, "übrig", (SlicePrompt(5, points=(Point(0, 0),)),)),
        ),
        frame=2,
    )
    path = tmp_path / "p.json"
    write_prompts(prompts, path)
    assert read_prompts(path) == prompts
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["objects"][0]["prompts"][0]["mask"] == "sub/mask.nii.gz"
    # Whole numbers stay whole, and what has nothing to say is left out.
    assert written["objects"][0]["prompts"][1] == {"z": 0, "box": [0, 0, 1, 1]}


_FAULTS = {
    "version": ({"version": 2, "objects": []}, r'"version" is 2'),
    "version missing": ({"objects": []}, r'"version" is missing'),
    "version as text": ({"version": "1", "objects": []}, r"\"version\" is '1'"),
    "unknown key": ({**_file(), "extra": 1}, r'"extra" is not a known key'),
    "no mapping": ([1], "is not a JSON object"),
    "objects no list": ({"version": 1, "objects": {}}, r'"objects" is not a list'),
    "no class": (
        {"version": 1, "objects": [{"id": 3, "prompts": [{"z": 1, "box": [0, 0, 1, 1]}]}]},
        r'object 3: "class" is missing',
    ),
    "id 0": ({"version": 1, "objects": [{"id": 0}]}, r'object 1: "id" is 0'),
    "id true": ({"version": 1, "objects": [{"id": True}]}, r'object 1: "id" is True'),
    "no prompts": (
        {"version": 1, "objects": [{"id": 5, "class": "a", "prompts": []}]},
        r'object 5: "prompts" is empty',
    ),
    "same id twice": (
        {"version": 1, "objects": _file()["objects"] * 2},
        r'"objects" use the id 1 twice',
    ),
    "unknown prompt key": (
        _file(box=[0, 0, 1, 1], bax=1),
        r'object 1, prompt 1: "bax" is not a known key',
    ),
    "negative z": (_file(z=-1, box=[0, 0, 1, 1]), r'"z" is -1'),
    "fractional z": (_file(z=1.5, box=[0, 0, 1, 1]), r'"z" is 1.5'),
    "nothing": (_file(confidence=0.5), r'"box" is missing'),
    "empty box": (_file(box=[3, 0, 3, 1]), r'"box" \[3, 0, 3, 1\] is empty'),
    "short box": (_file(box=[3, 0, 3]), r'"box" holds \[3, 0, 3\]'),
    "NaN": (_file(box=[0, 0, 1, float("nan")]), r'"box" holds nan'),
    "text in a box": (_file(box=[0, 0, 1, "2"]), r"\"box\" holds '2'"),
    "true in a box": (_file(box=[0, 0, 1, True]), r'"box" holds True'),
    "label 2": (_file(points=[[1, 1, 2]]), r'"points" carry the label 2'),
    "point without label": (_file(points=[[1, 1]]), r'"points" holds \[1, 1\]'),
    "plane": (_file(box=[0, 0, 1, 1], plane="oblique"), r"\"plane\" is 'oblique'"),
    "confidence": (_file(box=[0, 0, 1, 1], confidence=1.5), r'"confidence" is 1.5'),
    "two-point polygon": (
        _file(polygons=[{"points": [[0, 0], [1, 1]]}]),
        r'object 1, prompt 1, polygon 1: "points" has 2',
    ),
    "stroke key": (
        _file(strokes=[{"points": [[0, 0]], "width": 3}]),
        r'stroke 1: "width" is not a known key',
    ),
    "stroke sign": (
        _file(strokes=[{"points": [[0, 0]], "positive": 1}]),
        r'stroke 1: "positive" is 1',
    ),
}


@pytest.mark.parametrize("name", _FAULTS)
def test_a_fault_is_named_with_file_object_and_key(name: str, tmp_path: Path) -> None:
    content, message = _FAULTS[name]
    path = tmp_path / "faulty.json"
    path.write_text(json.dumps(content))
    with pytest.raises(PromptError, match=message) as caught:
        read_prompts(path)
    assert str(path) in str(caught.value)
    assert caught.value.path == path
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ('{"version": 1, "version": 1, "objects": []}', "'version' is given twice"),
    ],
)
def test_text_that_is_no_json(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(PromptError, match=message):
        read_prompts(path)


def test_a_file_that_is_missing_or_binary(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="cannot be read"):
        read_prompts(tmp_path / "none.json")
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(PromptError, match="cannot be read"):
        read_prompts(tmp_path / "b.json")


def test_a_mask_is_sought_beside_the_file_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "m.nii").touch()
    (tmp_path / "secret.nii").touch()
    path = folder / "p.json"

    path.write_text(json.dumps(_file(mask="m.nii")))
    assert read_prompts(path).objects[0].prompts[0].mask == (folder / "m.nii").resolve()

    outside = ["../secret.nii", str(tmp_path / "secret.nii"), "..\\secret.nii", "C:\\m.nii"]
    for name in outside:
        path.write_text(json.dumps(_file(mask=name)))
        with pytest.raises(PromptError, match="leads out of the folder"):
            read_prompts(path)

    path.write_text(json.dumps(_file(mask="absent.nii")))
    with pytest.raises(PromptError, match="does not exist"):
        read_prompts(path)


def test_a_link_does_not_lead_a_mask_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    (tmp_path / "secret.nii").touch()
    try:
        (folder / "m.nii").symlink_to(tmp_path / "secret.nii")
    except OSError:
        pytest.skip("links are not allowed here")
    path = folder / "p.json"
    path.write_text(json.dumps(_file(mask="m.nii")))
    with pytest.raises(PromptError, match="leads out of the folder"):
        read_prompts(path)


def test_writing_refuses_a_mask_outside(tmp_path: Path) -> None:
    prompt = SlicePrompt(0, mask=tmp_path / "m.nii")
    prompts = PromptSet((ObjectPrompts(1, "a", (prompt,)),))
    (tmp_path / "case").mkdir()
    with pytest.raises(PromptError, match="lies outside"):
        write_prompts(prompts, tmp_path / "case" / "p.json")


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.json"
    path.write_text("old")

    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(WriteError, match="No space left"):
        write_prompts(PromptSet(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_a_write_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError):
        write_prompts(PromptSet(), tmp_path / "none" / "p.json")


def test_no_objects_is_a_valid_file() -> None:
    assert prompts_from_dict(prompts_to_dict(PromptSet())) == PromptSet()


# A volume of 10 slices, 20 rows and 30 columns.
_SHAPE = (10, 20, 30)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (SlicePrompt(10, Box(0, 0, 1, 1)), "from 0 to 9"),
        (SlicePrompt(20, Box(0, 0, 1, 1), plane=Plane.CORONAL), "from 0 to 19"),
        (SlicePrompt(30, Box(0, 0, 1, 1), plane=Plane.SAGITTAL), "from 0 to 29"),
        # 31 columns are one too many; so are 21 rows.
        (SlicePrompt(0, Box(0, 0, 31, 20)), "reaches out"),
        (SlicePrompt(0, Box(0, 0, 30, 21)), "reaches out"),
        (SlicePrompt(0, Box(-1, 0, 30, 20)), "reaches out"),
        # A coronal slice has 30 columns and 10 rows.
        (SlicePrompt(0, Box(0, 0, 30, 11), plane=Plane.CORONAL), "reaches out"),
        # A sagittal slice has 20 columns and 10 rows.
        (SlicePrompt(0, Box(0, 0, 21, 10), plane=Plane.SAGITTAL), "reaches out"),
        (SlicePrompt(0, points=(Point(30, 0),)), "points"),
        (SlicePrompt(0, strokes=(Stroke(((0, 0), (0, 20))),)), "strokes"),
        (SlicePrompt(0, polygons=(Polygon(((0, 0), (0, 20), (1, 1))),)), "polygons"),
    ],
)
def test_prompts_outside_the_volume(prompt: SlicePrompt, message: str) -> None:
    prompts = PromptSet((ObjectPrompts(4, "spleen", (prompt,)),))
    with pytest.raises(PromptError, match=message) as caught:
        check_prompts(prompts, _SHAPE, Path("p.json"))
    for part in ("p.json", "4", "spleen", "10 x 20 x 30"):
        assert part in str(caught.value)


def test_prompts_that_fill_the_volume_are_inside() -> None:
    prompts = (
        SlicePrompt(9, Box(0, 0, 30, 20), (Point(29.5, -0.5), Point(0, 19))),
        SlicePrompt(19, Box(0, 0, 30, 10), plane=Plane.CORONAL),
        SlicePrompt(29, Box(0, 0, 20, 10), plane=Plane.SAGITTAL),
    )
    check_prompts(PromptSet((ObjectPrompts(1, "a", prompts),)), _SHAPE)
