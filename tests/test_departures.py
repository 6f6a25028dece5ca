"""What leaves its class as sound, by descents, by white noise, and what channels leave of an attack."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.attacks.base import SearchParams
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.sound_domain import LEAD, heard
from stages.attacks.sound_ddn import SoundDDN
from stages.core.compute import ComputeParams
from stages.evaluation import diagnostics, harder_attacks, rules, survival
from stages.evaluation import sound_departures as departures
from stages.evaluation.attacked import Attacked
from stages.evaluation.stored_attacks import StoredAttack
from stages.models.victim import Victim
from stages.stores.perturbations import ratio
from tests.attack_helpers import attacked as attack
from tests.sound_helpers import DOMAIN, Deaf, Tilt, directly, sounds, towards, victim

SEARCH = SearchParams(start=ratio(30), smallest=0.001, factor=4.0, tolerance=0.1)


def of_model(model: Victim, inputs: AttackInputs, **attacks: StoredAttack) -> Attacked:
    """A model in the domain of sounds."""
    return Attacked(
        domain=DOMAIN,
        victim=model,
        inputs=inputs,
        groups=inputs.clips,
        attacks=attacks,
        baseline={},
        budgets={"snr": ratio(30)},
    )


def test_departures_of_a_linear_model(rng: np.random.Generator, compute: ComputeParams) -> None:
    model = directly(Tilt(threshold=0.01), compute)
    inputs = towards(model, sounds(rng, 6), target=1)
    wrong = replace(inputs, eligible=torch.arange(len(inputs)) > 0)
    found = departures.sound_departures(of_model(model, wrong))
    waveforms = heard(inputs.clean)
    lacks = 0.01 + LEAD / 200 - (waveforms * Tilt().signs).mean(1)
    least = (lacks / waveforms.square().mean(1).sqrt()).numpy()
    assert found[0] == 0
    assert (found[1:] >= 0.99 * least[1:]).all()
    assert (found[1:] <= 1.3 * least[1:])[least[1:] < 0.5].all()
    assert (least[1:] < 0.5).any()


class Corners(nn.Module):
    """Of three classes: the first for quiet sounds, the others for a mean above or below zero by different amounts."""

    def forward(self, inputs: Tensor) -> Tensor:
        mean = 100 * heard(inputs).mean(1)
        return torch.stack([torch.zeros_like(mean), mean - 8, -mean - 1], 1)


def test_sounds_are_aimed_at_each_other_class(rng: np.random.Generator, compute: ComputeParams) -> None:
    """Whichever class is nearer, it is found, though a descent may have been made towards the other."""
    model = directly(Corners(), compute)
    inputs = towards(model, sounds(rng, 3), target=1)
    assert (inputs.labels == 0).all()
    nothing = torch.full((3,), torch.inf)
    found = departures.towards_others(model, inputs, nothing.clone(), 1.0)
    direct = SoundDDN.of_steps(departures.STEPS_TOWARDS).costs(model, replace(inputs, targets=torch.full((3,), 2)))
    torch.testing.assert_close(found, direct, rtol=0.05, atol=0)
    for known, budget in ((torch.full((3,), ratio(121)), ratio(120)), (nothing, ratio(120)), (torch.zeros(3), 1.0)):
        assert torch.equal(departures.towards_others(model, inputs, known.clone(), budget), known)


def test_sounds_that_more_effort_fools_are_counted(rng: np.random.Generator, compute: ComputeParams) -> None:
    model = directly(Tilt(threshold=0.01), compute)
    inputs = towards(model, sounds(rng, 8), target=1)
    nothing, all_found = np.full(len(inputs), np.inf, np.float32), np.full(len(inputs), 0.01, np.float32)
    missed = harder_attacks.of_fresh_sounds(model, inputs, nothing, 0.9, 20)
    assert missed["effort_converged"] == 1
    assert rules.judge(missed, "baseline")["effort_converged"] == 0
    assert harder_attacks.of_fresh_sounds(model, inputs, nothing, 1e-6, 20)["effort_converged"] == 0
    within = harder_attacks.of_fresh_sounds(model, inputs, all_found, 0.9, 20)
    assert within["effort_converged"] == 0
    assert "sound_locally_optimal" in within, "measured where every sound is within the budget too"


def test_gradients_of_sounds_are_alive(rng: np.random.Generator, compute: ComputeParams) -> None:
    clips = sounds(rng, 4)
    for model, alive in ((victim(compute), 1.0), (directly(Deaf(), compute), 0.0)):
        assert diagnostics.of_gradients(model, towards(model, clips))["gradients_alive"] == alive


def test_noise_moves_more_the_louder_it_is(rng: np.random.Generator, compute: ComputeParams) -> None:
    # Silence is class 0, and any noise changes what it is taken for.
    model = directly(Tilt(threshold=1e-3), compute)
    inputs = towards(model, sounds(rng, 30))
    curve = departures.noise_curve(of_model(model, inputs))
    assert curve.snr.iloc[0] > curve.snr.iloc[-1] == 0
    assert curve.noise.iloc[0] == 0
    assert curve.noise.iloc[-1] > 0.1
    again = departures.noise_curve(of_model(model, inputs))
    assert curve.equals(again)


def test_without_a_clip_that_is_right_there_is_nothing_to_move(
    rng: np.random.Generator, compute: ComputeParams
) -> None:
    model = victim(compute)
    inputs = towards(model, sounds(rng, 4))
    none = of_model(model, replace(inputs, eligible=torch.zeros(len(inputs), dtype=torch.bool)))
    assert departures.sound_departures(none).tolist() == [0] * len(inputs)
    assert departures.noise_curve(none).noise.isna().all()
    assert survival.survival(none, seed=0)["wav"] == {}


def test_what_survives_channels(
    rng: np.random.Generator, compute: ComputeParams, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    model, ddn = victim(compute), SoundDDN(steps=30, rel_stepsize=0.5, gamma=0.1, first_snr=30, schedule={})
    inputs = towards(model, sounds(rng, 8))
    store = attack(inputs, model, ddn)
    found = survival.survival(of_model(model, inputs, sound_ddn=StoredAttack(store, ddn)), seed=0)
    assert store.success.sum() > 1
    # What is stored has 16 bits: a file of as many changes nothing.
    for name in ("wav", "flac"):
        assert found[name]["sound_ddn"]["survival_rate"] == 1
        assert found[name]["accuracy"] == 1
    assert min(each["sound_ddn"]["survival_rate"] for each in found.values()) < 1
    assert all(
        set(each["sound_ddn"]) == {f"survival_rate{end}" for end in ("", "_low", "_high")} for each in found.values()
    )
