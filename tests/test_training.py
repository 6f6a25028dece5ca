"""Networks, training and hardening on small images."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from stages import architectures
from stages.architectures import resnet18
from stages.core.compute import ComputeParams
from stages.core.device import seed_everything, without_mps
from stages.core.errors import InputError
from stages.models import checkpoints
from stages.models.cell import Cell
from stages.models.checkpoints import ModelSpec
from stages.training import augment, baseline
from stages.training.baseline import accuracy, best, train_baseline
from stages.training.batches import Batch
from stages.training.history import Epoch, best_epoch, summary
from stages.training.loop import Score
from stages.training.objectives import cross_entropy
from tests.helpers import feature_store
from tests.training_helpers import AUGMENTATION, PLAIN, UNCHANGED, baseline_recipe, cell_of, fit, small, taught

SILENCE = torch.zeros(1)
"""Of every row."""


def test_apples_gpu_gives_way_to_the_processor_for_front_ends() -> None:
    assert without_mps(torch.device("mps")) == torch.device("cpu")
    assert without_mps(torch.device("cuda")) == torch.device("cuda")


def trained(
    rng: np.random.Generator, compute: ComputeParams, mixup: float = 0, **changes: float
) -> tuple[nn.Module, list[Epoch]]:
    data = taught(feature_store(rng), compute, **changes)
    data = replace(data, augment=AUGMENTATION.model_copy(update={"mixup": mixup}))
    seed_everything(0)
    model = small()
    return model, fit(model, data, lambda model: accuracy(model, data.images, data.labels, compute))


def test_training_learns(rng: np.random.Generator, compute: ComputeParams) -> None:
    _, history = trained(rng, compute, epochs=8)
    assert history[-1].loss < history[0].loss
    assert max(row.validation_accuracy for row in history) > 0.9


def test_copies_take_the_place_of_their_share_of_the_clips() -> None:
    images = torch.zeros(400, 1, 2, 2)
    copies = torch.arange(1.0, 4).reshape(1, 3, 1, 1).expand(400, 3, 2, 2)
    some = AUGMENTATION.model_copy(update={"p_waveform_augment": 0.4})
    values = augment.versions(images, copies, 0, 1, some)[:, 0, 0, 0]
    assert (values == 0).float().mean() == pytest.approx(0.6, abs=0.08)
    assert set(values.tolist()) == {0, 1, 2, 3}
    assert not torch.equal(values, augment.versions(images, copies, 0, 2, some)[:, 0, 0, 0])
    assert torch.equal(augment.versions(images, copies, 0, 1, UNCHANGED), images)
    assert torch.equal(augment.versions(images, copies[:, :0], 0, 1, some), images)


def test_training_on_mixtures_learns(rng: np.random.Generator, compute: ComputeParams) -> None:
    _, history = trained(rng, compute, mixup=0.4, epochs=8)
    assert max(row.validation_accuracy for row in history) > 0.9


def test_the_same_seed_gives_the_same_weights_and_history(compute: ComputeParams) -> None:
    (first, history), (second, again) = (trained(np.random.default_rng(0), compute) for _ in range(2))
    weights, others = first.state_dict(), second.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert history == again


def test_the_last_epoch_near_the_best_is_kept(rng: np.random.Generator, compute: ComputeParams) -> None:
    model, seen = small(), []
    values = iter([0.1, 0.9, 0.87, 0.86])  # of 100 clips, the standard error of 0.9 is 0.031

    def score(model: nn.Module) -> Score:
        seen.append([weight.clone() for weight in model.parameters()])
        return Score(next(values), 0.5, 100)

    fit(model, taught(feature_store(rng), compute), score)
    assert all(torch.equal(kept, weight) for kept, weight in zip(model.parameters(), seen[2], strict=True))


def test_the_history_has_a_row_an_epoch(
    rng: np.random.Generator, compute: ComputeParams, capsys: pytest.CaptureFixture[str]
) -> None:
    _, history = trained(rng, compute, epochs=3, learning_rate=0.01)
    assert [row.epoch for row in history] == [1, 2, 3]
    assert history[0].learning_rate == pytest.approx(0.01, rel=0.05)
    assert history[2].learning_rate < 1e-6
    told = rf"train: 3/3 epochs.*, loss {history[2].loss:.3f}, validation accuracy .*, [1-9]\d* clips/s\n"
    assert re.search(told, capsys.readouterr().err)


def test_a_loss_that_is_not_finite_stops_at_the_second_time(
    rng: np.random.Generator, compute: ComputeParams, capsys: pytest.CaptureFixture[str]
) -> None:
    data = taught(feature_store(rng), compute)
    clip = int(data.permutation(1)[2, 0])
    data.images[clip] = torch.nan
    expected = rf"the loss is nan in epoch 1, step 3 of 7, on the clips {data.clips[clip]}, .*, for the second time"
    with pytest.raises(InputError, match=expected):
        fit(small(), data)
    assert "back to the state before the epoch, with half the learning rate" in capsys.readouterr().err


def test_one_bad_step_is_taken_back(rng: np.random.Generator, compute: ComputeParams) -> None:
    calls = []

    def once_bad(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        calls.append(batch.epoch)
        loss, logits = PLAIN(model, batch)
        return (loss * torch.nan if len(calls) == 10 else loss), logits

    model = small()
    history = fit(model, taught(feature_store(rng), compute), loss=once_bad)
    assert calls == [1] * 7 + [2] * 14 + [3] * 7 + [4] * 7
    assert all(weight.isfinite().all() for weight in model.state_dict().values())
    usual = fit(small(), taught(feature_store(rng), compute))
    assert history[0].learning_rate == usual[0].learning_rate
    assert history[1].learning_rate == pytest.approx(usual[1].learning_rate / 2)


def test_weights_that_are_not_finite_are_found(rng: np.random.Generator, compute: ComputeParams) -> None:
    def explosive(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        loss, logits = PLAIN(model, batch)
        return loss + (logits - logits.detach()).abs().sqrt().sum(), logits

    with pytest.raises(InputError, match=r"in epoch 1, step . of 7"):
        fit(small(), taught(feature_store(rng), compute), loss=explosive)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory: you tried to"),
    ],
)
def test_batches_too_large_for_the_memory_are_accumulated(
    error: RuntimeError, rng: np.random.Generator, compute: ComputeParams, capsys: pytest.CaptureFixture[str]
) -> None:
    def limited(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        if len(batch.images) > 4:
            raise error
        return PLAIN(model, batch)

    model = small()
    history = fit(model, taught(feature_store(rng), compute), loss=limited)
    assert len(history) == 4
    assert "each batch of 8 clips is computed in 2 pieces from here on" in capsys.readouterr().err


def test_accumulation_gives_the_gradient_of_the_whole_batch(rng: np.random.Generator, compute: ComputeParams) -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(1024, 3))

    def limited(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        if len(batch.images) > 2:
            raise torch.OutOfMemoryError
        return PLAIN(model, batch)

    whole, pieces = network(), network()
    fit(whole, taught(feature_store(rng), compute))
    fit(pieces, taught(feature_store(np.random.default_rng(0)), compute), loss=limited)
    for one, other in zip(whole.parameters(), pieces.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_memory_that_does_not_suffice_for_two_clips_is_an_error(
    rng: np.random.Generator, compute: ComputeParams
) -> None:
    def never(_model: nn.Module, _batch: Batch) -> tuple[Tensor, Tensor]:
        raise torch.OutOfMemoryError

    with pytest.raises(InputError, match="out of memory in training, in batches of 8 in 4 pieces"):
        fit(small(), taught(feature_store(rng), compute), loss=never)


def test_other_errors_are_not_taken_for_lack_of_memory(rng: np.random.Generator, compute: ComputeParams) -> None:
    def broken(_model: nn.Module, _batch: Batch) -> tuple[Tensor, Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit(small(), taught(feature_store(rng), compute), loss=broken)


def test_a_batch_larger_than_the_data_is_all_of_it(rng: np.random.Generator, compute: ComputeParams) -> None:
    data = taught(feature_store(rng, clips=12), compute, batch_size=64)
    assert [len(batch.images) for batch in data.batches(1, torch.device("cpu"), 0)] == [12]
    assert len(fit(small(), data)) == 4


def test_clips_that_cannot_be_learnt_from_are_an_error(rng: np.random.Generator, compute: ComputeParams) -> None:
    data = taught(feature_store(rng), compute)
    one = replace(data, images=data.images[:1], labels=data.labels[:1])
    with pytest.raises(InputError, match="training needs at least 2 clips; the training folds leave 1"):
        fit(small(), one)
    some = data.labels != 1
    lacking = replace(data, images=data.images[some], labels=data.labels[some])
    with pytest.raises(InputError, match="no training clips of the class class1: all of its clips"):
        fit(small(), lacking)


def test_processes_share_batches_evenly(rng: np.random.Generator, compute: ComputeParams) -> None:
    three = compute.model_copy(update={"devices": 3})
    with pytest.raises(InputError, match=r"3 processes .* cannot share batches of 8 clips evenly"):
        fit(small(), taught(feature_store(rng), three))
    two = taught(feature_store(rng), compute.model_copy(update={"nodes": 2}))
    parts = [list(two.batches(1, torch.device("cpu"), rank)) for rank in (0, 1)]
    together = [torch.cat([part.indices for part in step]) for step in zip(*parts, strict=True)]
    assert torch.equal(torch.stack(together), two.permutation(1))


def test_a_batch_splits_into_all_of_its_clips(rng: np.random.Generator, compute: ComputeParams) -> None:
    batch = next(taught(feature_store(rng), compute).batches(1, torch.device("cpu"), 0))
    pieces = batch.split(3)
    assert [len(piece.labels) for piece in pieces] == [3, 3, 2]
    assert torch.equal(torch.cat([piece.images for piece in pieces]), batch.images)
    assert len(batch.split(100)) == 4


def test_augmentation_belongs_to_the_clip() -> None:
    images, mixed = torch.rand(6, 1, 16, 20), AUGMENTATION.model_copy(update={"mixup": 0.4})
    drawn = augment.draw(0, 1, 6, mixed)
    whole = augment.augment(images, torch.arange(6), drawn, mixed, SILENCE)
    parts = [augment.augment(images, torch.tensor([i]), drawn, mixed, SILENCE) for i in range(6)]
    assert torch.equal(whole, torch.cat(parts))
    again = augment.augment(images, torch.arange(6), augment.draw(0, 2, 6, mixed), mixed, SILENCE)
    assert not torch.equal(whole, again)


def test_clips_on_a_gpu_are_augmented_there() -> None:
    """Tensors without contents know their device: no GPU is needed to see that none is mixed with the processor's."""
    mixed = AUGMENTATION.model_copy(update={"mixup": 0.4, "time_mask": 0.2, "band_mask": 0.2})
    drawn = augment.draw(0, 1, 6, mixed)
    with FakeTensorMode(allow_non_fake_inputs=True):
        images = torch.empty(6, 1, 16, 20, device="cuda")
        assert augment.augment(images, torch.arange(3), drawn, mixed, SILENCE).device.type == "cuda"


def test_a_time_shift_is_circular() -> None:
    images = torch.rand(4, 1, 8, 20)
    only_shift = UNCHANGED.model_copy(update={"time_shift": 1.0})
    shifted = augment.change(images, augment.draw(0, 1, 4, only_shift).numbers, only_shift, torch.zeros(8))
    torch.testing.assert_close(shifted.sort(dim=3).values, images.sort(dim=3).values)


def test_masks_blank_rows_as_silence_does() -> None:
    images, silence = torch.rand(200, 1, 8, 20), torch.linspace(0, 0.7, 8)
    masked = UNCHANGED.model_copy(update={"time_mask": 0.5, "band_mask": 0.5})
    changed = augment.change(images, augment.draw(0, 1, 200, masked).numbers, masked, silence)
    blank = changed == silence[:, None]
    assert torch.equal(changed[~blank], images[~blank])
    assert 0.2 < blank.float().mean() < 0.7
    frames, rows = blank.all(2), blank.all(3)
    assert torch.equal(blank, frames[:, :, None, :] | rows[:, :, :, None])


def test_mixup_is_the_convex_combination() -> None:
    images, mixed = torch.rand(50, 1, 4, 5), UNCHANGED.model_copy(update={"mixup": 1.0})
    drawn = augment.draw(0, 1, 50, mixed)
    weights = drawn.weights[:, None, None, None]
    made = augment.augment(images, torch.arange(50), drawn, mixed, SILENCE)
    torch.testing.assert_close(made, weights * images + (1 - weights) * images[drawn.partners])
    assert drawn.partners.sort().values.tolist() == list(range(50))
    assert 0.5 <= drawn.weights.min() < 0.6
    assert 0.9 < drawn.weights.max() <= 1


NOISY = UNCHANGED.model_copy(update={"noise": 0.1})


def test_noise_is_white_and_keeps_its_bounds() -> None:
    images, drawn = torch.full((200, 1, 32, 32), 0.5), augment.draw(0, 1, 200, NOISY)
    noise = augment.augment(images, torch.arange(200), drawn, NOISY, SILENCE) - images
    levels = noise.square().mean((1, 2, 3)).sqrt()
    assert levels.min() < 0.005
    assert 0.095 < levels.max() < 0.1 * 1.1
    assert levels.mean() == pytest.approx(0.05, abs=0.005)
    loudest = noise[levels.argmax(), 0]
    assert abs(float((loudest[:, 1:] * loudest[:, :-1]).mean() / loudest.square().mean())) < 0.1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_noise_leaves_the_image_in_range(value: float) -> None:
    images, loud = torch.full((20, 1, 8, 8), value), UNCHANGED.model_copy(update={"noise": 1.0})
    noisy = augment.augment(images, torch.arange(20), augment.draw(0, 1, 20, loud), loud, SILENCE)
    assert noisy.min() == 0
    assert noisy.max() == 1


def test_noise_belongs_to_the_clip_and_the_epoch() -> None:
    images, drawn = torch.rand(6, 1, 8, 8), augment.draw(0, 1, 6, NOISY)
    whole = augment.augment(images, torch.arange(6), drawn, NOISY, SILENCE)
    some = augment.augment(images, torch.tensor([4, 1]), drawn, NOISY, SILENCE)
    assert torch.equal(some, whole[[4, 1]])
    for seed, epoch in ((1, 1), (0, 2)):
        other = augment.augment(images, torch.arange(6), augment.draw(seed, epoch, 6, NOISY), NOISY, SILENCE)
        assert not torch.equal(other, whole)


def test_the_other_changes_are_drawn_alike_with_noise() -> None:
    quiet, noisy = augment.draw(0, 1, 50, AUGMENTATION), augment.draw(0, 1, 50, NOISY)
    assert torch.equal(quiet.numbers, noisy.numbers)
    assert torch.equal(quiet.partners, noisy.partners)


def test_the_default_mixes_nothing() -> None:
    images, drawn = torch.rand(5, 1, 4, 4), augment.draw(0, 1, 5, UNCHANGED)
    assert torch.equal(augment.augment(images, torch.arange(5), drawn, UNCHANGED, SILENCE), images)
    assert (drawn.weights == 1).all()


def test_the_loss_of_a_mixture_is_that_of_its_soft_labels() -> None:
    logits, weights = torch.randn(6, 3), torch.linspace(0.5, 1, 6)
    labels, others = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([1, 1, 0, 2, 0, 1])
    drawn = augment.draw(0, 1, 6, UNCHANGED)
    batch = Batch(torch.rand(6, 1, 2, 2), labels, torch.arange(6), others, weights, 1, drawn)
    own, other = nn.functional.one_hot(labels, 3), nn.functional.one_hot(others, 3)
    soft = weights[:, None] * own + (1 - weights[:, None]) * other
    loss, given = cross_entropy(nn.Flatten(), logits[:, None, None], batch, 0.1)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, soft, label_smoothing=0.1))
    assert torch.equal(given, logits)


@pytest.fixture
def card(rng: np.random.Generator) -> ModelSpec:
    return checkpoints.model_spec("resnet56", feature_store(rng))


@pytest.fixture
def written(tmp_path: Path, card: ModelSpec) -> tuple[Path, nn.Module]:
    """A model file, and the network in it."""
    path, model = tmp_path / "model.safetensors", architectures.build("resnet56", card.input_shape, 3).eval()
    checkpoints.write(path, model, card, {"epoch": "3 of 4"})
    return path, model


def test_a_model_file_gives_the_model_back(written: tuple[Path, nn.Module], card: ModelSpec) -> None:
    path, model = written
    read, images = checkpoints.read(path, card, "train@a"), torch.rand(2, 1, 32, 32)
    assert torch.equal(read(images), model(images))
    assert checkpoints.metadata(path)["epoch"] == "3 of 4"
    first = path.read_bytes()
    checkpoints.write(path, model, card, {"epoch": "3 of 4"})
    assert path.read_bytes() == first


def test_a_model_for_something_else_is_an_error(written: tuple[Path, nn.Module], card: ModelSpec) -> None:
    path, _ = written
    for other in ({"input_shape": [1, 40, 32]}, {"classes": ["a", "b", "c"]}, {"representation": "dwt"}):
        with pytest.raises(InputError, match=f"a model with {next(iter(other))} "):
            checkpoints.read(path, replace(card, **other), "train@a")
    expected = r"a model with architecture 'resnet56', not 'resnet18'; .* `dvc repro train@a`"
    with pytest.raises(InputError, match=expected):
        checkpoints.read(path, replace(card, architecture="resnet18"), "train@a")


def test_a_model_file_that_is_damaged_or_missing_is_an_error(written: tuple[Path, nn.Module], card: ModelSpec) -> None:
    path, _ = written
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
        checkpoints.read(path, card, "train@a")
    with pytest.raises(InputError, match=r"gone is missing; run `dvc repro train@a`"):
        checkpoints.read(path.with_name("gone"), card, "train@a")


def scored(*values: float) -> list[Epoch]:
    """A history of those scores, with standard errors of 0.05."""
    return [Epoch(i + 1, 1.0, 1.0, value, value, 0.05, 0.1) for i, value in enumerate(values)]


@given(st.lists(st.floats(0, 1), min_size=2))
def test_what_is_kept_can_be_chosen_as_training_goes_on(values: list[float]) -> None:
    history = scored(*values)
    assert best_epoch(history) in (best_epoch(history[:-1]), history[-1])
    assert best_epoch(history).validation_score >= max(values) - 0.05


def test_what_collapsed_is_never_kept() -> None:
    history = [replace(row, standard_error=0.6) for row in scored(0.5, 0.3, 0.2)]
    assert best_epoch(history).epoch == 2


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_the_standard_error_is_never_zero(value: float) -> None:
    assert 0.01 < Score(value, value, clips=50).standard_error < 0.08


def test_the_epoch_that_was_kept_is_told() -> None:
    history = scored(0.4, 0.8, 0.76, 0.6)
    assert summary(history) == {
        "epoch": "3 of 4",
        "validation_accuracy": "0.7600",
        "validation_score": "0.7600",
        "validation_accuracy_of_last_epoch": "0.6000",
        "validation_score_of_last_epoch": "0.6000",
    }


@pytest.mark.parametrize(
    ("accuracies", "kept"),
    [
        ({"plain": 0.8, "masks": 0.9, "noise": 0.85}, "masks"),
        ({"noise": 0.9, "plain": 0.8, "masks": 0.9}, "noise"),
        ({"masks": 0.0}, "masks"),
    ],
)
def test_the_most_accurate_baseline_is_kept_and_of_equals_the_first(accuracies: dict[str, float], kept: str) -> None:
    assert best(accuracies) == kept


@pytest.fixture
def trainable(
    rng: np.random.Generator, compute: ComputeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Cell:
    """A cell with a small network, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resnet18, "build", lambda _shape, classes: small(classes))
    return cell_of(feature_store(rng), compute)


def test_the_baseline_that_is_kept_is_told_with_its_history(
    trainable: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = iter([0.5, 0.6, 0.6, 0.5, 0.8, 0.9, 0.6, 0.6, 0.6])
    monkeypatch.setattr(baseline, "accuracy", lambda *_, **__: Score(share := next(shares), share, 1000))
    augments = {"plain": UNCHANGED, "noise": NOISY, "usual": AUGMENTATION}
    found = train_baseline(trainable, {name: baseline_recipe(each) for name, each in augments.items()})
    assert found.facts["baseline"] == "noise"
    assert list(json.loads(found.facts["baselines"]).items()) == [("plain", 0.6), ("noise", 0.9), ("usual", 0.6)]
    assert found.facts["validation_accuracy"] == "0.9000"
    assert json.loads(found.facts["augmentation"]) == NOISY.model_dump()
    history = pd.read_csv(trainable.paths.history("baseline"))
    assert history.validation_accuracy.tolist() == [0.5, 0.8, 0.9]
    lines = [line for line in capsys.readouterr().err.splitlines() if "epochs" not in line]
    assert [line.partition("fold 5: ")[2] for line in lines] == [
        "plain: validation accuracy 0.600",
        "noise: validation accuracy 0.900",
        "usual: validation accuracy 0.600",
        "noise is kept",
    ]


def test_candidates_differ_in_their_augmentation_alone(trainable: Cell) -> None:
    """So one that changes nothing comes to what it comes to by itself, and another one to something else."""
    alone = train_baseline(trainable, {"plain": baseline_recipe(UNCHANGED)})
    after = train_baseline(trainable, {"same": baseline_recipe(UNCHANGED), "plain": baseline_recipe(UNCHANGED)})
    other = train_baseline(trainable, {"noise": baseline_recipe(NOISY)})
    weights = alone.network.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in after.network.state_dict().items())
    assert not all(torch.equal(weights[name], value) for name, value in other.network.state_dict().items())
    assert after.facts["baseline"] == "same"
    assert after.facts["recipe"] == alone.facts["recipe"]
