"""Strategies by name: those of the package and those that other packages declare."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.training.strategies.base import Strategy
from napari_sss.engine.training.strategies.names import GROUP, OWN, strategy_names

__all__ = ["find_strategy", "strategy_names"]


def find_strategy(name: str) -> type[Strategy]:
    """The strategy of this name; the package's own go first.

    Raises
    ------
    ConfigError
        There is none, or it is no strategy.
    """
    name = name.replace("_", "-")
    points = {point.name: point for point in entry_points(group=GROUP)}
    points |= {own: EntryPoint(own, value, GROUP) for own, value in OWN.items()}
    if name not in points:
        raise ConfigError(
            f"There is no strategy '{name}'.", f"Choose one of {', '.join(strategy_names())}."
        )
    found = points[name].load()
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise ConfigError(
            f"What {points[name].value} names is no strategy.",
            "It must be a subclass of napari_sss.engine.training.strategies.base.Strategy.",
        )
    return found
