"""Several processes that train one model, or attack it."""

import math
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file
from torch import nn

from stages import architectures, attack
from stages.architectures.base import normalised
from stages.attacks.base import AttackResult, Clips, SearchParams, run
from stages.attacks.base.run import NO_STARTING_POINTS
from stages.attacks.fgsm import FGSM
from stages.core import paths
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.paths import CellPaths
from stages.models import checkpoints, device, distributed
from stages.models.resume import scratch
from stages.models.victim import Victim
from stages.stores import provenance
from stages.stores.adversarial import Adversarial, read_adversarial, write_adversarial
from stages.stores.features import read_features, write_features
from stages.training import loop
from stages.training.loop import Record, Score
from stages.training.objectives import CrossEntropy
from tests.conftest import ROOT, store
from tests.test_attacks import SEARCH, network
from tests.test_learning import taught

CELL = CellPaths("stft", "resnet18", 1)


def together(folder: Path, program: str) -> None:
    """Run a program by two processes, started by torchrun, which takes some seconds."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    (folder / "program.py").write_text(program, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "program.py"]
    done = subprocess.run(torchrun, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def learn(devices: int) -> nn.Module:
    """Train a network with batch normalisation in the working folder; the first process writes its weights.

    No bias comes before the normalisation: its gradient is rounding alone, which AdamW would make steps of.
    """
    compute = ComputeParams(device="cpu", devices=devices, nodes=1, precision="float32", workers=1, batch_size=64)
    device.seed_everything(0)
    flat = [nn.ReLU(), nn.Flatten(), nn.Linear(196, 3)]
    model = normalised(nn.Sequential(nn.Conv2d(1, 4, 5, stride=4, bias=False), nn.BatchNorm2d(4), *flat))
    lesson = taught(store(np.random.default_rng(0)), compute, learning_rate=0.001)
    with scratch("run", *lesson.made_from, model) as kept:
        record = Record("run", Path("curve.csv"), kept)
        loop.fit(model, lesson, CrossEntropy(0.0), lambda _: Score(0, 0, 1), record)
        if distributed.is_main_process():
            Path(f"written-{os.environ.get('RANK', '0')}").touch()
            save_file({name: value.contiguous() for name, value in model.state_dict().items()}, "model.safetensors")
    return model


def test_two_processes_learn_what_one_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together(tmp_path, "from tests.test_processes import learn; learn(2)")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"program.py", "written-0", "curve.csv", ".scratch", "model.safetensors"}
    assert list((tmp_path / ".scratch").iterdir()) == []
    weights = load_file(tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    for name, value in learn(1).state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-5)


def test_other_processes_than_asked_for_are_an_error(compute: ComputeParams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InputError, match=r"4 processes were started, but compute\.devices x compute\.nodes is 1"):
        distributed.launch(compute)


def test_the_bare_model_is_the_one_inside() -> None:
    model = nn.Linear(2, 2)
    assert distributed.unwrap(model) is model
    assert distributed.unwrap(nn.DataParallel(model)) is model


def fooled(devices: int, what: str) -> Adversarial:
    """Attack 100 clips, in four shards, of which the last is short."""
    compute = ComputeParams(device="cpu", devices=devices, nodes=1, precision="float32", workers=1, batch_size=64)
    distributed.join(compute)
    victim, made = Victim(network(), compute), store(np.random.default_rng(0), clips=100)
    made = replace(made, labels=victim.predict(torch.from_numpy(made.features)).numpy())
    case = run.case(victim, made, np.arange(100), seed=0)
    with run.attacked(case, NO_STARTING_POINTS, victim, FGSM(ladder={}), SEARCH, what, {}) as found:
        return found


def counted(devices: int, what: str, killed_after: float = math.inf) -> tuple[Adversarial, list[int]]:
    """A whole attack, or one that ends at so many shards, and the sizes of those that this process attacked."""
    whole, tried = FGSM.search, list[int]()

    def search(self: FGSM, victim: Victim, clips: Clips, search: SearchParams, enough: float = 1.0) -> AttackResult:
        if len(tried) == killed_after:
            raise KeyboardInterrupt
        tried.append(len(clips))
        return whole(self, victim, clips, search, enough)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FGSM, "search", search)
        return fooled(devices, what), tried


def share() -> None:
    """One of two processes: goes on with what one process left, and leaves something itself."""
    found, tried = counted(2, "of one")
    write_adversarial(Path(f"{distributed.rank()}-{sum(tried)}.h5"), found)
    with suppress(KeyboardInterrupt):
        counted(2, "of two", killed_after=1)


def assert_same(one: Adversarial, other: Adversarial) -> None:
    for name, values in vars(one).items():
        if name != "attributes":
            np.testing.assert_array_equal(getattr(other, name), values, err_msg=name)


def test_what_some_processes_left_others_go_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    alone, tried = counted(1, "alone")
    assert tried == [32, 32, 32, 4]
    assert alone.success.sum() > 0
    with pytest.raises(KeyboardInterrupt):
        counted(1, "of one", killed_after=1)
    together(tmp_path, "from tests.test_processes import share; share()")
    # Shards of 32 and 32, then one of 4 and none.
    assert {path.name for path in tmp_path.glob("*.h5")} == {"0-36.h5", "1-32.h5"}
    for path in tmp_path.glob("*.h5"):
        assert_same(read_adversarial(path, "attack"), alone)
    assert [path.name.split("-")[0] for path in (tmp_path / ".scratch").iterdir()] == ["of two"]
    resumed, tried = counted(1, "of two")
    assert tried == [32, 4]
    assert_same(resumed, alone)
    assert not list((tmp_path / ".scratch").iterdir())


def attackable(folder: Path) -> None:
    """What stage `attack` reads, of 70 test clips that the model predicts right."""
    document = YAML(typ="safe").load((folder / "params.yaml").read_text(encoding="utf-8"))
    document["compute"] |= {"device": "cpu", "precision": "float32"}
    document["attack"] |= {"tuning_clips": 4, "doublings": 0}
    document["attacks"]["bim"]["steps"] = 2
    document["attack"]["search"] |= {"start": 0.2, "smallest": 0.05, "tolerance": 1.0}
    YAML().dump(document, folder / "params.yaml")
    made = store(np.random.default_rng(0), clips=100)
    model = architectures.build(CELL.architecture, made.shape, len(made.classes)).eval()
    images = torch.from_numpy(made.features)
    with torch.no_grad():
        # Without it, an untrained network takes all clips for one class.
        model[-1].fc.bias -= model(images).mean(0)  # type: ignore[index]
        made = replace(made, labels=model(images).argmax(1).numpy())
    columns = {
        "labels": made.labels,
        "folds": np.where(np.arange(100) < 70, 1, 2),
        "clips": made.clips,
        "groups": made.groups,
    }
    attributes = {"classes": list(made.classes), **provenance.of_features(CELL.representation)}
    write_features(paths.features(CELL.representation), columns, made.features, (1, 32, 32), attributes)
    made = read_features(paths.features(CELL.representation), "features", {})
    checkpoints.write(CELL.model("baseline"), model, checkpoints.card(CELL.architecture, made), {})


def attacked_by_two(folder: Path, name: str) -> str:
    """What stage `attack` says, run by two processes."""
    file = folder / "params.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("devices: 1", "devices: 2"), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "stages.attack", "stft", "resnet18", "1", "baseline", name]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_two_processes_attack_as_one_does(folder: Path) -> None:
    # Two interpreters that load PyTorch take some seconds.
    attackable(folder)
    attack.main("stft", "resnet18", "1", "baseline", "bim")
    alone = read_adversarial(CELL.attack("baseline", "bim"), "attack")
    assert alone.eligible.sum() == 70
    assert alone.success.sum() > 0
    CELL.attack("baseline", "bim").unlink()
    told = attacked_by_two(folder, "bim")
    assert told.count("validation clips fooled") == told.count("70/70 clips") == 1
    both = read_adversarial(CELL.attack("baseline", "bim"), "attack")
    assert_same(both, alone)
    assert {**both.attributes, "seconds": 0} == {**alone.attributes, "seconds": 0}


def test_two_processes_train_what_they_transfer_from(folder: Path) -> None:
    """About 20 s: two interpreters that load PyTorch."""
    attackable(folder)
    file = folder / "params.yaml"
    document = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    document["train"]["epochs"] = 1
    document["attacks"]["transfer"] |= {"architecture": "resnet18", "steps": 2}
    YAML().dump(document, file)
    told = attacked_by_two(folder, "transfer")
    assert told.count("1/1 epochs") == told.count("70/70 clips") == 1
    found = read_adversarial(CELL.attack("baseline", "transfer"), "attack")
    assert (found.queries[found.eligible] > 0).all()
