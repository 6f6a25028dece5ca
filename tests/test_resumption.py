"""Training that is killed and started again."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.architectures.base import normalised
from stages.core import cli
from stages.core.compute import ComputeParams
from stages.models import resume
from stages.models.resume import Scratch, scratch
from stages.training import loop
from stages.training.batches import Batch, TrainingData
from stages.training.loop import Record, Score
from stages.training.objectives import CrossEntropy, LossFunction
from tests.conftest import ROOT, store
from tests.test_learning import AUGMENTATION, taught

EPOCHS = 5

PROGRAM = """
import os, signal
import lightning_fabric  # once, before the forks
from tests.test_resumption import interrupted
ends = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL]
for epoch, end in enumerate(ends, 1):
    if not (child := os.fork()):
        interrupted(epoch, end)
    status = os.waitpid(child, 0)[1]
    print(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
"""


def lesson(compute: ComputeParams, **changes: float) -> TrainingData:
    return taught(store(np.random.default_rng(0)), compute, **({"epochs": EPOCHS} | changes))


def network() -> nn.Module:
    """With dropout, so that it draws from PyTorch's generator."""
    torch.manual_seed(0)
    return normalised(
        nn.Sequential(nn.Conv2d(1, 4, 5, stride=4), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(), nn.Linear(196, 3))
    )


def learn(compute: ComputeParams, objective: LossFunction) -> nn.Module:
    """Train in the working folder, and save the weights if it comes to that."""
    model, teaching = network(), lesson(compute)
    with scratch("tiny", *teaching.made_from, model) as kept:
        record = Record("tiny", Path("curve.csv"), kept)
        loop.fit(model, teaching, objective, lambda _: Score(0, 0, 1), record)
    return model


def interrupted(epoch: int, end: int) -> None:
    """Leave the process by a signal in the midst of an epoch, as a stage would."""
    seen = []

    def objective(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        seen.append(batch.epoch)
        if seen.count(epoch) == 3:
            os.kill(os.getpid(), end)
        return CrossEntropy(0.0)(model, batch)

    compute = ComputeParams(device="cpu", devices=1, nodes=1, precision="float32", workers=1, batch_size=64)
    sys.argv = ["stage"]

    def main() -> None:
        learn(compute, objective)

    cli.run(main)


def bits(model: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in model.state_dict().values()]


def test_killed_at_any_epoch_it_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compute: ComputeParams
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["-9", "143", "130", "-9"], done.stderr
    taken_up = [line for line in done.stderr.splitlines() if "taken up" in line]
    assert taken_up == [f"tiny: taken up after epoch {epoch} of {EPOCHS}" for epoch in (1, 2)]
    assert len(list(Path(".scratch").iterdir())) == 1
    seen: list[int] = []

    def objective(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        seen.append(batch.epoch)
        return CrossEntropy(0.0)(model, batch)

    resumed = learn(compute, objective)
    assert set(seen) == {4, 5}
    assert len(Path("curve.csv").read_text(encoding="utf-8").splitlines()) == EPOCHS + 1
    assert list(Path(".scratch").iterdir()) == []
    uninterrupted = learn(compute, objective)
    assert seen.count(1) == 7
    assert bits(resumed) == bits(uninterrupted)


def test_whatever_the_weights_come_from_is_in_the_key(
    compute: ComputeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, model = lesson(compute), network()
    usual = resume._key(*first.made_from, model)
    assert resume._key(*lesson(compute).made_from, network()) == usual
    assert resume._key(*lesson(compute, weight_decay=0.1).made_from, model) != usual
    masked = AUGMENTATION.model_copy(update={"time_mask": 0.2})
    for changed in ({"augmentation": masked}, {"seed": 1}, {"variants": first.images}):
        assert resume._key(*replace(first, **changed).made_from, model) != usual, changed
    first.images[3, 0, 5, 5] += 1e-6
    assert resume._key(*first.made_from, model) != usual
    with torch.no_grad():
        next(model.parameters())[0] += 1e-6
    assert resume._key(*lesson(compute).made_from, model) != usual
    (tmp_path / "code.py").write_text("changed = True", encoding="utf-8")
    monkeypatch.setattr(resume, "CODE", tmp_path)
    assert resume._key(*lesson(compute).made_from, network()) != usual


def test_scratch_is_removed_on_success_and_kept_on_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(resume.FOLDER_VARIABLE, str(tmp_path / "elsewhere"))
    with suppress(ZeroDivisionError), scratch("run", "made of this") as kept:
        kept.write({"epoch": 1})
        raise ZeroDivisionError
    with scratch("run", "made of that") as other:
        assert other.read() is None
    with scratch("run", "made of this") as again:
        assert again.read() == {"epoch": 1}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_runs_that_do_the_same_work_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    kept = Scratch(tmp_path / "run.pt")
    write = "import sys, pathlib; from stages.resumption import Scratch; s = Scratch(pathlib.Path(sys.argv[1]))\n"
    write += "for epoch in range(200): s.write({'epoch': epoch})"
    runs = [subprocess.Popen([sys.executable, "-c", write, str(kept.path)]) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert kept.read() == {"epoch": 199}
    assert list(tmp_path.iterdir()) == [kept.path]


def test_a_damaged_scratch_file_is_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Scratch(tmp_path / "run.pt")
    kept.write({"weights": torch.ones(1000)})
    whole = kept.path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no archive"):
        kept.path.write_bytes(damaged)
        assert kept.read() is None
        assert "is damaged" in capsys.readouterr().err


def test_reading_scratch_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(tmp_path / "trap"),)

    kept = Scratch(tmp_path / "run.pt")
    with kept.path.open("wb") as file:
        torch.save({"weights": Trap()}, file)
    assert kept.read() is None
    assert not (tmp_path / "trap").exists()


def test_the_last_state_survives_a_write_that_fails(tmp_path: Path) -> None:
    kept = Scratch(tmp_path / "run.pt")
    kept.write({"epoch": 1})
    with pytest.raises(Exception, match=r"pickle|local"):
        kept.write({"epoch": lambda: 2})
    assert kept.read() == {"epoch": 1}
    assert len(list(tmp_path.iterdir())) == 1
