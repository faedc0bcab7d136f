"""From a configuration and cases to everything that a training needs."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from napari_sss.engine.models.loading import load_model
from napari_sss.engine.models.sam2_model import Features, Sam2Model
from napari_sss.engine.models.sss.segmenter import Segmenter, SegmenterConfig, Tuning
from napari_sss.engine.prompts.pcsw import PcswConfig
from napari_sss.engine.training.config import TrainConfig
from napari_sss.engine.training.data.cases import CaseLists
from napari_sss.engine.training.data.feature_cache import FeatureCache
from napari_sss.engine.training.data.preparing import as_tensor
from napari_sss.engine.training.data.sampling import SliceSampler
from napari_sss.engine.training.data.store import CaseStore, Preparation, find_classes, survey
from napari_sss.engine.training.data.views import FeatureViews, ImageViews, Views
from napari_sss.engine.training.data.warps import WarpRange
from napari_sss.engine.training.prompting import PromptBook
from napari_sss.engine.training.runtime import Runtime
from napari_sss.engine.training.strategies.base import Strategy, Toolkit
from napari_sss.engine.training.strategies.registry import find_strategy
from napari_sss.engine.training.validation import Validator

log = logging.getLogger(__name__)

MONITORED = 4  # labelled cases that stand in where there is nothing to validate on
MOST_OBJECTS = 8  # of a class in a volume; a young head finds many that are none
_AT_ONCE = 16
# Bytes for each parameter that learns: weight, gradient, two moments, and the teacher's copy.
_BYTES_PER_PARAMETER = 20
_SIDES = ("left", "right")


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
    preparation = Preparation(
        first.image_size,
        config.classes or find_classes(cases.labelled, config.on_error),
        config.window,
        config.spacing,
    )
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
    mode, reason = choose_mode(config, first, runtime)
    maker = _NetworkMaker(config, runtime, len(preparation.classes), mode)
    limits = WarpRange(_flips(config, preparation.classes), config.turn, config.zoom)
    views: Views
    cache: FeatureCache | None = None
    if mode == "features":
        cache = FeatureCache(
            _FrozenEncoder(Segmenter(first, SegmenterConfig(classes=1)), runtime),
            variants=config.variants,
            limits=limits,
            seed=config.seed,
            megabytes=config.feature_cache_mb,
        )
        views = FeatureViews(cache, config.variants, runtime.device, config.seed + 1)
    else:
        views = ImageViews(limits, runtime.device, config.seed + 1)
    names = tuple(preparation.classes)
    generator = torch.Generator().manual_seed(config.seed + 2)
    tools = Toolkit(
        config,
        names,
        maker,
        views,
        store,
        PromptBook(store, names, pcsw_rules(config)),
        _SquaresFeatures(store, cache, runtime),
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
        _validator(config, cases, store, preparation),
        bool(cases.validation),
        preparation,
        mode,
        reason,
        first.sha256,
        runtime,
    )


def choose_mode(config: TrainConfig, model: Sam2Model, runtime: Runtime) -> tuple[Tuning, str]:
    """What is tuned, and why.

    On a CPU an encoder's step is nearly the whole cost, so features are cached. On a GPU
    everything is tuned where weights, gradients, moments and teacher take less than half of
    its memory, else LoRA.
    """
    if config.mode != "auto":
        return config.mode, "as asked for"
    if runtime.device.type != "cuda":
        return "features", f"on {runtime.device.type} encoding would be nearly the whole cost"
    room = torch.cuda.get_device_properties(runtime.device).total_memory
    needed = _BYTES_PER_PARAMETER * sum(p.numel() for p in model.net.parameters())
    if needed < room / 2:
        return "full", f"weights, moments and teacher take {needed / 1e9:.1f} GB of the GPU"
    return "lora", f"tuning everything would take {needed / 1e9:.1f} GB of the GPU"


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


class _NetworkMaker:
    """Makes networks with the starting weights."""

    def __init__(
        self, config: TrainConfig, runtime: Runtime, classes: int, mode: Tuning
    ) -> None:
        self.config, self.runtime, self.classes, self.mode = config, runtime, classes, mode

    def __call__(self, *, dfe: bool = False) -> Segmenter:
        config = self.config
        sam2 = _load(config, self.runtime)
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


class _SquaresFeatures:
    """Encoder features of a whole stack of squares, from the cache where there is one."""

    def __init__(self, store: CaseStore, cache: FeatureCache | None, runtime: Runtime) -> None:
        self.store, self.cache, self.runtime = store, cache, runtime

    def __call__(self, number: int, network: Segmenter) -> Features:
        grey = as_tensor(self.store[number].grey)
        if self.cache is not None:
            slices = [(number, index) for index in range(len(grey))]
            stacked = self.cache.batch(slices, grey, [0] * len(slices))
            a, b, c = (level.to(self.runtime.device) for level in stacked.levels)
            return Features((a, b, c))
        with torch.no_grad(), self.runtime.autocast():
            return Features.stack([network.encode(part) for part in grey.split(_AT_ONCE)])


def _load(config: TrainConfig, runtime: Runtime) -> Sam2Model:
    return load_model(
        config.model,
        device=runtime.device,
        image_size=config.image_size,
        precision=runtime.dtype,
    )


def _flips(config: TrainConfig, classes: dict[str, int]) -> bool:
    if config.flips != "auto":
        return config.flips == "on"
    return not any(side in name.lower() for name in classes for side in _SIDES)


def _validator(
    config: TrainConfig, cases: CaseLists, store: CaseStore, preparation: Preparation
) -> Validator:
    """On the validation cases or, to watch for a collapse, on a few labelled ones."""
    if cases.validation:
        store = CaseStore(
            cases.validation,
            preparation,
            megabytes=config.cache_mb,
            on_error=config.on_error,
        )
        numbers = list(range(len(cases.validation)))
    else:
        readable = [n for n in range(len(cases.labelled)) if n not in store.unreadable]
        numbers = readable[:MONITORED]
    return Validator(store, numbers, preparation, threshold=config.threshold)
