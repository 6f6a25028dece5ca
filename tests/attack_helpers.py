"""What several tests of attacks share."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from stages.attacks.base import Attack, AttackParams, SearchParams
from stages.attacks.base.domains import IMAGE
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.run import AttackRun
from stages.models.victim import Victim, predictions
from stages.stores.adversarial import Adversarial
from stages.stores.features import Features

SEARCH = SearchParams(start=0.02, smallest=0.001, factor=4.0, tolerance=0.1)


def settings_of(tuning_clips: int = 24, max_levels: int = 3) -> AttackParams:
    """What all attacks share, with some number of clips to tune on."""
    return AttackParams(
        eps=0.02,
        eps_l2=0.02,
        eps_l1=0.01,
        snr=30.0,
        chromagram="frozen",
        expectation=[],
        fooling_rate=0.9,
        tuning_clips=tuning_clips,
        max_levels=max_levels,
        search=SEARCH,
    )


def network(channels: int = 8) -> nn.Module:
    """An untrained network with batch norm, for three classes: the same at every call."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, channels, 5, stride=2),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16 * channels, 3),
    ).eval()


def labelled_as_predicted(features: Features, victim: Victim, right: int | None = None) -> Features:
    """Labels by which the victim gets the first `right` clips right, or all, and the others wrong."""
    predicted, classes = predictions(victim, features.features), len(features.classes)
    correct = np.arange(len(predicted)) < (len(predicted) if right is None else right)
    return replace(features, labels=np.where(correct, predicted, (predicted + 1) % classes))


def to_attack(images: Tensor, targets: Tensor, starts: Tensor | None = None) -> AttackInputs:
    """Clips that are all eligible, of class 0."""
    count = len(images)
    return AttackInputs(
        domain=IMAGE,
        clips=np.array([f"clip{row}" for row in range(count)], dtype=str),
        clean=images,
        labels=torch.zeros(count, dtype=torch.int64),
        targets=targets,
        eligible=torch.ones(count, dtype=torch.bool),
        seeds=torch.arange(count),
        starts=images if starts is None else starts,
    )


def attack_run(inputs: AttackInputs, victim: Victim, attack: Attack, what: str = "attack") -> AttackRun:
    """A whole attack, to be run and to be done with."""
    return AttackRun(what=what, victim=victim, inputs=inputs, attack=attack, search=SEARCH)


def attacked(inputs: AttackInputs, victim: Victim, attack: Attack, what: str = "attack") -> Adversarial:
    """What a whole attack finds, which leaves nothing behind."""
    run = attack_run(inputs, victim, attack, what)
    found = run.adversarial({})
    run.done()
    return found
