"""Several processes that train one model."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from stages import architectures, hardware, learning, processes, train
from stages.compute import ComputeParams
from stages.console import InputError
from stages.learning import Record, Score
from stages.resumption import scratch
from tests.conftest import ROOT, store
from tests.test_learning import taught

PROGRAM = "from tests.test_processes import learn; learn(2)"


def learn(devices: int) -> nn.Module:
    """Train a network with batch normalisation in the working folder; the first process writes its weights.

    No bias comes before the normalisation: its gradient is rounding alone, which AdamW would make steps of.
    """
    compute = ComputeParams(device="cpu", devices=devices, nodes=1, precision="float32", workers=1, batch_size=64)
    hardware.repeatable(0)
    flat = [nn.ReLU(), nn.Flatten(), nn.Linear(196, 3)]
    model = architectures.normalised(nn.Sequential(nn.Conv2d(1, 4, 5, stride=4, bias=False), nn.BatchNorm2d(4), *flat))
    lesson = taught(store(np.random.default_rng(0)), compute, learning_rate=0.001)
    with scratch("run", *lesson.made_from, model) as kept:
        record = Record("run", Path("curve.csv"), kept)
        learning.fit(model, lesson, train.Plain(0.0), lambda _: Score(0, 0), record)
        if processes.is_first():
            Path(f"written-{os.environ.get('RANK', '0')}").touch()
            save_file({name: value.contiguous() for name, value in model.state_dict().items()}, "model.safetensors")
    return model


def test_two_processes_learn_what_one_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two interpreters that load PyTorch take some seconds.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "program.py"]
    done = subprocess.run(torchrun, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"program.py", "written-0", "curve.csv", ".scratch", "model.safetensors"}
    assert list((tmp_path / ".scratch").iterdir()) == []
    together = load_file(tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    for name, value in learn(1).state_dict().items():
        torch.testing.assert_close(together[name], value, rtol=1e-3, atol=1e-5)


def test_other_processes_than_asked_for_are_an_error(compute: ComputeParams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InputError, match=r"4 processes were started, but compute\.devices x compute\.nodes is 1"):
        processes.launch(compute)


def test_the_bare_model_is_the_one_inside() -> None:
    model = nn.Linear(2, 2)
    assert processes.bare(model) is model
    assert processes.bare(nn.DataParallel(model)) is model
