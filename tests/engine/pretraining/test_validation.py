"""Scores on held-out scenes: right for a model that knows, and the same every time."""

from __future__ import annotations

import pytest
import torch

from napari_sss.engine.pretraining import validation
from napari_sss.engine.pretraining.validation import (
    Validation,
    box_iou,
    click_ious,
    tracked_iou,
)


@pytest.fixture
def small(simple_scenes) -> Validation:
    return Validation(images=4, clips=2, slices=3, image_size=64)


def test_scores_are_shares_and_repeatable(small, tiny_model):
    scores = small.scores(tiny_model)
    assert set(scores) == {"box", "click", "corrected", "tracked"}
    assert all(0 <= score <= 1 for score in scores.values())
    again = Validation(images=4, clips=2, slices=3, image_size=64).scores(tiny_model)
    assert again == scores


def test_samples_are_made_once_and_are_not_those_of_a_training(small, monkeypatch):
    assert small.samples is small.samples
    slices, clips = small.samples
    assert slices.grey.shape == (4, 1, 64, 64)
    assert clips.grey.shape == (2, 3, 64, 64)
    monkeypatch.setattr(validation, "HELD_OUT_SEED", 0)
    other = Validation(images=4, clips=2, slices=3, image_size=64).samples[0]
    assert not torch.equal(other.grey, slices.grey)


def test_the_trainings_own_random_numbers_are_left_alone(small, tiny_model):
    before = torch.get_rng_state()
    small.scores(tiny_model)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_knows_the_answer_scores_one(tiny_model, discs, monkeypatch):
    batch = discs(3, 3, 64)
    answers = iter([0, 0, 0, 0, 0, 1, 2])  # the slice that each decoding is for

    def knowing(features, pixels, prompts, mask=None, *, multimask=False):
        decoded = decode(features, pixels, prompts, mask, multimask=False)
        target = batch.target[:, next(answers)][:, None]
        logits = torch.where(target > 0.5, 9.0, -9.0)
        present = torch.full_like(decoded.object_score, 5.0)
        return type(decoded)(logits, decoded.ious, present, decoded.pointers)

    decode = tiny_model.decode
    monkeypatch.setattr(tiny_model, "decode", knowing)
    first = type(batch)(batch.grey[:, :1], batch.target[:, :1])
    with tiny_model.inference():
        assert box_iou(tiny_model, first) == 1
        assert click_ious(tiny_model, first) == (1, 1)
        assert tracked_iou(tiny_model, batch) == 1


def test_an_object_judged_absent_has_no_mask(tiny_model, discs, monkeypatch):
    batch, decode = discs(2, 2, 64), tiny_model.decode

    def absent(*args, **kwargs):
        decoded = decode(*args, **kwargs)
        score = torch.full_like(decoded.object_score, -5.0)
        return type(decoded)(decoded.logits.abs(), decoded.ious, score, decoded.pointers)

    monkeypatch.setattr(tiny_model, "decode", absent)
    with tiny_model.inference():
        assert tracked_iou(tiny_model, batch) == 0
