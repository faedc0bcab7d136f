"""Which accepted cases teach, which choose the checkpoint, and which judge the result.

A patient's cases stay together, and a case keeps its side for the project's life: a model is
never judged on what it, or the model it came from, has learned. The sides are kept in
``PROJECT/split.json`` under digests of the patients' ids (of the scan's content where no
patient is known, so that a scan that was removed and added again is still known).

The first three patients teach; of the next ones every fourth or so judges, and every fifth
chooses. A patient that alone shows a class always teaches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.runs.files import read_json
from napari_sss.engine.volumes.atomic import write_json

SPLIT_NAME = "split.json"
FORMAT = "napari-sss split"

_BEGINNING = "TTTHTC"
_CYCLE = "THTTC"


class Side(StrEnum):
    """What an accepted case is for."""

    TRAIN = "train"
    CHOOSE = "choose"
    HELD_OUT = "held-out"


@dataclass(frozen=True)
class Candidate:
    """An accepted case that needs a side.

    Parameters
    ----------
    case_id : int
        The case.
    group : str
        Cases of the same group stay together; see :func:`group_of`.
    classes : frozenset of str
        What its accepted voxels show.
    judges : bool
        It is known where its classes are and where they are not: whole slices were accepted.
    """

    case_id: int
    group: str
    classes: frozenset[str]
    judges: bool = True


def group_of(patient: str | None, fingerprint: str) -> str:
    """The digest under which a case's side is kept."""
    text = f"patient {patient}" if patient else f"scan {fingerprint}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def assign(
    candidates: Iterable[Candidate], known: Mapping[str, Side] | None = None
) -> dict[str, Side]:
    """A side for every group; those that have one keep it.

    Parameters
    ----------
    candidates : iterable of Candidate
        In the order in which sides are given.
    known : mapping, optional
        Sides given before.

    Returns
    -------
    dict
        Group to side, the known ones included.
    """
    sides = dict(known or {})
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.group, []).append(candidate)
    given = [sides[group] for group in groups if group in sides]
    taught = _shown(c for g in groups if sides.get(g) is Side.TRAIN for c in groups[g])
    for group, members in groups.items():
        if group not in sides:
            sides[group] = _side_of(members, given, taught)
            given.append(sides[group])
            if sides[group] is Side.TRAIN:
                taught |= _shown(members)
    return sides


def _side_of(
    members: Sequence[Candidate], given: Sequence[Side], taught: Collection[str]
) -> Side:
    """The side that is most behind, if the group can take it."""
    if not all(c.judges for c in members) or not _shown(members) <= set(taught):
        return Side.TRAIN
    wanted = pattern(len(given) + 1)
    for letter, side in (("H", Side.HELD_OUT), ("C", Side.CHOOSE)):
        if given.count(side) < wanted.count(letter):
            return side
    return Side.TRAIN


def pattern(count: int) -> str:
    """The sides of the first ``count`` groups: T teaches, C chooses, H is held out."""
    cycles = -(-max(0, count - len(_BEGINNING)) // len(_CYCLE))
    return (_BEGINNING + cycles * _CYCLE)[:count]


def _shown(candidates: Iterable[Candidate]) -> set[str]:
    return {name for candidate in candidates for name in candidate.classes}


def read_split(project: Path) -> dict[str, Side]:
    """The sides that a project's cases have.

    Raises
    ------
    ConfigError
        The file is damaged. To go on without it could judge a model on what it has learned.
    """
    path = project / SPLIT_NAME
    if not path.exists():
        return {}
    content = read_json(path)
    try:
        return {group: Side(side) for group, side in (content or {})["sides"].items()}
    except (KeyError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{path} cannot be read: it says which cases judge a model.",
            "Restore it from a backup, or remove it to have the cases divided anew; results "
            "are then no longer comparable with those before.",
            path,
        ) from error


def keep_split(project: Path, candidates: Collection[Candidate]) -> dict[str, Side]:
    """Give sides to the cases that have none, and keep them.

    Raises
    ------
    ConfigError, WriteError
        The file is damaged, or cannot be written.
    """
    with FileLock(project / f".{SPLIT_NAME}.lock"):
        known = read_split(project)
        sides = assign(candidates, known)
        if sides != known:
            write_json({"format": FORMAT, "sides": dict(sides)}, project / SPLIT_NAME)
    return sides
