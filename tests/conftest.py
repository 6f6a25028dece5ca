"""What several tests need."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.audio.decoding import AudioParams, Waveform, load
from stages.core import params
from stages.core.compute import ComputeParams
from stages.stores import perturbations
from stages.stores.adversarial import Adversarial
from stages.stores.features import Features

ROOT = Path(__file__).parent.parent

RECORDINGS = ROOT.parent / "shared/data/ESC-10"
"""Real clips, where they lie beside the repository."""


def recordings(sample_rate: int, duration: float) -> list[Waveform]:
    """One real clip of each class; the test is skipped where there are none."""
    if not RECORDINGS.exists():
        pytest.skip("the recordings are not beside the repository")
    settings = AudioParams(sample_rate=sample_rate, duration=duration)
    return [load(file, settings) for file in sorted(RECORDINGS.rglob("*.ogg"))[7::40]]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def compute() -> ComputeParams:
    return ComputeParams(device="cpu", devices=1, nodes=1, precision="float32", workers=1, batch_size=64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder with the repository's params.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    params._document.cache_clear()
    yield tmp_path
    params._document.cache_clear()


@pytest.fixture(autouse=True)
def _reset_torch() -> Iterator[None]:
    yield
    if torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(False)


def store(rng: np.random.Generator, clips: int = 60, classes: int = 3) -> Features:
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
    )


def attack_store(costs: list[float], clips: int = 6) -> Adversarial:
    """An adversarial store of grey clips, each brightened by its cost; infinite where the attack failed."""
    cost = np.array(costs, np.float32)
    success = np.isfinite(cost)
    clean = np.full((clips, 1, 8, 8), 0.5, np.float32)
    adversarial = clean + np.where(success, cost, 0)[:, None, None, None].astype(np.float32)
    sizes = perturbations.sizes(clean, adversarial)
    return Adversarial(
        clip=np.array([f"clip{i}" for i in range(clips)]),
        label=np.zeros(clips, np.int64),
        target=np.ones(clips, np.int64),
        eligible=np.ones(clips, bool),
        success=success,
        cost=cost,
        size_linf=sizes.linf,
        size_l2=sizes.l2,
        size_l1=sizes.l1,
        queries=np.ones(clips, np.int64),
        clean=clean,
        adversarial=adversarial,
        attributes={
            "seconds": 1.5,
            "norm": "linf",
            "tuning_clips": 4,
            "doublings": 0,
            "reached": True,
            "converged": True,
        },
    )
