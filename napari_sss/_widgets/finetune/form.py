"""The Advanced form: a line for every setting of the training, made from its own fields."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Literal, Optional, Union, get_args, get_origin

import yaml
from pydantic import ValidationError
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sss._widgets.parts import WARNING_STYLE, note, say
from napari_sss.engine.training.config import TrainConfig

NONE_TEXT = "by itself"


class AdvancedForm(QWidget):
    """Settings of the training that have no place of their own in the tab.

    Parameters
    ----------
    hidden : frozenset of str
        Fields that are shown elsewhere.
    by_itself : frozenset of str
        Fields whose value follows from others unless one is given.
    """

    changed = Signal()

    def __init__(
        self,
        hidden: frozenset[str],
        by_itself: frozenset[str] = frozenset(),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._lines: dict[str, _Line] = {}
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(3)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for name, field in TrainConfig.model_fields.items():
            if name in hidden:
                continue
            line = (
                _line_for(Optional[field.annotation], None)  # noqa: UP045
                if name in by_itself
                else _line_for(field.annotation, field.default)
            )
            line.widget.setToolTip(f"{field.description}\n({name})")
            line.listen(self._on_changed)
            label = QLabel(field.title or name)
            label.setToolTip(line.widget.toolTip())
            form.addRow(label, line.widget)
            self._lines[name] = line
        self._problem = note(WARNING_STYLE)
        self._reset = QPushButton("Back to the defaults")
        self._reset.setToolTip("Undo every change in this form.")
        self._reset.clicked.connect(lambda: self.reset())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._problem)
        layout.addLayout(form)
        layout.addWidget(self._reset)
        self._on_changed()

    def values(self) -> dict[str, Any]:
        """The settings that differ from their defaults, or that a person has touched."""
        found = {}
        for name, line in self._lines.items():
            if line.text() != line.start:
                found[name] = line.value()
        return found

    def set_value(self, name: str, value: Any) -> None:
        """Show a value of a setting."""
        self._lines[name].set(value)

    def reset(self) -> None:
        """Show the defaults."""
        for line in self._lines.values():
            line.reset()

    @property
    def problem(self) -> str:
        """What cannot be used, naming the field; "" where everything can."""
        given = {"minutes": 1.0} | self.values()
        try:
            TrainConfig.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = first["loc"][0] if first["loc"] else ""
            field = TrainConfig.model_fields.get(str(where))
            title = field.title if field is not None else str(where)
            return f"{title or 'Settings'}: {first['msg']}."
        return ""

    def _on_changed(self) -> None:
        say(self._problem, self.problem)
        self._reset.setEnabled(bool(self.values()))
        self.changed.emit()


class _Line:
    """A setting's widget, spoken to by texts."""

    def __init__(
        self, widget: QWidget, read: Callable[[], Any], show: Callable[[Any], None], start: Any
    ) -> None:
        self.widget, self._read, self._show, self._default = widget, read, show, start
        show(start)
        self.start = self.text()

    def text(self) -> str:
        return str(self._read())

    def value(self) -> Any:
        return self._read()

    def set(self, value: Any) -> None:
        self._show(value)

    def reset(self) -> None:
        self._show(self._default)

    def listen(self, call: Callable[[], None]) -> None:
        for name in ("toggled", "currentIndexChanged", "textChanged"):
            if hasattr(self.widget, name):
                getattr(self.widget, name).connect(lambda *_: call())


def _line_for(annotation: Any, default: Any) -> _Line:
    """The widget that suits a field's type."""
    optional = _is_optional(annotation)
    kinds = [kind for kind in _members(annotation) if kind is not type(None)]
    if kinds == [bool]:
        box = QCheckBox()
        return _Line(box, box.isChecked, lambda v: box.setChecked(bool(v)), default)
    if len(kinds) == 1 and get_origin(kinds[0]) is Literal:
        choices = QComboBox()
        choices.addItems([str(choice) for choice in get_args(kinds[0])])
        return _Line(
            choices, choices.currentText, lambda v: choices.setCurrentText(str(v)), default
        )
    edit = QLineEdit()
    if optional:
        edit.setPlaceholderText(NONE_TEXT)
    return _Line(
        edit, lambda: _parsed(edit.text(), optional), lambda v: edit.setText(_text(v)), default
    )


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _is_optional(annotation: Any) -> bool:
    return type(None) in _members(annotation)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(_text(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parsed(text: str, optional: bool) -> Any:
    """A text as the value it stands for; what pydantic then refuses, it names."""
    text = text.strip()
    if not text:
        return None if optional else ""
    if "," in text and not text.startswith(("[", "{")):
        text = f"[{text}]"
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str):
        try:
            return float(value)  # YAML takes 1e-3 for a text
        except ValueError:
            return value
    return value
