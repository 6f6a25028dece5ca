"""Networks, training and hardening on small images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages import architectures, augmentation, checkpoints, defenses, hardware, learning, plugins, train
from stages.augmentation import AugmentationParams
from stages.compute import ComputeParams
from stages.console import InputError
from stages.defenses.pgd import PGD
from stages.learning import LearningParams, Lesson, Score
from tests.conftest import store

AUGMENTATION = AugmentationParams(time_shift=1.0, time_mask=0.1, band_mask=0.1, gain=3.0, mixup=0.0)
UNCHANGED = AugmentationParams(time_shift=0, time_mask=0, band_mask=0, gain=0, mixup=0)


def recipe(**changes: float) -> LearningParams:
    values = {"epochs": 4, "batch_size": 8, "learning_rate": 0.01, "weight_decay": 0.0, "label_smoothing": 0.0}
    return LearningParams(**(values | changes))


def small(classes: int = 3) -> nn.Module:
    network = nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d((8, 1)))
    return architectures.normalised(nn.Sequential(network, nn.Flatten(), nn.Linear(64, classes)))


def trained(
    rng: np.random.Generator, compute: ComputeParams, **changes: float
) -> tuple[nn.Module, list[learning.Epoch]]:
    made = store(rng)
    images, labels = torch.from_numpy(made.features), torch.from_numpy(made.labels)
    hardware.repeatable(0)
    model = small()
    lesson = Lesson(images, labels, recipe(**changes), AUGMENTATION, 0, compute)
    curve = learning.fit(
        model, lesson, lambda model: train.accuracy(model, images, labels, compute), train.as_they_are, "train"
    )
    return model, curve


def test_training_learns(rng: np.random.Generator, compute: ComputeParams) -> None:
    _, curve = trained(rng, compute, epochs=8)
    assert curve[-1].loss < curve[0].loss
    assert max(row.validation_accuracy for row in curve) > 0.9


def test_training_on_mixtures_learns(rng: np.random.Generator, compute: ComputeParams) -> None:
    made = store(rng)
    images, labels = torch.from_numpy(made.features), torch.from_numpy(made.labels)
    mixed = AUGMENTATION.model_copy(update={"mixup": 0.4})
    lesson = Lesson(images, labels, recipe(epochs=8), mixed, 0, compute)
    model, score = small(), lambda model: train.accuracy(model, images, labels, compute)
    curve = learning.fit(model, lesson, score, train.as_they_are, "train")
    assert max(row.validation_accuracy for row in curve) > 0.9


def test_the_same_seed_gives_the_same_weights(compute: ComputeParams) -> None:
    first, second = (trained(np.random.default_rng(0), compute)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_best_epoch_is_kept(rng: np.random.Generator, compute: ComputeParams) -> None:
    made = store(rng)
    lesson = Lesson(torch.from_numpy(made.features), torch.from_numpy(made.labels), recipe(), AUGMENTATION, 0, compute)
    model, seen = small(), []
    values = iter([0.1, 0.9, 0.9, 0.2])

    def score(model: nn.Module) -> Score:
        seen.append([weight.clone() for weight in model.parameters()])
        return Score(next(values), 0.5)

    learning.fit(model, lesson, score, train.as_they_are, "train")
    assert all(torch.equal(kept, weight) for kept, weight in zip(model.parameters(), seen[2], strict=True))


def test_a_loss_that_is_not_finite_stops(rng: np.random.Generator, compute: ComputeParams) -> None:
    made = store(rng)
    images = torch.from_numpy(made.features)
    images[:] = torch.nan
    lesson = Lesson(images, torch.from_numpy(made.labels), recipe(), AUGMENTATION, 0, compute)
    with pytest.raises(InputError, match="the loss is nan in epoch 1"):
        learning.fit(small(), lesson, lambda _: Score(0, 0), train.as_they_are, "train")


def test_augmentation_belongs_to_the_clip() -> None:
    images, mixed = torch.rand(6, 1, 16, 20), AUGMENTATION.model_copy(update={"mixup": 0.4})
    drawn = augmentation.draw(0, 1, 6, mixed)
    whole = augmentation.augment(images, torch.arange(6), drawn, mixed)
    parts = [augmentation.augment(images, torch.tensor([i]), drawn, mixed) for i in range(6)]
    assert torch.equal(whole, torch.cat(parts))
    again = augmentation.augment(images, torch.arange(6), augmentation.draw(0, 2, 6, mixed), mixed)
    assert not torch.equal(whole, again)


def test_a_time_shift_is_circular() -> None:
    images = torch.rand(4, 1, 8, 20)
    only_shift = UNCHANGED.model_copy(update={"time_shift": 1.0})
    shifted = augmentation.change(images, augmentation.draw(0, 1, 4, only_shift).numbers, only_shift)
    torch.testing.assert_close(shifted.sort(dim=3).values, images.sort(dim=3).values)


def test_a_gain_moves_a_clip_by_decibels_within_the_range() -> None:
    images = torch.tensor([0.0, 0.5, 1.0]).expand(200, 1, 1, 3)
    only_gain = UNCHANGED.model_copy(update={"gain": 8.0})
    moved = augmentation.change(images, augmentation.draw(0, 1, 200, only_gain).numbers, only_gain) - images
    assert moved[..., 1].min() == pytest.approx(-0.1, abs=0.005)
    assert moved[..., 1].max() == pytest.approx(0.1, abs=0.005)
    torch.testing.assert_close(moved[..., 0], moved[..., 1].clamp(min=0))
    torch.testing.assert_close(moved[..., 2], moved[..., 1].clamp(max=0))


def test_mixup_is_the_convex_combination() -> None:
    images, mixed = torch.rand(50, 1, 4, 5), UNCHANGED.model_copy(update={"mixup": 1.0})
    drawn = augmentation.draw(0, 1, 50, mixed)
    weights = drawn.weights[:, None, None, None]
    made = augmentation.augment(images, torch.arange(50), drawn, mixed)
    torch.testing.assert_close(made, weights * images + (1 - weights) * images[drawn.partners])
    assert drawn.partners.sort().values.tolist() == list(range(50))
    assert 0.5 <= drawn.weights.min() < 0.6
    assert 0.9 < drawn.weights.max() <= 1


def test_the_default_mixes_nothing() -> None:
    images, drawn = torch.rand(5, 1, 4, 4), augmentation.draw(0, 1, 5, UNCHANGED)
    assert torch.equal(augmentation.augment(images, torch.arange(5), drawn, UNCHANGED), images)
    assert (drawn.weights == 1).all()


def test_the_loss_of_a_mixture_is_that_of_its_soft_labels() -> None:
    logits, weights = torch.randn(6, 3), torch.linspace(0.5, 1, 6)
    labels, others = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([1, 1, 0, 2, 0, 1])
    drawn = augmentation.draw(0, 1, 6, UNCHANGED)
    batch = learning.Batch(torch.rand(6, 1, 2, 2), labels, torch.arange(6), 1, drawn, others, weights)
    soft = weights[:, None] * nn.functional.one_hot(labels, 3) + (1 - weights[:, None]) * nn.functional.one_hot(
        others, 3
    )
    torch.testing.assert_close(batch.loss(logits, 0.1), nn.functional.cross_entropy(logits, soft, label_smoothing=0.1))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", plugins.names("stages.defenses"))
def test_defenses_give_images_in_range_and_leave_the_model(name: str, compute: ComputeParams) -> None:
    model, images = small(), torch.rand(5, 1, 32, 32)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    made = defenses.load(name).images(model, images, torch.ones(5, dtype=torch.int64), compute)
    assert made.shape == images.shape
    assert made.min() >= 0
    assert made.max() <= 1
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


def test_pgd_stays_in_its_budget_and_nears_the_target(compute: ComputeParams) -> None:
    torch.manual_seed(0)
    model, images, targets = small(), torch.rand(5, 1, 32, 32), torch.full((5,), 2)
    made = PGD(eps=0.05, steps=3, rel_stepsize=0.5).images(model, images, targets, compute)
    assert (made - images).abs().max() <= 0.05 + 1e-6

    def loss(batch: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model.eval()(batch), targets)

    assert loss(made) < loss(images)


def test_crafted_clips_are_drawn_per_clip() -> None:
    exists = torch.tensor([True] * 500 + [False] * 500)

    def batch(indices: Tensor) -> learning.Batch:
        images, labels, drawn = (
            torch.zeros(len(indices), 1, 1, 1),
            indices % 3,
            augmentation.draw(0, 1, 1000, UNCHANGED),
        )
        return learning.Batch(images, labels, indices, 1, drawn, labels, torch.ones(len(indices)))

    chosen = defenses.drawn_crafted(batch(torch.arange(1000)), exists, 0.25, 0)
    assert 0.18 < chosen[:500].float().mean() < 0.32
    assert not chosen[500:].any()
    assert torch.equal(defenses.drawn_crafted(batch(torch.arange(10, 20)), exists, 0.25, 0), chosen[10:20])
    targets = defenses.random_targets(batch(torch.arange(1000)), 3, 1000, 0)
    assert (targets != torch.arange(1000) % 3).all()


def test_model_files(tmp_path: Path, rng: np.random.Generator) -> None:
    made, path = store(rng), tmp_path / "model.safetensors"
    card = checkpoints.card("resnet18", made)
    model = architectures.build("resnet18", made.shape, 3).eval()
    checkpoints.write(path, model, card)
    read = checkpoints.read(path, card, "train@a")
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(read(images), model(images))
    first = path.read_bytes()
    checkpoints.write(path, model, card)
    assert path.read_bytes() == first
    with pytest.raises(
        InputError, match=r"a model with architecture 'resnet18', not 'resnet56'; .* `dvc repro train@a`"
    ):
        checkpoints.read(path, checkpoints.card("resnet56", made), "train@a")
    path.write_bytes(first[:1000])
    with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
        checkpoints.read(path, card, "train@a")
    with pytest.raises(InputError, match=r"gone is missing; run `dvc repro train@a`"):
        checkpoints.read(tmp_path / "gone", card, "train@a")
