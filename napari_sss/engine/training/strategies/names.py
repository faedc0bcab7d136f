"""Which strategies there are, without importing any: a list of names needs no torch."""

from __future__ import annotations

from importlib.metadata import entry_points

GROUP = "napari_sss.strategies"

# Known without an installed distribution, as in a frozen application or a source tree.
OWN = {
    "supervised": "napari_sss.engine.training.strategies.supervised:Supervised",
    "fixmatch": "napari_sss.engine.training.strategies.fixmatch:FixMatch",
    "unimatch-v2": "napari_sss.engine.training.strategies.unimatch_v2:UniMatchV2",
    "mean-teacher": "napari_sss.engine.training.strategies.mean_teacher:MeanTeacher",
    "cps": "napari_sss.engine.training.strategies.cps:CrossPseudoSupervision",
    "bcp": "napari_sss.engine.training.strategies.bcp:BidirectionalCopyPaste",
    "sss": "napari_sss.engine.training.strategies.sss:SSS",
}


def strategy_names() -> list[str]:
    """Every name that a training takes for its strategy."""
    return sorted({*OWN, *(point.name for point in entry_points(group=GROUP))})
