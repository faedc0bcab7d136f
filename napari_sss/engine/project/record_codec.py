"""Records and their keys as text, for the database."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import PromptError
from napari_sss.engine.project.errors import ProjectError
from napari_sss.engine.project.paths import inside
from napari_sss.engine.project.records import (
    CaseRecord,
    ClassRecord,
    Flag,
    Key,
    Maker,
    ObjectRecord,
    Progress,
    Record,
    Review,
    RunRecord,
    SectionKey,
    SectionRecord,
    SliceKey,
    SliceRecord,
    Table,
)
from napari_sss.engine.prompts.prompt_parsing import VERSION, prompts_from_dict
from napari_sss.engine.prompts.prompt_rendering import prompts_to_dict
from napari_sss.engine.prompts.types import ObjectPrompts, Plane, PromptSet, SlicePrompt

_KINDS = {"box", "points", "strokes", "polygons"}

_ENUMS: dict[str, Callable[[Any], Any]] = {
    "review": Review,
    "maker": Maker,
    "progress": Progress,
    "plane": lambda name: Plane[name.upper()],
    "flags": lambda names: frozenset(map(Flag, names)),
}

_RECORDS: dict[Table, Callable[..., Any]] = {
    Table.OBJECT: ObjectRecord,
    Table.SECTION: SectionRecord,
    Table.SLICE: SliceRecord,
    Table.RUN: RunRecord,
    Table.CASE: CaseRecord,
    Table.CLASS: ClassRecord,
}


class RecordCodec:
    """Records to text and back.

    Parameters
    ----------
    folder : Path
        The project's: masks that are prompts lie below it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def encode(self, table: Table, record: Record) -> str:
        """A record as compact JSON."""
        if table is Table.PROMPT:
            assert isinstance(record, SlicePrompt)
            owner = ObjectPrompts(1, "-", (record,))
            content = prompts_to_dict(PromptSet((owner,)), self._folder)
            return _compact(content["objects"][0]["prompts"][0])
        return _compact({key: _plain(v) for key, v in asdict(record).items() if v is not None})

    def decode(self, table: Table, text: str) -> Any:
        """The record that :meth:`encode` gave.

        Raises
        ------
        ProjectError
            If the text is damaged.
        """
        try:
            content = json.loads(text)
            if table is Table.PROMPT:
                return self._prompt(content)
            known = {k: _ENUMS.get(k, _same)(v) for k, v in content.items()}
            return _RECORDS[table](**known)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProjectError(
                f"A stored {table.value} is damaged ({error}): {text}"
            ) from error

    def _prompt(self, content: dict[str, Any]) -> SlicePrompt:
        """A prompt, even if the mask that it names has vanished: the rest must not be lost."""
        mask = content.pop("mask", None)
        alone = mask is not None and not set(content) & _KINDS
        if alone:
            content["points"] = [[0, 0, 1]]
        owner = {"id": 1, "class": "-", "prompts": [content]}
        try:
            parsed = prompts_from_dict({"version": VERSION, "objects": [owner]})
        except PromptError as error:
            raise ProjectError(error.problem, error.remedy, error.path) from error
        prompt = parsed.objects[0].prompts[0]
        if mask is None:
            return prompt
        points = () if alone else prompt.points
        return replace(prompt, mask=inside(self._folder, mask), points=points)


def encode_key(table: Table, key: Key) -> str:
    """A key as text, for instance ``"12/axial/40"``."""
    if isinstance(key, SectionKey):
        return f"{key.object_id}/{key.plane.name.lower()}/{key.index}"
    if isinstance(key, SliceKey):
        return f"{key.plane.name.lower()}/{key.index}"
    return str(key)


def decode_key(table: Table, text: str) -> Key:
    """The key that :func:`encode_key` gave."""
    try:
        if table in (Table.PROMPT, Table.SECTION):
            owner, plane, index = text.split("/")
            return SectionKey(int(owner), Plane[plane.upper()], int(index))
        if table is Table.SLICE:
            plane, index = text.split("/")
            return SliceKey(Plane[plane.upper()], int(index))
        return text if table is Table.RUN else int(text)
    except (ValueError, KeyError) as error:
        raise ProjectError(f"A stored key is damaged: {text!r}.") from error


def _same(value: Any) -> Any:
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Plane):
        return value.name.lower()
    if isinstance(value, frozenset):
        return sorted(flag.value for flag in value)
    return getattr(value, "value", value)


def _compact(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)
