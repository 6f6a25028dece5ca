"""What several tests call."""

from pathlib import Path

import numpy as np

from stages.stores import perturbations
from stages.stores.adversarial import Adversarial
from stages.stores.features import Features
from stages.stores.perturbations import Norm

ROOT = Path(__file__).parent.parent


def feature_store(rng: np.random.Generator, clips: int = 60, classes: int = 3) -> Features:
    """A feature store of blobs that are easy to tell apart; five folds, groups of two clips."""
    labels = np.arange(clips) // 2 % classes
    images = 0.3 * rng.random((clips, 1, 32, 32), np.float32)
    for image, label in zip(images, labels, strict=True):
        image[0, 10 * label : 10 * label + 8] += 0.5
    groups = np.array([f"g{index // 2}" for index in range(clips)])
    return Features(
        features=images,
        variants=np.zeros((clips, 0, 32, 32), np.float32),
        labels=labels.astype(np.int64),
        folds=(np.arange(clips) // (2 * classes) % 5 + 1).astype(np.int64),
        clips=np.array([f"clip{index:03d}" for index in range(clips)]),
        groups=groups,
        classes=tuple(f"class{index}" for index in range(classes)),
        representation="stft",
        parameters="{}",
        audio="{}",
        silence=np.zeros(32, np.float32),
    )


def attack_store(costs: list[float], clips: int = 6) -> Adversarial:
    """An adversarial store of grey clips, each brightened by its cost; infinite where the attack failed."""
    cost = np.array(costs, np.float32)
    success = np.isfinite(cost)
    clean = np.full((clips, 1, 32, 32), 0.5, np.float32)
    adversarial = clean + np.where(success, cost, 0)[:, None, None, None].astype(np.float32)
    norms: tuple[Norm, ...] = ("linf", "l2", "l1", "l0")
    return Adversarial(
        clip=np.array([f"clip{i}" for i in range(clips)]),
        label=np.zeros(clips, np.int64),
        target=np.ones(clips, np.int64),
        eligible=np.ones(clips, bool),
        success=success,
        cost=cost,
        sizes={norm: perturbations.size(clean, adversarial, norm) for norm in norms},
        queries=np.ones(clips, np.int64),
        clean=clean,
        adversarial=adversarial,
        attributes={
            "domain": "image",
            "norm": "linf",
            "tuning_clips": 4,
            "levels": 0,
            "reached": True,
            "converged": True,
        },
    )
