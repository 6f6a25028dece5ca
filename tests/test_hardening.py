"""Defenses: their adversaries, their losses against the papers' formulas, and hardening with them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from stages import defenses
from stages.core import plugins
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.paths import CellPaths
from stages.defenses.base import Defense
from stages.defenses.base.awp import displaced
from stages.defenses.base.hardening import require_one_process
from stages.defenses.base.objective import Hardening, HardenParams, draw_crafted, random_targets
from stages.defenses.base.selection import SelectionParams, selection_score
from stages.defenses.fast import Fast
from stages.defenses.free import Free
from stages.defenses.mart import MART
from stages.defenses.none import Control
from stages.defenses.pgd import PGD
from stages.defenses.trades import TRADES
from stages.models.cell import Cell
from stages.stores.splits import Split
from stages.training import augment
from stages.training.batches import Batch, TrainingData
from stages.training.history import Epoch, overfits_catastrophically
from stages.training.loop import Score
from tests.helpers import feature_store
from tests.training_helpers import PLAIN, UNCHANGED, fit, recipe, small, taught

NAMES = plugins.names("stages.defenses")
each = pytest.mark.parametrize("name", NAMES)
EPS = 0.05
ANY = Fast(eps=EPS, rel_stepsize=1.0)


@pytest.fixture
def data(rng: np.random.Generator, compute: ComputeParams) -> TrainingData:
    return taught(feature_store(rng), compute)


def batch_of(data: TrainingData) -> Batch:
    return next(data.batches(1, torch.device("cpu"), 0))


def hardening(data: TrainingData, defense: Defense, awp_gamma: float = 0.0, share: float = 0.25) -> Hardening:
    selection = SelectionParams(eps=EPS, steps=2, rel_stepsize=0.5)
    settings = HardenParams(
        method="any", start="baseline", crafted_share=share, awp_gamma=awp_gamma, train=recipe(), selection=selection
    )
    crafted = (data.images + 0.01).clamp(0, 1)
    exists = torch.arange(len(data.images)) % 2 == 0
    return Hardening(defense, crafted, exists, settings, replace(data, steps_per_batch=defense.steps_per_batch))


@pytest.mark.usefixtures("workdir")
@each
def test_adversaries_are_in_range_and_leave_the_model(name: str, data: TrainingData) -> None:
    model, batch = small(), batch_of(data)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    made = defenses.load(name).adversaries(model, batch, (batch.labels + 1) % 3, data)
    assert made.shape == batch.images.shape
    assert made.min() >= 0
    assert made.max() <= 1
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


@dataclass(frozen=True)
class Made:
    """What the adversaries of a batch come to, against the network as it was then; a row a clip."""

    epoch: int
    replay: int
    distances: Tensor
    """Largest change of a pixel."""
    label: Tensor
    """Rise of the label's probability; negative where they attack it."""
    target: Tensor
    """Rise of the target's probability."""
    label_by_noise: Tensor
    """Rise of the label's probability by random signs of the defense's budget."""


def measure(network: nn.Module, made: Tensor, batch: Batch, targets: Tensor, eps: float) -> Made:
    noise = torch.randn(made.shape, generator=torch.Generator().manual_seed(0)).sign()
    noisy, rows = (batch.images + eps * noise).clamp(0, 1), torch.arange(len(made))
    with torch.no_grad():
        clean, attacked, disturbed = (network.eval()(each).softmax(1) for each in (batch.images, made, noisy))
    return Made(
        epoch=batch.epoch,
        replay=batch.replay,
        distances=(made.detach() - batch.images).abs().flatten(1).amax(1),
        label=(attacked - clean)[rows, batch.labels],
        target=(attacked - clean)[rows, targets],
        label_by_noise=(disturbed - clean)[rows, batch.labels],
    )


def watch(defense: Defense, monkeypatch: pytest.MonkeyPatch) -> list[Made]:
    """Have the adversaries measured that a defense makes from here on."""
    seen, kind = [], type(defense)
    make = kind.adversaries

    def watched(self: Defense, network: nn.Module, batch: Batch, targets: Tensor, data: TrainingData) -> Tensor:
        made = make(self, network, batch, targets, data)
        seen.append(measure(network, made, batch, targets, getattr(defense, "eps", 0.0)))
        return made

    monkeypatch.setattr(kind, "adversaries", watched)
    return seen


def require_adversaries(defense: Defense, seen: list[Made]) -> None:
    """Where a defense has a budget, its adversaries keep to it and attack; where it has none, there are none."""
    eps = getattr(defense, "eps", 0.0)
    assert all(float(made.distances.max()) <= eps + 1e-6 for made in seen)
    # In the last epoch the network tells the classes apart; what is replayed first begins at the clips themselves.
    attacks = [made for made in seen if eps and made.epoch == 4 and made.replay == defense.steps_per_batch - 1]
    assert len(attacks) == (7 if eps else 0)
    for made in attacks:
        assert (made.distances > eps / 2).all()
        assert made.label.mean() < min(2 * float(made.label_by_noise.mean()), -0.01)
        assert isinstance(defense, Free) or (made.target > 0).all(), "free attacks the label alone"


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("awp_gamma", [0.0, 0.01])
@each
def test_hardening_learns_from_adversaries_and_repeats(
    name: str, awp_gamma: float, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> tuple[nn.Module, list[Epoch]]:
        torch.manual_seed(0)
        model, loss = small(), hardening(data, defenses.load(name), awp_gamma)
        return model, fit(model, loss.data, loss=loss)

    again, history = run()
    defense = defenses.load(name)
    seen = watch(defense, monkeypatch)
    model, _ = run()
    assert history[-1].loss < history[0].loss
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), again.parameters(), strict=True))
    require_adversaries(defense, seen)


@pytest.mark.usefixtures("workdir")
@each
def test_gradients_reach_the_weights(name: str, data: TrainingData) -> None:
    model = small()
    loss, logits = hardening(data, defenses.load(name), awp_gamma=0.01)(model, batch_of(data))
    torch.autograd.backward(loss)
    assert logits.shape == (8, 3)
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def test_pgd_stays_in_its_budget_and_nears_the_target(data: TrainingData) -> None:
    torch.manual_seed(0)
    model, batch = small(), batch_of(data)
    targets = (batch.labels + 1) % 3
    made = PGD(eps=EPS, steps=3, rel_stepsize=0.5).adversaries(model, batch, targets, data)
    assert (made - batch.images).abs().max() <= EPS + 1e-6

    def loss(images: Tensor) -> Tensor:
        return functional.cross_entropy(model.eval()(images), targets)

    assert loss(made) < loss(batch.images)


def test_fast_starts_from_noise_of_the_clip_and_epoch(data: TrainingData) -> None:
    model, batch = small(), batch_of(data)
    defense, targets = Fast(eps=EPS, rel_stepsize=1.25), (batch.labels + 1) % 3
    made = defense.adversaries(model, batch, targets, data)
    assert (made - batch.images).abs().max() <= EPS + 1e-6
    some = torch.arange(8) >= 3
    torch.testing.assert_close(defense.adversaries(model, batch.select(some), targets[some], data), made[some])
    later = defense.adversaries(model, replace(batch, epoch=2), targets, data)
    assert not torch.equal(later, made)


def test_free_climbs_with_the_gradient_of_the_weights(data: TrainingData) -> None:
    model, batch, defense = small(), batch_of(data), Free(eps=EPS, replays=3)
    first = defense.adversaries(model, batch, batch.labels, data)
    assert torch.equal(first, batch.images)
    (gradient,) = torch.autograd.grad(functional.cross_entropy(model(first), batch.labels), first)
    second = defense.adversaries(model, replace(batch, replay=1), batch.labels, data)
    torch.testing.assert_close(second, (batch.images + EPS * gradient.sign()).clamp(0, 1))
    assert torch.equal(defense.adversaries(model, batch, batch.labels, data), batch.images)


def test_free_trains_on_each_batch_so_many_times(data: TrainingData) -> None:
    seen, objective = [], hardening(data, Free(eps=EPS, replays=3), share=0)

    def recorded(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        seen.append((batch.indices.tolist(), batch.replay))
        return objective(model, batch)

    fit(small(), objective.data, loss=recorded)
    assert len(seen) == 4 * 7 * 3
    assert [replay for _, replay in seen[:6]] == [0, 1, 2, 0, 1, 2]
    assert seen[0][0] == seen[2][0] != seen[3][0]


def distributions(model: nn.Module, batch: Batch, adversarial: Tensor) -> tuple[Tensor, Tensor]:
    return model(batch.images).softmax(1), model(adversarial).softmax(1)


def test_trades_is_its_formula(data: TrainingData) -> None:
    model, batch = small(), batch_of(data)
    adversarial = torch.rand_like(batch.images)
    loss, _ = TRADES(eps=EPS, steps=1, rel_stepsize=1, beta=3).loss(model, adversarial, batch, 0.0)
    clean, attacked = distributions(model, batch, adversarial)
    expected = -clean[torch.arange(8), batch.labels].log() + 3 * (clean * (clean / attacked).log()).sum(1)
    torch.testing.assert_close(loss, expected.mean(), rtol=1e-4, atol=1e-5)


def test_mart_is_its_formula(data: TrainingData) -> None:
    model, batch = small(), batch_of(data)
    adversarial, rows = torch.rand_like(batch.images), torch.arange(8)
    loss, _ = MART(eps=EPS, steps=1, rel_stepsize=1, weight=4).loss(model, adversarial, batch, 0.0)
    clean, attacked = distributions(model, batch, adversarial)
    wrong = attacked.clone()
    wrong[rows, batch.labels] = 0
    boosted = -attacked[rows, batch.labels].log() - (1 - wrong.max(1).values).log()
    divergence = (clean * (clean / attacked).log()).sum(1)
    expected = boosted + 4 * divergence * (1 - clean[rows, batch.labels])
    torch.testing.assert_close(loss, expected.mean(), rtol=1e-4, atol=1e-5)


def test_mart_has_gradients_where_probabilities_vanish(data: TrainingData) -> None:
    """A gap of 200 between logits: the probability of the others is 0 in float32."""
    model, batch = Firm(1), batch_of(data)
    model.bias.data *= 200
    loss, _ = MART(eps=EPS, steps=1, rel_stepsize=1, weight=4).loss(model, batch.images, batch, 0.0)
    (gradient,) = torch.autograd.grad(loss, model.bias)
    assert gradient.isfinite().all()


def test_weights_are_displaced_uphill_by_their_share(data: TrainingData) -> None:
    model, batch = small().eval(), batch_of(data)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    def loss(network: nn.Module) -> Tensor:
        return functional.cross_entropy(network(batch.images), batch.labels)

    moved = displaced(model, loss, 0.05)
    assert loss(moved) > loss(model)
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    for name, weight in moved.weights.items():
        assert float((weight - before[name]).detach().norm()) == pytest.approx(
            0.05 * float(before[name].norm()), rel=1e-4
        )


def test_several_processes_cannot_perturb_weights(data: TrainingData) -> None:
    settings = hardening(data, PGD(eps=EPS, steps=1, rel_stepsize=1), awp_gamma=0.01).settings
    with pytest.raises(
        InputError, match=r"harden\.awp_gamma: must be 0 where 2 processes train together.*; found 0\.01"
    ):
        require_one_process(settings, data.compute.model_copy(update={"devices": 2}))


@pytest.mark.usefixtures("workdir")
def test_the_control_takes_no_crafted_clips(data: TrainingData) -> None:
    batch = batch_of(data)
    control, augment = (hardening(data, defenses.load(name), share=1.0) for name in ("none", "augment"))
    assert torch.equal(control.adversarial(small(), batch), batch.images)
    changed = (augment.adversarial(small(), batch) - batch.images).abs().flatten(1).amax(1) > 0
    assert torch.equal(changed, augment.exists[batch.indices])


class Firm(nn.Module):
    """Puts every clip in one class, whatever it is shown; keeps a gradient."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(nn.functional.one_hot(torch.tensor(label), 3).float())

    def forward(self, images: Tensor) -> Tensor:
        return self.bias + 0 * images.mean(dim=(1, 2, 3))[:, None]


class Fleeing(nn.Module):
    """Right on clean clips alone: what is changed is put in the last class but the target's and its own."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        super().__init__()
        self.images, self.labels = images.flatten(1), labels

    def forward(self, images: Tensor) -> Tensor:
        distance = torch.cdist(images.flatten(1), self.images)
        own = functional.one_hot(self.labels[distance.argmin(1)], 4).float()
        fled = functional.one_hot(torch.tensor(3), 4).float().expand_as(own)
        changed = (distance.amin(1, keepdim=True) > 1e-3).float()
        return torch.lerp(own, fled, changed) + 1e-3 * images.mean(dim=(1, 2, 3))[:, None] * torch.arange(4.0)


def score_of(model: nn.Module, rng: np.random.Generator, compute: ComputeParams, defense: Defense = ANY) -> Score:
    made = replace(feature_store(rng, clips=12), classes=("a", "b", "c", "d"))
    whole = np.arange(12)
    cell = Cell(CellPaths("stft", "resnet18", 1), made, Split(whole, whole, whole), 0, compute)
    return selection_score(defense, SelectionParams(eps=EPS, steps=2, rel_stepsize=0.5), cell)(model.eval())


def test_the_score_counts_clips_that_stay_right(rng: np.random.Generator, compute: ComputeParams) -> None:
    made = feature_store(np.random.default_rng(0), clips=12)
    fleeing = Fleeing(torch.from_numpy(made.features), torch.from_numpy(made.labels))
    assert score_of(fleeing, np.random.default_rng(0), compute) == Score(value=0.0, accuracy=1.0, clips=12)
    control = score_of(fleeing, np.random.default_rng(0), compute, Control())
    assert control == Score(value=1.0, accuracy=1.0, clips=12)
    firm = score_of(Firm(1), rng, compute)
    assert firm.value == firm.accuracy == pytest.approx(1 / 3)


def test_the_score_of_a_model_that_is_always_wrong(rng: np.random.Generator, compute: ComputeParams) -> None:
    never = nn.Sequential(Firm(0), nn.ConstantPad1d((3, 0), 0.0))
    assert score_of(never, rng, compute) == Score(value=0.0, accuracy=0.0, clips=12)


def rows(*values: tuple[float, float]) -> list[Epoch]:
    return [Epoch(i + 1, 0.1, accuracy, 0.5, score, 0.05, 0.1) for i, (accuracy, score) in enumerate(values)]


def test_a_collapse_is_a_falling_score_at_rising_accuracy() -> None:
    assert overfits_catastrophically(rows((0.5, 0.6), (0.7, 0.2)))
    assert not overfits_catastrophically(rows((0.5, 0.6), (0.7, 0.4)))
    assert not overfits_catastrophically(rows((0.7, 0.6), (0.5, 0.2)))
    assert not overfits_catastrophically(rows((0.5, 0.0)))
    assert overfits_catastrophically(rows((0.5, 0.6), (0.9, 0.2), (0.8, 0.2))), (
        "again, from the weights of the first epoch"
    )


def test_a_collapse_is_taken_back(data: TrainingData, capsys: pytest.CaptureFixture[str]) -> None:
    judged: list[Tensor] = []
    begun: dict[int, Tensor] = {}
    scores: Iterator[float] = iter([0.8, 0.1, 0.7, 0.6])

    def score(model: nn.Module) -> Score:
        judged.append(nn.utils.parameters_to_vector(model.parameters()))
        return Score(next(scores), 0.5, 100)

    def recorded(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        begun.setdefault(batch.epoch, nn.utils.parameters_to_vector(model.parameters()))
        return PLAIN(model, batch)

    fit(small(), data, score, recorded, rollback=lambda history: len(history) == 2)
    assert "epoch 2: the score fell to 0.100" in capsys.readouterr().err
    assert torch.equal(begun[2], judged[0])
    assert torch.equal(begun[3], judged[0])
    assert torch.equal(begun[4], judged[2])


def test_crafted_clips_are_drawn_per_clip() -> None:
    exists = torch.tensor([True] * 500 + [False] * 500)

    def batch(indices: Tensor) -> Batch:
        images, labels, drawn = (
            torch.zeros(len(indices), 1, 1, 1),
            indices % 3,
            augment.draw(0, 1, 1000, UNCHANGED),
        )
        return Batch(images, labels, indices, labels, torch.ones(len(indices)), 1, drawn)

    chosen = draw_crafted(batch(torch.arange(1000)), exists, 0.25, 0)
    assert 0.18 < chosen[:500].float().mean() < 0.32
    assert not chosen[500:].any()
    assert torch.equal(draw_crafted(batch(torch.arange(10, 20)), exists, 0.25, 0), chosen[10:20])
    targets = random_targets(batch(torch.arange(1000)), 3, 1000, 0)
    assert (targets != torch.arange(1000) % 3).all()
