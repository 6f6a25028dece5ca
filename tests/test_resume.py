"""Training that is killed and started again."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from stages.architectures import resnet18
from stages.core import cli
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.models import checkpoints, resume
from stages.models.cell import Cell
from stages.models.checkpoints import ModelSpec
from stages.models.resume import Scratch, cache_key, scratch
from stages.training import baseline, loop
from stages.training.baseline import accuracy, train_baseline
from stages.training.batches import Batch, TrainingData
from stages.training.loop import Record, Score, Trained
from stages.training.objectives import LossFunction
from tests.helpers import ROOT, feature_store
from tests.training_helpers import AUGMENTATION, PLAIN, UNCHANGED, baseline_recipe, cell_of, taught

EPOCHS = 5
HISTORY, MODEL = Path("history.csv"), Path("model.safetensors")
CARD = ModelSpec("tiny", ["class0", "class1", "class2"], [1, 32, 32], "stft", "{}", "{}")

KILLED = """
import os, signal
import lightning_fabric  # once, before the forks
from tests.test_resume import interrupted
ends = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL]
for epoch, end in enumerate(ends, 1):
    if not (child := os.fork()):
        interrupted(epoch, end)
    status = os.waitpid(child, 0)[1]
    print(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
"""

AT_ONCE = """
import os, pathlib, sys
from stages.models.resume import Scratch
children = []
for _ in range(2):
    children.append(os.fork())
    if not children[-1]:
        for epoch in range(200):
            Scratch(pathlib.Path("run.pt")).write({"epoch": epoch})
        os._exit(0)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def clips(compute: ComputeParams, **changes: float) -> TrainingData:
    return taught(feature_store(np.random.default_rng(0)), compute, **({"epochs": EPOCHS} | changes))


def network() -> nn.Module:
    """With dropout, so that it draws from PyTorch's generator."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 5, stride=4), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(), nn.Linear(196, 3)]
    return nn.Sequential(nn.BatchNorm2d(1, affine=False), *layers)


def learn(compute: ComputeParams, loss: LossFunction) -> nn.Module:
    """Train in the working folder, and write the model if it comes to that."""
    model, data = network(), clips(compute)
    kept = scratch("tiny", *data.ingredients, model)
    loop.fit(model, data, loss, lambda _: Score(0, 0, 1), Record("tiny", HISTORY, kept))
    Trained(model, data.facts, [kept]).write(MODEL, CARD)
    return model


def interrupted(epoch: int, end: int) -> None:
    """Leave the process by a signal in the midst of an epoch, as a stage would."""
    seen = []

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        seen.append(batch.epoch)
        if seen.count(epoch) == 3:
            os.kill(os.getpid(), end)
        return PLAIN(model, batch)

    compute = ComputeParams(device="cpu", devices=1, nodes=1, precision="float32", workers=1, batch_size=64)
    sys.argv = ["stage"]

    def main() -> None:
        learn(compute, loss)

    cli.run(main)


def program(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program, which forks, in a process without threads."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", text]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def bits(model: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in model.state_dict().values()]


@pytest.mark.distributed
@pytest.mark.slow
def test_killed_at_any_epoch_it_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compute: ComputeParams
) -> None:
    monkeypatch.chdir(tmp_path)
    done = program(KILLED, tmp_path)
    assert done.stdout.split() == ["-9", "143", "130", "-9"], done.stderr
    lines = [line for line in done.stderr.splitlines() if "resumed after" in line]
    assert lines == [f"tiny: resumed after epoch {epoch} of {EPOCHS}" for epoch in (1, 2)]
    assert len(list(Path(".scratch").iterdir())) == 1
    seen: list[int] = []

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        seen.append(batch.epoch)
        return PLAIN(model, batch)

    resumed = learn(compute, loss)
    assert set(seen) == {4, 5}
    assert len(HISTORY.read_text(encoding="utf-8").splitlines()) == EPOCHS + 1
    assert list(Path(".scratch").iterdir()) == []
    uninterrupted = learn(compute, loss)
    assert seen.count(1) == 7
    assert bits(resumed) == bits(uninterrupted)


@pytest.fixture
def trainable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compute: ComputeParams) -> Cell:
    """A cell with a small network, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resnet18, "build", lambda _shape, _classes: network())
    return cell_of(feature_store(np.random.default_rng(0)), compute)


RECIPES = {"masks": baseline_recipe(AUGMENTATION), "plain": baseline_recipe(UNCHANGED)}


@pytest.mark.parametrize("epochs", [1, 3, 4, 5])
def test_a_run_of_two_candidates_goes_on_in_the_one_that_was_killed(
    trainable: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], epochs: int
) -> None:
    """After so many epochs of both, of three each; the one that is done is not trained again."""
    done: list[int] = []

    def judged(model: nn.Module, images: Tensor, labels: Tensor, compute: ComputeParams) -> Score:
        if len(done) == epochs:
            raise KeyboardInterrupt
        done.append(1)
        return accuracy(model, images, labels, compute)

    with monkeypatch.context() as patch:
        patch.setattr(baseline, "accuracy", judged)
        with pytest.raises(KeyboardInterrupt):
            train_baseline(trainable, RECIPES)
    capsys.readouterr()
    train_baseline(trainable, RECIPES).write(Path("resumed.safetensors"), trainable.spec)
    lines = [line for line in capsys.readouterr().err.splitlines() if "resumed after" in line]
    told = {"masks": min(epochs, 3), "plain": epochs - 3}
    assert [line.partition("fold 5 ")[2] for line in lines] == [
        f"{name}: resumed after epoch {count} of 3" for name, count in told.items() if count > 0
    ]
    assert list(Path(".scratch").iterdir()) == []
    history = trainable.paths.history("baseline").read_bytes()
    train_baseline(trainable, RECIPES).write(Path("uninterrupted.safetensors"), trainable.spec)
    assert Path("resumed.safetensors").read_bytes() == Path("uninterrupted.safetensors").read_bytes()
    assert trainable.paths.history("baseline").read_bytes() == history


def test_whatever_the_weights_come_from_is_in_the_key(
    compute: ComputeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, model = clips(compute), network()
    usual = cache_key(*first.ingredients, model)
    assert cache_key(*clips(compute).ingredients, network()) == usual
    assert cache_key(*clips(compute, weight_decay=0.1).ingredients, model) != usual
    masked = AUGMENTATION.model_copy(update={"time_mask": 0.2})
    for changed in ({"augment": masked}, {"seed": 1}, {"copies": first.images}):
        assert cache_key(*replace(first, **changed).ingredients, model) != usual, changed
    first.images[3, 0, 5, 5] += 1e-6
    assert cache_key(*first.ingredients, model) != usual
    with torch.no_grad():
        next(model.parameters())[0] += 1e-6
    assert cache_key(*clips(compute).ingredients, model) != usual
    (tmp_path / "code.py").write_text("changed = True", encoding="utf-8")
    monkeypatch.setattr(resume, "CODE", tmp_path)
    assert cache_key(*clips(compute).ingredients, network()) != usual


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """What a run comes to, with its scratch in the folder `elsewhere`."""
    monkeypatch.setenv(resume.FOLDER_VARIABLE, str(tmp_path / "elsewhere"))
    kept = scratch("run", "made of this")
    kept.write({"epoch": 1})
    return Trained(network(), {"epoch": "1 of 1"}, [kept])


@pytest.mark.usefixtures("trained")
def test_a_run_finds_its_own_scratch() -> None:
    assert scratch("run", "made of that").read() is None
    assert scratch("walk", "made of this").read() is None
    assert scratch("run", "made of this").read() == {"epoch": 1}


def test_the_scratch_is_removed_once_the_model_is_written(trained: Trained, tmp_path: Path) -> None:
    trained.write(tmp_path / MODEL, CARD)
    written = load_file(tmp_path / MODEL)
    assert all(torch.equal(written[name], weight) for name, weight in trained.network.state_dict().items())
    assert checkpoints.metadata(tmp_path / MODEL)["epoch"] == "1 of 1"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_scratch_stays_where_the_model_cannot_be_written(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"no space left on the disk while writing .*model\.safetensors"):
        trained.write(tmp_path / MODEL, CARD)
    assert not (tmp_path / MODEL).exists()
    assert scratch("run", "made of this").read() == {"epoch": 1}


@pytest.mark.distributed
def test_runs_that_do_the_same_work_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    kept = Scratch(tmp_path / "run.pt")
    done = program(AT_ONCE, tmp_path)
    assert done.returncode == 0, done.stderr
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
