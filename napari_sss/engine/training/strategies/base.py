"""What a method is to the loop, and what a method is given.

A strategy of your own is a subclass of :class:`Strategy`, declared as an entry point::

    [options.entry_points]
    napari_sss.strategies =
        my-method = my_package.my_module:MyMethod

It is then ``--strategy my-method``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from napari_sss.engine.models.sam2_model import Features
from napari_sss.engine.models.sss.segmenter import Segmenter, semantic_probabilities
from napari_sss.engine.training.config import TrainConfig
from napari_sss.engine.training.data.mixing import Targets, View, cutmix_boxes
from napari_sss.engine.training.data.sampling import SliceBatch, StepBatch
from napari_sss.engine.training.data.store import CaseStore
from napari_sss.engine.training.data.views import Views
from napari_sss.engine.training.ema import make_teacher, update_teacher
from napari_sss.engine.training.prompting import PromptBook
from napari_sss.engine.training.runtime import Runtime, adamw
from napari_sss.engine.training.schedule import linear_ramp, polynomial_rate
from napari_sss.engine.training.scouting import Scout


@dataclass(frozen=True)
class Moment:
    """Where the training is: steps done, and the share of its budget, 0 to 1."""

    step: int
    progress: float


@dataclass
class StepLoss:
    """A step's loss, and its parts for the log."""

    total: Tensor
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Toolkit:
    """What a strategy is given.

    Parameters
    ----------
    config : TrainConfig
        The settings.
    classes : tuple of str
        Names of the classes 1 to K.
    make_network : callable
        A new network with the starting weights; ``make_network(dfe=True)`` with DFE. Parts
        that are new differ from call to call, as CPS wants them to.
    views : Views
        Weak and strong views, on images or on cached features.
    store : CaseStore
        The volumes, for what a slice alone does not tell.
    book : PromptBook
        PCSW's objects of the unlabelled volumes.
    scout : Scout
        Looks over whole volumes of the pool.
    runtime : Runtime
        Device, precision, updates.
    generator : torch.Generator
        On the CPU; for whatever a strategy draws. Its state is kept by the loop.
    """

    config: TrainConfig
    classes: tuple[str, ...]
    make_network: Callable[..., Segmenter]
    views: Views
    store: CaseStore
    book: PromptBook
    scout: Scout
    runtime: Runtime
    generator: torch.Generator

    def cutmix(self, count: int, side: int) -> Tensor:
        """Boxes of a CutMix, (count, side, side) bool, with the configured probability."""
        boxes = cutmix_boxes(count, side, self.config.cutmix, self.generator)
        return boxes.to(self.runtime.device)

    def labelled(self, batch: SliceBatch) -> tuple[View, Targets]:
        """A view of labelled slices: weak, and strong for the configured share of them."""
        view, targets = self.views.weak(batch)
        drawn = torch.rand(len(view), generator=self.generator) < self.config.labelled_strong
        take = drawn[:, None, None].expand(targets.labels.shape).to(targets.labels.device)
        return view.mixed(self.views.strong(view), take), targets

    def uses_pool(self, progress: float) -> bool:
        """Whether the unlabelled slices are learned from already."""
        return progress >= self.config.burn_in

    def unlabelled_weight(self, progress: float) -> float:
        """Weight of the unlabelled loss now, ramped from the end of the burn-in."""
        since = progress - self.config.burn_in
        return self.config.unlabelled_weight * linear_ramp(since, self.config.ramp)


class Strategy(ABC):
    """A method of training: its networks, teachers, optimisers, loss and state.

    Subclasses fill :attr:`networks` and :attr:`optimisers` in ``__init__`` and give
    :meth:`loss` and :meth:`inference_model`; all else has a default.
    """

    needs_pool: ClassVar[bool] = True

    def __init__(self, tools: Toolkit) -> None:
        self.tools = tools
        self.config = tools.config
        self.networks: dict[str, Segmenter] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.micro_batch = self.config.micro_batch

    @abstractmethod
    def loss(self, batch: StepBatch, now: Moment) -> StepLoss:
        """The loss of a step, with gradients; called under the runtime's autocast."""

    @abstractmethod
    def inference_model(self) -> Segmenter:
        """The network that predicts: for validation, and as the training's result."""

    def before_step(self, batch: StepBatch, now: Moment) -> None:
        """Whatever is due before a step: here, to find the classes in the batch's volumes."""
        if batch.unlabelled is None:
            return
        scout = self.tools.scout
        for n in scout.whereabouts.due(batch.unlabelled, now.step, self.config.prompt_age):
            scout(n, self.inference_model(), now.step)

    def after_step(self, now: Moment) -> None:  # noqa: B027
        """Whatever follows an update, for instance moving a teacher."""

    def step(self, batch: StepBatch, now: Moment) -> dict[str, float]:
        """One update of the weights, by accumulated gradients where memory is short.

        Returns
        -------
        dict
            Figures for the log.

        Raises
        ------
        DivergedError
            A loss or gradient is not finite; the weights are as before.
        """
        if not self.tools.uses_pool(now.progress):
            batch = StepBatch(batch.labelled, None)
        self.before_step(batch, now)
        for network in self.networks.values():
            network.train(any(p.requires_grad for p in network.parameters()))
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        parts = micro_batches(batch, self.micro_batch)
        figures: dict[str, float] = {}
        for part in parts:
            with self.tools.runtime.autocast():
                loss = self.loss(part, now)
            self.tools.runtime.backward(loss.total / len(parts), now.step)
            for name, value in {"loss": float(loss.total.detach()), **loss.parts}.items():
                figures[name] = figures.get(name, 0.0) + value / len(parts)
        figures |= self.update(now)
        self.after_step(now)
        return figures

    def update(self, now: Moment) -> dict[str, float]:
        """Let every optimiser use the gradients."""
        factor = polynomial_rate(
            now.progress, warmup=self.config.warmup, power=self.config.power
        )
        norms = [
            self.tools.runtime.update(optimiser, factor, self.config.clip_norm, now.step)
            for optimiser in self.optimisers.values()
        ]
        return {
            "gradient": max(norms),
            "learning_rate": self.config.learning_rate * factor,
        }

    def tensors(self) -> dict[str, Tensor]:
        """State beyond networks and optimisers, as tensors."""
        return {}

    def facts(self) -> dict[str, Any]:
        """State beyond networks and optimisers, ready for JSON."""
        return {}

    def restore(  # noqa: B027
        self, tensors: dict[str, Tensor], facts: dict[str, Any]
    ) -> None:
        """Take back what :meth:`tensors` and :meth:`facts` gave."""


class StudentTeacher(Strategy):
    """A student with one optimiser and an EMA teacher; most methods are of this kind."""

    with_dfe: ClassVar[bool] = False

    def __init__(self, tools: Toolkit) -> None:
        super().__init__(tools)
        self.student = tools.make_network(dfe=self.with_dfe and tools.config.dfe)
        self.networks["student"] = self.student
        self.teacher = self.student
        if self.config.ema > 0:
            self.teacher = make_teacher(self.student)
            self.networks["teacher"] = self.teacher
        self.optimisers["student"] = optimiser_of(self.student, self.config)
        self.updates = 0

    @property
    def decay(self) -> float:
        """The teacher's largest decay."""
        return self.config.ema

    def inference_model(self) -> Segmenter:
        """The teacher, or the student where there is none."""
        return self.teacher

    def after_step(self, now: Moment) -> None:
        """Move the teacher."""
        if self.teacher is not self.student:
            update_teacher(self.teacher, self.student, self.updates, self.decay)
        self.updates += 1

    def facts(self) -> dict[str, Any]:
        """How often the teacher was moved."""
        return {"updates": self.updates}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back :meth:`facts`."""
        self.updates = int(facts["updates"])

    @torch.no_grad()
    def taught(self, view: View) -> tuple[Features, Tensor]:
        """The teacher's enhanced features and class probabilities of a weak view."""
        was_training = self.teacher.training
        self.teacher.eval()
        pyramid = embed(self.teacher, view)
        enhanced = self.teacher.enhance(pyramid)
        probabilities = semantic_probabilities(self.teacher.classify(enhanced))
        self.teacher.train(was_training)
        return pyramid, probabilities

    def supervised(self, batch: SliceBatch) -> tuple[Tensor, Targets]:
        """The student's logits of a view of labelled slices, and its targets."""
        view, targets = self.tools.labelled(batch)
        pyramid = embed(self.student, view)
        return self.student.classify(self.student.enhance(pyramid)), targets


def optimiser_of(network: Segmenter, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW on what learns in a network."""
    return adamw(network, config)


def embed(network: Segmenter, view: View) -> Features:
    """A view's features: those it has, or the encoder's."""
    if view.features is not None:
        return view.features
    if view.grey is None:
        raise ValueError("a view has either images or features")
    return network.encode(view.grey)


def micro_batches(batch: StepBatch, size: int | None) -> Sequence[StepBatch]:
    """The batch in parts of at most ``size`` slices of each kind."""
    largest = max(len(batch.labelled), len(batch.unlabelled) if batch.unlabelled else 0)
    if size is None or size >= largest:
        return [batch]
    count = -(-largest // size)

    def part(slices: SliceBatch, i: int) -> SliceBatch:
        edges = [round(k * len(slices) / count) for k in range(count + 1)]
        return slices[edges[i] : max(edges[i + 1], edges[i] + 1)]

    return [
        StepBatch(
            part(batch.labelled, i), part(batch.unlabelled, i) if batch.unlabelled else None
        )
        for i in range(count)
    ]
