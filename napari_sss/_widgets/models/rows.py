"""The lines of the Models tab: what each model is, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from napari_sss.engine.models.registry import ModelEntry
from napari_sss.engine.modelstore.card import HeldOutScores, StoredModel


class Section(Enum):
    """Where a model belongs; the value is the heading."""

    PROJECT = "This project"
    BUILT_IN = "SAM-2"


class Deed(Enum):
    """What can be done with one model."""

    ACTIVATE = auto()
    RENAME = auto()
    EXPORT = auto()
    DELETE = auto()
    DOWNLOAD = auto()
    VERIFY = auto()


IN_USE, HERE, DAMAGED, DOWNLOADING = "in use", "here", "damaged", "downloading"

BUILT_IN_STAYS = "It came with napari-sss or from its publisher, not from this project."
NO_DOWNLOAD = "It is on this computer already."
NOT_HERE = "Download it first."
COMES_ALONG = "It comes with napari-sss."


@dataclass(frozen=True)
class ModelRow:
    """One line.

    Parameters
    ----------
    key : str
        An id of the project, or a name of the registry.
    title : str
        What people call it.
    section : Section
        Where it is listed.
    mark : str
        The right column: what state it is in.
    facts : tuple of (str, str)
        What the details say, by heading.
    in_use : bool
        It is the model that is used.
    why_not : mapping
        For what cannot be done with it now, the reason in the user's words.
    """

    key: str
    title: str
    section: Section
    mark: str
    facts: tuple[tuple[str, str], ...] = ()
    in_use: bool = False
    why_not: Mapping[Deed, str] = field(default_factory=dict)

    @property
    def tooltip(self) -> str:
        """The facts, a line each."""
        return "\n".join([self.title, *(f"{name}: {text}" for name, text in self.facts)])


def project_row(model: StoredModel, in_use: bool, locked: str = "") -> ModelRow:
    """The line of a model of the project.

    Parameters
    ----------
    model : StoredModel
        The model.
    in_use : bool
        Whether it is used.
    locked : str
        Why nothing can be changed in the project; "" where it can.
    """
    why_not = {
        Deed.DOWNLOAD: NO_DOWNLOAD,
        Deed.ACTIVATE: locked or ("It is in use already." if in_use else ""),
        Deed.RENAME: locked,
        Deed.DELETE: locked or ("It is in use: activate another one first." if in_use else ""),
    }
    scores = model.card.scores
    mark = f"Dice {scores.mean:.2f}" if scores is not None else "not scored"
    return ModelRow(
        model.id,
        model.name,
        Section.PROJECT,
        IN_USE if in_use else mark,
        model_facts(model),
        in_use,
        _reasons(why_not),
    )


def damaged_row(folder: Path, reason: str, locked: str = "") -> ModelRow:
    """The line of a folder that should be a model."""
    no = "It is damaged: see the details."
    why_not = dict.fromkeys(Deed, no) | {Deed.DELETE: locked, Deed.DOWNLOAD: NO_DOWNLOAD}
    facts = (("Trouble", reason),)
    return ModelRow(
        folder.name, folder.name, Section.PROJECT, DAMAGED, facts, False, _reasons(why_not)
    )


def registry_row(
    entry: ModelEntry, in_use: bool, *, verified: str = "", downloading: bool = False
) -> ModelRow:
    """The line of a model that everyone can have.

    Parameters
    ----------
    entry : ModelEntry
        What is known of it.
    in_use : bool
        Whether it is used.
    verified : str
        What the last check of its file found, if there was one.
    downloading : bool
        Whether it is on its way.
    """
    here = entry.path.is_file()
    why_not = dict.fromkeys((Deed.RENAME, Deed.EXPORT, Deed.DELETE), BUILT_IN_STAYS)
    on_its_way = "It is on its way." if downloading else ""
    missing = "" if here else on_its_way or NOT_HERE
    why_not |= {
        Deed.ACTIVATE: "It is in use already." if in_use else missing,
        Deed.VERIFY: missing,
        Deed.DOWNLOAD: on_its_way
        or (COMES_ALONG if entry.is_packaged else NO_DOWNLOAD if here else ""),
    }
    size = file_size(entry)
    facts = [
        ("Size", f"{megabytes(size)}, {entry.parameters / 1e6:.1f} million weights"),
        ("Sees", f"slices of {entry.image_size} × {entry.image_size} pixels"),
        ("Licence", entry.licence),
        ("From", entry.source),
        ("File", str(entry.path) if here else "not on this computer yet"),
    ]
    if verified:
        facts.insert(0, ("Checked", verified))
    mark = IN_USE if in_use else DOWNLOADING if downloading else HERE
    if not here and not downloading:
        mark = megabytes(size)
    return ModelRow(
        entry.name, entry.title, Section.BUILT_IN, mark, tuple(facts), in_use, _reasons(why_not)
    )


def model_facts(model: StoredModel) -> tuple[tuple[str, str], ...]:
    """What a model's card says, for people."""
    card, data = model.card, model.card.data
    facts = [("Held-out Dice", scores_text(card.scores))]
    how = [card.strategy.upper() if len(card.strategy) <= 3 else card.strategy]
    if card.steps:
        how.append(f"{card.steps} steps")
    if card.seconds:
        how.append(f"{max(1, round(card.seconds / 60))} min")
    facts.append(
        ("Trained", ", ".join([card.created[:16].replace("T", " "), *filter(None, how)]))
    )
    if card.parents:
        facts.append(("From", " ← ".join(parent.name for parent in card.parents)))
    learned = _counted(data.labelled_cases, "labelled case")
    slices = _counted(data.labelled_slices, "slice")
    learned = [f"{learned[0]} ({slices[0]})"] if learned and slices else learned or slices
    learned += [f"{n} without labels" for n in (data.pool_cases,) if n is not None]
    learned += [f"{n} held out" for n in (data.held_out_cases,) if n is not None]
    if learned:
        facts.append(("Learned from", ", ".join(learned)))
    facts.append(("Classes", ", ".join(card.classes)))
    facts.append(("Size", f"{megabytes(model.size)}, licence {card.licence}"))
    if card.imported_from:
        facts.append(("Imported", f"it was {card.imported_from} where it came from"))
    facts.append(("Folder", str(model.folder)))
    return tuple(facts)


def scores_text(scores: HeldOutScores | None) -> str:
    """Scores in a line; says where there are none."""
    if scores is None:
        return "not measured: no accepted case was held out"
    spread = "" if scores.sd is None else f" ± {scores.sd:.2f}"
    noun = "case" if scores.cases == 1 else "cases"
    text = f"{scores.mean:.2f}{spread} on {scores.cases} {noun}"
    classes = ", ".join(f"{name} {score.mean:.2f}" for name, score in scores.classes.items())
    text += f" ({classes})" if classes else ""
    return text if scores.how == "held-out cases" else f"{text}; {scores.how}"


def file_size(entry: ModelEntry) -> int | None:
    """Bytes of a registered model's file: as published, or of what the package brings."""
    if entry.size is None and entry.path.is_file():
        return entry.path.stat().st_size
    return entry.size


def megabytes(size: int | None) -> str:
    """A size for people."""
    if size is None:
        return "size not known"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _counted(number: int | None, noun: str) -> list[str]:
    if number is None:
        return []
    return [f"{number} {noun}{'' if number == 1 else 's'}"]


def _reasons(why_not: Mapping[Deed, str]) -> dict[Deed, str]:
    return {deed: reason for deed, reason in why_not.items() if reason}
