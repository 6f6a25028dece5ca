"""One attack towards every wrong class of each clip."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
import torch

from stages.attacks.base.domains import IMAGE
from stages.attacks.ddn import DDN
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.paths import CellPaths
from stages.evaluation import all_targets
from stages.evaluation.attacked import Attacked
from stages.models.cell import Cell
from stages.models.victim import Victim
from stages.reporting.target_comparison import as_text
from stages.stores.perturbations import ratio
from tests.attack_helpers import attacked, network, settings_of, to_attack

CLASSES = ("dog", "rain", "siren")


def test_each_clip_is_aimed_at_every_class_but_its_own(rng: np.random.Generator) -> None:
    inputs = to_attack(torch.from_numpy(rng.random((3, 1, 4, 4), np.float32)), torch.ones(3, dtype=torch.int64))
    inputs.labels.copy_(torch.arange(3))
    aimed = [all_targets.aimed_beside(inputs, offset, 3).targets.tolist() for offset in (1, 2)]
    assert aimed == [[1, 2, 0], [2, 0, 1]]


def test_a_model_that_gets_nothing_right_is_an_error(compute: ComputeParams) -> None:
    inputs = to_attack(torch.zeros(2, 1, 4, 4), torch.ones(2, dtype=torch.int64))
    inputs.eligible.fill_(False)
    found = Attacked(
        domain=IMAGE,
        victim=Victim(network(), compute),
        inputs=inputs,
        groups=inputs.clips,
        attacks={},
        baseline={},
        budgets={"linf": 0.02},
    )
    cell = cast("Cell", SimpleNamespace(paths=CellPaths("stft", "resnet18", 1)))
    with pytest.raises(InputError, match="the hardened model of stft resnet18 fold 1 gets no test clip right"):
        all_targets.attack_all(cell, "hardened", found, "ddn", settings_of())


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
    ddn = DDN.of_steps(20)
    found = [attacked(all_targets.aimed_beside(inputs, offset, 3), victim, ddn) for offset in (1, 2)]
    table = pd.concat([all_targets.tabulate(each, inputs.clips, CLASSES) for each in found])
    assert (table["class"] != table["target"]).all()
    assert table.groupby("clip")["target"].nunique().eq(2).all()
    budget = float(table["cost"].quantile(0.4))
    compared, costs = all_targets.compare(table, budget), table.groupby("clip")["cost"]
    assert compared["easiest"]["fooling_rate"] == (costs.min() <= budget).mean()
    assert compared["mean"]["fooling_rate"] == (table["cost"] <= budget).mean()
    assert 0 < compared["mean"]["fooling_rate"] < compared["easiest"]["fooling_rate"]
    assert compared["easiest"]["cost_median"] == costs.min().sort_values().iloc[1]


def test_costs_of_sounds_are_told_in_decibels() -> None:
    found = {"mean": {"clips": 4, "fooling_rate": 0.25, "cost_median": ratio(20.0)}}
    assert (
        as_text(found, "snr", ratio(30.0))
        == "mean of classes: 25.0 % of the wrong classes of 4 clips within an SNR of 30 dB, median 20.0 dB\n"
    )
