"""From a configuration and cases to everything that a training needs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from napari_sss.engine.errors import InputError
from napari_sss.engine.models.loading import load_model
from napari_sss.engine.models.sam2_model import Features, Sam2Model
from napari_sss.engine.models.sss.focus import CONTEXT, Focus
from napari_sss.engine.models.sss.segmenter import Segmenter, SegmenterConfig, Tuning
from napari_sss.engine.prompts.pcsw import PcswConfig
from napari_sss.engine.training.config import TrainConfig
from napari_sss.engine.training.data.cases import Case, CaseLists
from napari_sss.engine.training.data.feature_cache import FeatureCache
from napari_sss.engine.training.data.preparing import read_case_volume
from napari_sss.engine.training.data.sampling import SliceSampler
from napari_sss.engine.training.data.store import (
    CaseStore,
    Preparation,
    find_classes,
    find_regions,
    survey,
)
from napari_sss.engine.training.data.views import FeatureViews, ImageViews, Views
from napari_sss.engine.training.data.warps import WarpRange
from napari_sss.engine.training.data.whereabouts import Whereabouts
from napari_sss.engine.training.prompting import PromptBook
from napari_sss.engine.training.runtime import Runtime
from napari_sss.engine.training.scouting import Scout
from napari_sss.engine.training.strategies.base import Strategy, Toolkit
from napari_sss.engine.training.strategies.registry import find_strategy
from napari_sss.engine.training.validation import Validator

log = logging.getLogger(__name__)

MONITORED = 4  # labelled cases that stand in where there is nothing to validate on
MOST_OBJECTS = 8  # of a class in a volume; a young head finds many that are none
_SURVEYED = 256  # side of the squares in which regions are looked for
_MOST_STORED = 2.5  # times the side of the views
_SMALL = 12_000_000  # parameters; an encoder of so few can be tuned on a CPU
_TURN_OF_CT, _TURN = 30.0, 90.0  # degrees
_CPU_SIDE_SMALL, _CPU_SIDE = 128, 256
# Bytes for each parameter that learns: weight, gradient, two moments, and the teacher's copy.
_BYTES_PER_PARAMETER = 20


@dataclass(frozen=True)
class Assembled:
    """Everything for a training.

    Parameters
    ----------
    strategy : Strategy
        The method.
    sampler : SliceSampler
        Draws the slices.
    views : Views
        Makes the views.
    generator : torch.Generator
        The strategy's.
    validator : Validator
        On the validation cases or, where there are none, on a few labelled ones.
    validates : bool
        Whether it is on cases of their own.
    preparation : Preparation
        How volumes become squares.
    whereabouts : Whereabouts
        Where their classes lie.
    mode : {"features", "lora", "full"}
        What is tuned.
    reason : str
        Why, in a sentence.
    base_sha256 : str
        Of the starting weights.
    runtime : Runtime
        The device.
    """

    strategy: Strategy
    sampler: SliceSampler
    views: Views
    generator: torch.Generator
    validator: Validator
    validates: bool
    preparation: Preparation
    whereabouts: Whereabouts
    mode: Tuning
    reason: str
    base_sha256: str
    runtime: Runtime


def assemble(config: TrainConfig, cases: CaseLists) -> Assembled:
    """Read the labelled cases, build the networks and the strategy.

    Raises
    ------
    DataError
        The cases cannot be trained on.
    ConfigError
        There is no such strategy.
    ModelError
        The starting model cannot be loaded.
    """
    kind = find_strategy(config.strategy)
    runtime = Runtime(config)
    torch.manual_seed(config.seed)
    first = _load(config, runtime)
    mode, reason = choose_mode(config, first, runtime)
    side = choose_side(config, first, runtime)
    if side != first.image_size:
        first = _load(config, runtime, side)
    classes = config.classes or find_classes(cases.labelled, config.on_error)
    preparation = Preparation(_SURVEYED, classes, config.window, config.spacing)
    regions = find_regions(cases.labelled, preparation, config.on_error)
    focus = Focus.learned(list(regions.values())) if config.focus == "auto" else None
    preparation = replace(preparation, side=stored_side(side, focus))
    everything = (*cases.labelled, *cases.unlabelled)
    store = CaseStore(
        everything, preparation, megabytes=config.cache_mb, on_error=config.on_error
    )
    labelled = range(len(cases.labelled))
    seen = survey(store, labelled, preparation.classes)
    # What is not labelled of a partly labelled volume can be learned from as well.
    pool = [n for n, case in enumerate(everything) if case.label is None or case.partial]
    sampler = SliceSampler(
        store, seen, pool, foreground_share=config.foreground_share, seed=config.seed
    )
    maker = _NetworkMaker(config, runtime, side, len(preparation.classes), mode)
    limits = WarpRange(
        config.flips == "on",
        _largest_turn(config, cases.labelled),
        config.zoom,
        bend=config.bend,
        focus=focus,
    )
    whereabouts = Whereabouts(focus, regions, fixed=mode == "features")
    views: Views
    cache: FeatureCache | None = None
    if mode == "features":
        cache = FeatureCache(
            _FrozenEncoder(Segmenter(first, SegmenterConfig(classes=1)), runtime),
            variants=config.variants,
            limits=limits,
            seed=config.seed,
            megabytes=config.feature_cache_mb,
            side=side,
            regions=whereabouts.of,
        )
        views = FeatureViews(cache, config.variants, runtime.device, config.seed + 1)
    else:
        views = ImageViews(
            limits, runtime.device, config.seed + 1, side=side, whereabouts=whereabouts
        )
    names = tuple(preparation.classes)
    generator = torch.Generator().manual_seed(config.seed + 2)
    tools = Toolkit(
        config,
        names,
        maker,
        views,
        store,
        PromptBook(store, names, pcsw_rules(config)),
        Scout(store, whereabouts, side, runtime, cache),
        runtime,
        generator,
    )
    strategy = kind(tools)
    if kind.needs_pool and not pool:
        log.warning("There is no unlabelled volume: %s learns labels alone.", config.strategy)
    return Assembled(
        strategy,
        sampler,
        views,
        generator,
        _validator(config, cases, store, preparation, focus),
        bool(cases.validation),
        preparation,
        whereabouts,
        mode,
        reason,
        first.sha256,
        runtime,
    )


def choose_mode(config: TrainConfig, model: Sam2Model, runtime: Runtime) -> tuple[Tuning, str]:
    """What is tuned, and why.

    On a CPU small models are tuned whole; with others an encoder's step would be nearly the
    whole cost, so features are cached. On a GPU
    everything is tuned where weights, gradients, moments and teacher take less than half of
    its memory, else LoRA.
    """
    if config.mode != "auto":
        return config.mode, "as asked for"
    count = sum(p.numel() for p in model.net.parameters())
    if runtime.device.type != "cuda":
        if count <= _SMALL:
            return "full", f"{count / 1e6:.1f} million parameters are few enough for a CPU"
        return "features", f"on {runtime.device.type} encoding would be nearly the whole cost"
    room = torch.cuda.get_device_properties(runtime.device).total_memory
    needed = _BYTES_PER_PARAMETER * count
    if needed < room / 2:
        return "full", f"weights, moments and teacher take {needed / 1e9:.1f} GB of the GPU"
    return "lora", f"tuning everything would take {needed / 1e9:.1f} GB of the GPU"


def choose_side(config: TrainConfig, model: Sam2Model, runtime: Runtime) -> int:
    """Side of the views: as asked for, else the model's own, on a CPU no more than it can."""
    if config.image_size is not None:
        return config.image_size
    if runtime.device.type != "cpu":
        return model.image_size
    small = sum(p.numel() for p in model.net.parameters()) <= _SMALL
    return min(model.image_size, _CPU_SIDE_SMALL if small else _CPU_SIDE)


def stored_side(side: int, focus: Focus | None) -> int:
    """Side of the stored slices: views that look closely find the pixels they need there."""
    if focus is None:
        return side
    wanted = min(_MOST_STORED, 1 / (CONTEXT * focus.typical)) * side
    return max(side, 32 * round(wanted / 32))


def pcsw_rules(config: TrainConfig) -> PcswConfig:
    """PCSW's rules for training."""
    rules = PcswConfig.paper() if config.prompt_objects == "one" else PcswConfig()
    return rules.model_copy(
        update={
            "tau": config.tau,
            "point": "centre" if config.prompt_points else "none",
            "fallback": "none",
            "max_objects": MOST_OBJECTS,
        }
    )


def _largest_turn(config: TrainConfig, labelled: Sequence[Case]) -> float:
    """How far views are turned, degrees; by what kind of scan the first readable one is."""
    if config.turn is not None:
        return config.turn
    for case in labelled:
        # What cannot be read is named, or refused, where all cases are read.
        with contextlib.suppress(InputError):
            return _TURN_OF_CT if read_case_volume(case).modality == "CT" else _TURN
    return _TURN


class _NetworkMaker:
    """Makes networks with the starting weights."""

    def __init__(
        self, config: TrainConfig, runtime: Runtime, side: int, classes: int, mode: Tuning
    ) -> None:
        self.config, self.runtime, self.side = config, runtime, side
        self.classes, self.mode = classes, mode

    def __call__(self, *, dfe: bool = False) -> Segmenter:
        config = self.config
        sam2 = _load(config, self.runtime, self.side)
        network = Segmenter(
            sam2,
            SegmenterConfig(
                classes=self.classes,
                norm=config.group_or_batch,
                head_levels=config.head_levels,
                dfe=dfe,
                dfe_channels=config.dfe_channels or sam2.architecture.d_model // 2,
                dfe_residual=config.dfe_residual,
                dfe_layer_scale=config.dfe_layer_scale,
            ),
        )
        network.tune(self.mode, config.lora_rank)
        return network


class _FrozenEncoder:
    """The starting model's encoder, without gradients."""

    def __init__(self, segmenter: Segmenter, runtime: Runtime) -> None:
        self.segmenter = segmenter.eval().requires_grad_(False)
        self.runtime = runtime

    def __call__(self, grey: torch.Tensor) -> Features:
        with torch.no_grad(), self.runtime.autocast():
            return self.segmenter.encode(grey)


def _load(config: TrainConfig, runtime: Runtime, side: int | None = None) -> Sam2Model:
    return load_model(
        config.model,
        device=runtime.device,
        image_size=side or config.image_size,
        precision=runtime.dtype,
    )


def _validator(
    config: TrainConfig,
    cases: CaseLists,
    store: CaseStore,
    preparation: Preparation,
    focus: Focus | None,
) -> Validator:
    """On the validation cases or, to watch for a collapse, on a few labelled ones."""
    held = cases.validation
    if not held:
        known = [n for n in range(len(cases.labelled)) if n not in store.unreadable]
        held = tuple(cases.labelled[n] for n in known[:MONITORED])
    return Validator(
        held, preparation, focus, threshold=config.threshold, on_error=config.on_error
    )
