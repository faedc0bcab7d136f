"""A second, slow way to annotate: whole copies of everything, for comparison.

It shares no code with the engine. ``NaiveCase`` keeps a copy of its state for every act;
``perform`` does the same act in a session; ``seen`` gives both states one form.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

SHAPE = (4, 12, 14)
Spec = tuple[Any, ...]


def random_spec(rng: np.random.Generator) -> Spec:
    """An act, drawn without a look at the state."""
    z = int(rng.integers(SHAPE[0]))
    object_id = int(rng.integers(1, 5))
    y, x = (int(rng.integers(n - 3)) for n in SHAPE[1:])
    height, width = (int(v) for v in rng.integers(1, 6, 2))
    kinds = ["stroke"] * 6 + ["mask"] * 3 + ["prompt"] * 3 + ["undo"] * 4 + ["redo"] * 3
    kinds += ["erase", "forget", "object", "slice", "section", "flag", "class", "delete"]
    kinds += ["merge", "table"]
    kind = kinds[int(rng.integers(len(kinds)))]
    if kind in ("stroke", "mask", "erase"):
        return (kind, object_id, z, y, x, height, width)
    if kind == "prompt":
        return (kind, object_id, z, x, y)
    if kind in ("forget", "section"):
        return (kind, object_id, z, bool(rng.integers(2)))
    if kind in ("object", "class"):
        return (kind, object_id, int(rng.integers(1, 3)))
    if kind in ("slice", "flag"):
        return (kind, z, bool(rng.integers(2)))
    if kind == "merge":
        return (kind, object_id, object_id % 4 + 1)
    if kind == "table":
        return (kind, f"name {int(rng.integers(5))}")
    return (kind, object_id) if kind == "delete" else (kind,)


class NaiveCase:
    """The state with all its former ones."""

    def __init__(self) -> None:
        self.now: dict[str, Any] = {
            "labels": np.zeros(SHAPE, dtype=np.uint16),
            "objects": {},
            "prompts": {},
            "slices": {},
            "anchors": set(),
            "made": {},
            "class name": "organ",
        }
        self.past: list[dict[str, Any]] = []
        self.future: list[dict[str, Any]] = []

    def do(self, spec: Spec) -> bool:
        """Carry an act out; False where it is refused."""
        if spec[0] == "undo":
            if self.past:
                self.future.append(self.now)
                self.now = self.past.pop()
            return True
        if spec[0] == "redo":
            if self.future:
                self.past.append(self.now)
                self.now = self.future.pop()
            return True
        state = copy.deepcopy(self.now)
        try:
            getattr(self, "_" + spec[0])(state, *spec[1:])
        except (KeyError, PermissionError):
            return False
        if not same(state, self.now):
            self.past.append(self.now)
            self.future.clear()
            self.now = state
        return True

    def _stroke(self, s, object_id, z, y, x, height, width):
        s["objects"].setdefault(object_id, [1, "open"])
        self._colour(s, object_id, z, self._box(y, x, height, width))

    def _erase(self, s, _, z, y, x, height, width):
        self._colour(s, 0, z, self._box(y, x, height, width))

    def _mask(self, s, object_id, z, y, x, height, width):
        s["objects"][object_id]
        inside = self._box(y, x, height, width)
        outside = (s["labels"][z] == object_id) & ~inside
        changed, cut = self._colour(s, 0, z, outside, made=False)
        more, cut_too = self._colour(s, object_id, z, inside, made=False)
        for other in (changed | more) - {object_id}:
            maker = s["made"].get((other, z), ["prompted"])[0]
            s["made"][other, z] = [maker, True]
        if (object_id, z) not in s["anchors"]:
            s["made"][object_id, z] = ["prompted", cut or cut_too]

    def _prompt(self, s, object_id, z, x, y):
        self._open(s, object_id)
        s["prompts"][object_id, z] = (x, y)

    def _forget(self, s, object_id, z, _):
        self._open(s, object_id)
        s["prompts"].pop((object_id, z), None)

    def _object(self, s, object_id, review):
        s["objects"][object_id][1] = "accepted" if review == 2 else "open"

    def _class(self, s, object_id, class_id):
        self._open(s, object_id)
        s["objects"][object_id][0] = class_id

    def _slice(self, s, z, on):
        s["slices"].setdefault(z, {"accepted": False, "flag": False})["accepted"] = on

    def _flag(self, s, z, on):
        s["slices"].setdefault(z, {"accepted": False, "flag": False})["flag"] = on

    def _section(self, s, object_id, z, on):
        s["objects"][object_id]
        (s["anchors"].add if on else s["anchors"].discard)((object_id, z))
        s["made"].setdefault((object_id, z), ["painted", False])

    def _delete(self, s, object_id):
        self._open(s, object_id)
        mine = s["labels"] == object_id
        if any(self._locked(s, z, object_id, 0) for z in np.unique(np.nonzero(mine)[0])):
            raise PermissionError
        s["labels"][mine] = 0
        self._drop(s, object_id)

    def _merge(self, s, source, target):
        self._open(s, source)
        self._open(s, target)
        mine = s["labels"] == source
        if any(self._locked(s, z, source, target) for z in np.unique(np.nonzero(mine)[0])):
            raise PermissionError
        s["labels"][mine] = target
        for z in np.unique(np.nonzero(mine)[0]):
            s["made"][target, int(z)] = ["painted", True]
        for owner, z in sorted(s["prompts"]):
            if owner == source:
                s["prompts"].setdefault((target, z), s["prompts"][owner, z])
        self._drop(s, source)

    def _table(self, s, name):
        s["class name"] = name

    def _drop(self, s, object_id):
        del s["objects"][object_id]
        s["prompts"] = {k: v for k, v in s["prompts"].items() if k[0] != object_id}
        s["anchors"] = {k for k in s["anchors"] if k[0] != object_id}
        s["made"] = {k: v for k, v in s["made"].items() if k[0] != object_id}

    def _open(self, s, object_id):
        if s["objects"][object_id][1] == "accepted":
            raise PermissionError

    def _box(self, y, x, height, width):
        inside = np.zeros(SHAPE[1:], dtype=bool)
        inside[y : y + height, x : x + width] = True
        return inside

    def _colour(self, s, value, z, inside, made=True):
        """Paint pixel by pixel; the objects that changed, and whether a lock was met."""
        changed, refused = set(), False
        for y, x in zip(*np.nonzero(inside), strict=True):
            owner = int(s["labels"][z, y, x])
            if owner == value:
                continue
            if self._locked(s, z, owner, value):
                refused = True
                continue
            s["labels"][z, y, x] = value
            changed |= {owner, value} - {0}
        for object_id in changed if made else ():
            s["made"][object_id, z] = ["painted", True]
        return changed, refused

    def _locked(self, s, z, *owners):
        if s["slices"].get(int(z), {}).get("accepted"):
            return True
        return any(
            s["objects"].get(owner, [0, ""])[1] == "accepted" or (owner, int(z)) in s["anchors"]
            for owner in owners
        )


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two states are equal."""
    rest = all(tidy(one)[key] == tidy(other)[key] for key in one if key != "labels")
    return rest and np.array_equal(one["labels"], other["labels"])


def tidy(state: dict[str, Any]) -> dict[str, Any]:
    """The state without slices about which nothing is said."""
    return {**state, "slices": {k: v for k, v in state["slices"].items() if any(v.values())}}


def perform(session: Any, spec: Spec) -> bool:
    """Do the same in a session; False where it refuses."""
    from napari_sss.engine.project.errors import ProjectError

    try:
        _perform(session, *spec)
    except ProjectError:
        return False
    return True


def seen(session_or_state: Any) -> dict[str, Any]:
    """A session's state in the form of the naive one."""
    from napari_sss.engine.project.records import Review

    state = getattr(session_or_state, "state", session_or_state)
    return {
        "labels": state.labels.copy(),
        "objects": {i: [o.class_id, o.review.value] for i, o in state.objects.items()},
        "prompts": {
            (k.object_id, k.index): (p.points[0].x, p.points[0].y)
            for k, p in state.prompts.items()
        },
        "slices": {
            k.index: {"accepted": r.review is Review.ACCEPTED, "flag": bool(r.flags)}
            for k, r in state.slices.items()
        },
        "anchors": {
            (k.object_id, k.index)
            for k, r in state.sections.items()
            if r.review is Review.ACCEPTED
        },
        "made": {
            (k.object_id, k.index): [r.maker.value, r.edited] for k, r in state.sections.items()
        },
        "class name": state.classes[1].name,
    }


def _perform(session: Any, kind: str, *rest: Any) -> None:
    from dataclasses import replace

    from napari_sss.engine.project.diff import LabelDiff
    from napari_sss.engine.project.records import Flag, Review
    from napari_sss.engine.prompts.types import Plane, Point, SlicePrompt

    accepted = {True: Review.ACCEPTED, False: Review.OPEN}
    if kind in ("undo", "redo"):
        getattr(session, kind)()
    elif kind in ("stroke", "erase"):
        object_id, z, y, x, height, width = rest
        box = np.mgrid[z : z + 1, y : y + height, x : x + width].reshape(3, -1)
        box = box[:, (box[1] < SHAPE[1]) & (box[2] < SHAPE[2])]
        where = np.ravel_multi_index(tuple(box), SHAPE)
        value = object_id if kind == "stroke" else 0
        before = session.labels.reshape(-1)[where].copy()
        session.labels.reshape(-1)[where] = value  # as a viewer's brush does
        session.adopt(LabelDiff.of_voxels(where, before, value), class_id=1)
    elif kind == "mask":
        object_id, z, y, x, height, width = rest
        mask = np.ones((min(height, SHAPE[1] - y), min(width, SHAPE[2] - x)), dtype=bool)
        session.set_slices(object_id, [SliceAnswer(z, (y, x), mask)])
    elif kind == "prompt":
        object_id, z, x, y = rest
        session.set_prompt(object_id, SlicePrompt(z, points=(Point(x, y),)))
    elif kind == "forget":
        session.remove_prompt(rest[0], Plane.AXIAL, rest[1])
    elif kind == "object":
        session.review_objects([rest[0]], accepted[rest[1] == 2])
    elif kind == "class":
        session.change_class([rest[0]], rest[1])
    elif kind == "slice":
        session.review_slice(Plane.AXIAL, rest[0], accepted[rest[1]])
    elif kind == "section":
        session.review_section(rest[0], Plane.AXIAL, rest[1], accepted[rest[2]])
    elif kind == "flag":
        from napari_sss.engine.project.records import SliceKey

        session.set_flag(SliceKey(Plane.AXIAL, rest[0]), Flag.UNCLEAR_BOUNDARY, rest[1])
    elif kind == "delete":
        session.delete([rest[0]])
    elif kind == "merge":
        session.merge([rest[0]], rest[1])
    elif kind == "table":
        session.edit_class(replace(session.state.classes[1], name=rest[0]))


class SliceAnswer:
    """What a model answers on one axial slice."""

    def __init__(self, index: int, offset: tuple[int, int], mask: np.ndarray) -> None:
        from napari_sss.engine.prompts.types import Plane

        self.index, self.offset, self.mask = index, offset, mask
        self.plane = Plane.AXIAL
        self.confidence = 0.75
