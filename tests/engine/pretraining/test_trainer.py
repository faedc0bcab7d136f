"""Training: what is learnt, what is kept when it is cut short, what comes out."""

from __future__ import annotations

import hashlib
import json
from itertools import islice

import pytest
import torch

from napari_sss.engine.errors import Cancelled, ConfigError, ModelError, SSSError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.models.loading import load_model
from napari_sss.engine.models.sam2_model import PointPrompts
from napari_sss.engine.pretraining import trainer as trainer_module
from napari_sss.engine.pretraining.checkpoint import TENSORS, load_checkpoint
from napari_sss.engine.pretraining.clips import Batch
from napari_sss.engine.pretraining.config import PretrainConfig
from napari_sss.engine.pretraining.log import TRAINING, VALIDATION, read_entries
from napari_sss.engine.pretraining.stream import Plan, batches
from napari_sss.engine.pretraining.trainer import Trainer, pretrain
from napari_sss.engine.pretraining.validation import click_ious

CONFIG = PretrainConfig(
    steps=6,
    batch=2,
    clip_slices=2,
    clip_share=0.5,
    clips_from=0.0,
    sizes=((0.0, 64),),
    validation_images=0,
)
GROWING = CONFIG.model_copy(update={"sizes": ((0.0, 64), (0.5, 96))})


@pytest.fixture
def train(tmp_path, tiny_architecture):
    """Train the tiny architecture in ``tmp_path``."""

    def run(config: PretrainConfig = CONFIG, folder: str = "run", stream=None, **more):
        return pretrain(
            config, tmp_path / folder, architecture=tiny_architecture, stream=stream, **more
        )

    return run


@pytest.mark.usefixtures("simple_scenes")
def test_resuming_gives_the_same_numbers_as_no_interruption(train, tmp_path):
    train(GROWING, stream=batches(GROWING, 0), folder="straight")
    train(GROWING, stream=islice(batches(GROWING, 0), 3), folder="cut")
    assert load_checkpoint(tmp_path / "cut")[1]["step"] == 3
    torch.manual_seed(99)  # whatever else happened in the meantime
    train(GROWING, stream=batches(GROWING, 3), folder="cut", resume=True)
    straight, facts = load_checkpoint(tmp_path / "straight")
    resumed, resumed_facts = load_checkpoint(tmp_path / "cut")
    for group in ("weights", "averaged", "optimiser"):
        assert straight[group].keys() == resumed[group].keys()
        for name, tensor in straight[group].items():
            assert torch.equal(tensor, resumed[group][name]), f"{group} {name}"
    assert straight["optimiser"]
    assert facts["random"] == resumed_facts["random"]
    assert facts["step"] == resumed_facts["step"] == 6
    one, other = (tmp_path / folder / "model.safetensors" for folder in ("straight", "cut"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.usefixtures("simple_scenes")
def test_weights_move_and_the_average_follows(train, tmp_path, tiny_architecture):
    before = Trainer(CONFIG, tmp_path, tiny_architecture).averaged
    train(stream=batches(CONFIG, 0))
    groups, _ = load_checkpoint(tmp_path / "run")
    moved = [k for k in before if not torch.equal(before[k], groups["weights"][k])]
    assert len(moved) > 0.8 * len(before)
    name = "sam_mask_decoder.iou_token.weight"
    between = (groups["averaged"][name] - before[name]).norm()
    assert 0 < between < (groups["weights"][name] - before[name]).norm()


@pytest.mark.usefixtures("simple_scenes")
@pytest.mark.parametrize("changes", [{"batch": 3}, {"seed": 1}, {"learning_rate": 1e-5}])
def test_resuming_with_other_settings_is_refused(train, changes):
    train(stream=islice(batches(CONFIG, 0), 1))
    other = CONFIG.model_copy(update=changes)
    with pytest.raises(ConfigError, match=next(iter(changes))):
        train(other, stream=batches(other, 1), resume=True)


@pytest.mark.usefixtures("simple_scenes")
def test_resuming_with_another_shape_is_refused(train, tmp_path, tiny_architecture):
    train(stream=islice(batches(CONFIG, 0), 1))
    other = tiny_architecture.model_copy(update={"memory_layers": 2})
    with pytest.raises(ConfigError, match="architecture"):
        pretrain(CONFIG, tmp_path / "run", architecture=other, resume=True, stream=())


@pytest.mark.usefixtures("simple_scenes")
def test_how_often_to_save_may_change(train, tmp_path):
    train(stream=islice(batches(CONFIG, 0), 1))
    other = CONFIG.model_copy(update={"checkpoint_every": 1.0})
    train(other, stream=batches(other, 1), resume=True)
    assert load_checkpoint(tmp_path / "run")[1]["step"] == 6


@pytest.mark.usefixtures("simple_scenes")
def test_a_training_can_begin_with_the_weights_of_another(train, tmp_path, tiny_architecture):
    first = train(stream=batches(CONFIG, 0), folder="first") / "model.safetensors"
    config = CONFIG.model_copy(update={"start_from": str(first), "seed": 5})
    weights = load_model(first, device="cpu").net.state_dict()
    begun = Trainer(config, tmp_path / "second", tiny_architecture)
    for name, tensor in begun.model.net.state_dict().items():
        assert torch.equal(tensor, weights[name].float()), name
    card = json.loads(
        (train(config, stream=batches(config, 0), folder="third") / "model.json").read_text()
    )
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    assert card["training"]["started_from"] == digest
    assert "start_from" not in card["training"]["config"]  # a path says nothing elsewhere


def test_there_must_be_something_to_resume(train):
    with pytest.raises(ModelError, match="holds no checkpoint"):
        train(stream=(), resume=True)


def test_a_damaged_checkpoint_is_named(train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / TENSORS).write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match=r"checkpoint\.safetensors is damaged"):
        train(stream=(), resume=True)


@pytest.mark.usefixtures("simple_scenes")
def test_a_training_is_not_overwritten_by_accident(train, tmp_path):
    train(stream=islice(batches(CONFIG, 0), 1))
    before = (tmp_path / "run" / TENSORS).read_bytes()
    with pytest.raises(ConfigError, match="--resume"):
        train(stream=batches(CONFIG, 0))
    assert (tmp_path / "run" / TENSORS).read_bytes() == before


def poisoned(config: PretrainConfig, after: int):
    """Batches of which one holds a value that is no number."""
    for number, (plan, batch) in enumerate(batches(config, 0)):
        if number == after:
            grey = batch.grey.clone()
            grey[0, 0, 0, 0] = float("nan")
            batch = Batch(grey, batch.target)
        yield plan, batch


@pytest.mark.usefixtures("simple_scenes")
def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(train, tmp_path):
    config = CONFIG.model_copy(update={"checkpoint_every": 1e-9})  # after every step
    with pytest.raises(SSSError, match=r"loss became nan at step 2") as raised:
        train(config, stream=poisoned(config, after=2))
    assert raised.value.path == tmp_path / "run"
    groups, facts = load_checkpoint(tmp_path / "run")
    assert facts["step"] == 2
    assert all(torch.isfinite(t).all() for t in groups["weights"].values())
    train(config, stream=batches(config, 2), resume=True)


@pytest.mark.usefixtures("simple_scenes")
def test_a_gradient_that_is_no_number_is_not_taken(train, tmp_path, monkeypatch):
    real = trainer_module.training_loss

    def steep(model, *arguments):
        loss, iou = real(model, *arguments)
        weight = model.net.sam_mask_decoder.iou_token.weight
        return loss + 0 * torch.sqrt((weight * 0).sum()), iou  # finite, its slope is not

    monkeypatch.setattr(trainer_module, "training_loss", steep)
    with pytest.raises(SSSError, match="gradient became nan"):
        train(stream=batches(CONFIG, 0))
    assert not (tmp_path / "run" / TENSORS).exists()


@pytest.mark.usefixtures("simple_scenes")
def test_cancelling_keeps_what_was_learnt(train, tmp_path):
    control = JobControl(lambda progress: progress.done >= 333 and control.cancel())
    with pytest.raises(Cancelled):
        train(stream=batches(CONFIG, 0), control=control)
    assert load_checkpoint(tmp_path / "run")[1]["step"] == 2  # 2 of 6 are 333 thousandths
    train(stream=batches(CONFIG, 2), resume=True)
    assert load_checkpoint(tmp_path / "run")[1]["step"] == 6


@pytest.mark.usefixtures("simple_scenes")
def test_the_exported_model_loads_and_answers_alike(train, discs):
    folder = train(GROWING, stream=batches(GROWING, 0))
    loaded = load_model(folder, device="cpu", precision=torch.float32)
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert loaded.image_size == 96  # the last size of the training
    assert card["licence"] == "BSD-3-Clause"
    assert card["training"]["steps"] == 6
    assert card["training"]["images"] == 12
    trained = Trainer(GROWING, folder, loaded.architecture)
    trained.restore()
    prompts = PointPrompts(torch.tensor([[[20.0, 20.0], [70.0, 75.0]]]), torch.tensor([[2, 3]]))
    answers = []
    for model in (loaded, trained.averaged_model()):
        with model.inference():
            features = model.encode(discs(1, 1, 96).grey[:, 0])
            pixels = model.without_memory(features)
            answers.append(model.decode(features, pixels, prompts).logits)
    # Weights in half precision have 11 bits: relative errors of 2^-11, a few layers deep.
    scale = answers[1].abs().max()
    assert (answers[0] - answers[1]).abs().max() < 0.02 * scale
    assert not torch.equal(*answers)


@pytest.mark.usefixtures("simple_scenes")
def test_checkpoints_are_validated_logged_and_drawn(train, tmp_path):
    changes = {"validation_images": 4, "checkpoint_every": 1e-9}
    config = CONFIG.model_copy(update=changes | {"steps": 3})
    train(config, stream=batches(config, 0))
    entries = read_entries(tmp_path / "run", VALIDATION)
    assert [e["step"] for e in entries] == [1, 2, 3]
    for entry in entries:
        assert all(0 <= entry[k] <= 1 for k in ("box", "click", "corrected", "tracked"))
    assert [e["step"] for e in read_entries(tmp_path / "run", TRAINING)] == [1]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000


@pytest.mark.usefixtures("simple_scenes")
def test_validating_changes_nothing_in_the_training(train, tmp_path):
    for folder, images in (("with", 4), ("without", 0)):
        changes = {"validation_images": images, "checkpoint_every": 1e-9}
        config = CONFIG.model_copy(update=changes | {"steps": 3})
        train(config, folder=folder, stream=batches(config, 0))
    one, other = (load_checkpoint(tmp_path / f)[0]["weights"] for f in ("with", "without"))
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_the_learning_rate_rises_and_falls(tmp_path, tiny_architecture):
    config = PretrainConfig(steps=100, learning_rate=1.0, warmup=0.1)
    trainer = Trainer(config, tmp_path, tiny_architecture)

    def rate(step: int) -> float:
        trainer.step = step
        return trainer._learning_rate()

    # Up a line of ten steps; then 0.01 + 0.99 (1 + cos(pi t)) / 2, t from 0 to 1.
    assert [rate(s) for s in (0, 5, 10)] == pytest.approx([0.01, 0.5, 1.0])
    assert [rate(s) for s in (55, 100)] == pytest.approx([0.505, 0.01])


@pytest.mark.slow
def test_four_samples_are_learnt_by_heart(tmp_path, tiny_architecture, discs):
    """Half a minute on one core; the IoU after one click rises above 0.8."""
    config = PretrainConfig(
        steps=400, batch=4, sizes=((0.0, 64),), learning_rate=2e-3, validation_images=0
    )
    batch = discs(4, 1, 64, seed=3)
    trainer = Trainer(config, tmp_path, tiny_architecture)
    scores = []

    def until_learnt():
        for step in range(400):
            if step % 20 == 0:
                scores.append(_click_iou(trainer, batch))
                if scores[-1] > 0.85:
                    return
            yield Plan(step, 4, 1, 64), batch

    trainer.run(until_learnt())
    assert scores[0] < 0.5
    assert _click_iou(trainer, batch) > 0.8, scores


def _click_iou(trainer: Trainer, batch: Batch) -> float:
    with trainer.model.inference():
        return click_ious(trainer.model, batch)[0]
