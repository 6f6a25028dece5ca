"""One attack towards every wrong class of each clip."""

import numpy as np
import pandas as pd
import pytest
import torch

from stages.attacks.ddn import DDN
from stages.core.compute import ComputeParams
from stages.evaluation import all_targets
from stages.models.victim import Victim
from stages.reporting.target_comparison import as_text
from stages.stores.perturbations import ratio
from tests.attack_helpers import attacked, network, to_attack

CLASSES = ("dog", "rain", "siren")


def test_each_clip_is_aimed_at_every_class_but_its_own(rng: np.random.Generator) -> None:
    inputs = to_attack(torch.from_numpy(rng.random((2, 1, 4, 4), np.float32)), torch.ones(2, dtype=torch.int64))
    repeated = all_targets.towards_each(inputs, 3)
    assert repeated.clips.tolist() == ["clip0", "clip0", "clip1", "clip1"]
    assert repeated.targets.tolist() == [1, 2, 1, 2]
    assert torch.equal(repeated.clean[1], inputs.clean[0])
    assert torch.equal(repeated.seeds, inputs.seeds.repeat_interleave(2))


def test_the_easiest_class_and_the_mean() -> None:
    costs = [0.01, 0.03, np.inf, 0.02]
    table = pd.DataFrame({"clip": ["a", "a", "b", "b"], "recording": ["r", "r", "s", "s"], "cost": costs})
    found = all_targets.compare(table, budget=0.015)
    assert (found["easiest"]["clips"], found["easiest"]["fooling_rate"]) == (2, 0.5)
    assert found["mean"]["fooling_rate"] == 0.25
    assert found["easiest"]["cost_median"] == 0.01
    assert found["mean"]["cost_median"] == pytest.approx(0.02)
    assert all_targets.compare(table[2:], budget=0.015)["mean"].get("cost_median") is None


def test_the_easiest_class_costs_no_more_than_any(rng: np.random.Generator, compute: ComputeParams) -> None:
    victim = Victim(network(), compute)
    images = torch.from_numpy(rng.random((4, 1, 16, 16), np.float32))
    inputs = to_attack(images, torch.ones(4, dtype=torch.int64))
    inputs.labels.copy_(victim.predict(images).cpu())
    found = attacked(all_targets.towards_each(inputs, 3), victim, DDN.of_steps(20))
    table = all_targets.tabulate(found, inputs.clips.repeat(2), CLASSES)
    assert (table["class"] != table["target"]).all()
    assert table.groupby("clip")["target"].nunique().eq(2).all()
    compared = all_targets.compare(table, budget=1.0)
    assert compared["easiest"]["fooling_rate"] >= compared["mean"]["fooling_rate"]
    assert compared["easiest"]["cost_median"] == table.groupby("clip")["cost"].min().sort_values().iloc[1]


def test_costs_of_sounds_are_told_in_decibels() -> None:
    found = {"mean": {"clips": 4, "fooling_rate": 0.25, "cost_median": ratio(20.0)}}
    assert (
        as_text(found, "snr", ratio(30.0))
        == "mean of classes: 25.0 % of 4 clips within an SNR of 30 dB, median 20.0 dB\n"
    )
