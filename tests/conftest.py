"""Options and fixtures of the tests.

They run side by side, a process a core: each computes on one thread, and so do the stages that it starts. PyTorch reads
that when it is imported; the benchmarks, which are no tests, take all cores.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.audio.decoding import AudioParams, Waveform, load
from stages.core.compute import ComputeParams
from tests.helpers import ROOT


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--recordings",
        type=Path,
        default=ROOT.parent / "shared/data/ESC-10",
        help="folder of real recordings, a folder a class; tests that need them are skipped where it is not there",
    )


@pytest.fixture
def recordings(request: pytest.FixtureRequest) -> Callable[[int, float], list[Waveform]]:
    """Reads one real clip of each class, at a sample rate, in Hz, and of a duration, in seconds."""
    folder: Path = request.config.getoption("recordings")
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}: name their folder by --recordings")

    def read(sample_rate: int, duration: float) -> list[Waveform]:
        settings = AudioParams(sample_rate=sample_rate, duration=duration)
        return [load(file, settings) for file in sorted(folder.rglob("*.ogg"))[7::40]]

    return read


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def compute() -> ComputeParams:
    return ComputeParams(device="cpu", devices=1, nodes=1, precision="float32", workers=1, batch_size=64)


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the repository's params.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


@pytest.fixture(autouse=True)
def _reset_torch() -> Iterator[None]:
    yield
    if torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(False)
