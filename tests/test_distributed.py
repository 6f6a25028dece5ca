"""Several processes that train one model, or attack it."""

import math
import os
import subprocess
import sys
from contextlib import chdir, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file
from torch import nn

from stages import architectures, attack
from stages.architectures import resnet18
from stages.attacks.base import SearchParams
from stages.attacks.base.inputs import AttackInputs, attack_inputs
from stages.attacks.base.results import AttackResult
from stages.attacks.fgsm import FGSM
from stages.core import device, paths
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.grid import MODELS
from stages.core.paths import CellPaths
from stages.models import checkpoints, distributed
from stages.models.resume import scratch
from stages.models.victim import Victim
from stages.stores import provenance
from stages.stores.adversarial import Adversarial, read_adversarial, write_adversarial
from stages.stores.features import read_features, write_features
from stages.training import loop
from stages.training.baseline import train_baseline
from stages.training.loop import Record, Score, Trained
from stages.training.objectives import CrossEntropy
from tests.attack_helpers import attacked, labelled_as_predicted, network
from tests.helpers import ROOT, feature_store
from tests.training_helpers import AUGMENTATION, UNCHANGED, baseline_recipe, cell_of, taught

CELL = CellPaths("stft", "resnet18", 1)


ALONE = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
"""The environment of each of several processes: on one thread."""

BY_TWO = """
from contextlib import chdir
from tests.test_distributed import choose, learn, share
with chdir("learned"):
    learn(2)
with chdir("chosen"):
    choose(2)
with chdir("attacked"):
    share()
"""


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two processes, started by torchrun, have trained, and gone on with what one had attacked.

    In one go: they take some seconds to start.
    """
    folder = tmp_path_factory.mktemp("by_two")
    for name in ("learned", "chosen", "attacked"):
        (folder / name).mkdir()
    with chdir(folder / "attacked"), suppress(KeyboardInterrupt):
        counted(1, "of one", killed_after=1)
    (folder / "program.py").write_text(BY_TWO, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "program.py"]
    done = subprocess.run(torchrun, cwd=folder, env=ALONE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def normalised() -> nn.Module:
    """A network with batch normalisation.

    No bias comes before it: its gradient is rounding alone, which AdamW would make steps of.
    """
    layers = [nn.BatchNorm2d(1, affine=False), nn.Conv2d(1, 4, 5, stride=4, bias=False), nn.BatchNorm2d(4)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(196, 3))


def learn(devices: int) -> nn.Module:
    """Train a network in the working folder; the first process writes its weights."""
    compute = ComputeParams(device="cpu", devices=devices, nodes=1, precision="float32", workers=1, batch_size=64)
    device.seed_everything(0)
    model = normalised()
    data = taught(feature_store(np.random.default_rng(0)), compute, learning_rate=0.001)
    kept = scratch("run", *data.ingredients, model)
    loop.fit(model, data, CrossEntropy(0.0), lambda _: Score(0, 0, 1), Record("run", Path("history.csv"), kept))
    if distributed.is_main_process():
        Path(f"written-{os.environ.get('RANK', '0')}").touch()
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, "model.safetensors")
    kept.remove()
    return model


@pytest.mark.distributed
@pytest.mark.slow
def test_two_processes_learn_what_one_learns(by_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned = by_two / "learned"
    names = {path.name for path in learned.iterdir()}
    assert names == {"written-0", "history.csv", ".scratch", "model.safetensors"}
    assert list((learned / ".scratch").iterdir()) == []
    weights = load_file(learned / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    for name, value in learn(1).state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-5)


def choose(devices: int) -> Trained:
    """Train two candidates for the baseline in the working folder, and write the one that is kept."""
    compute = ComputeParams(device="cpu", devices=devices, nodes=1, precision="float32", workers=1, batch_size=64)
    device.seed_everything(0)
    cell = cell_of(feature_store(np.random.default_rng(0)), compute)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resnet18, "build", lambda _shape, _classes: normalised())
        recipes = {name: baseline_recipe(each) for name, each in (("usual", AUGMENTATION), ("plain", UNCHANGED))}
        found = train_baseline(cell, recipes)
        found.write(cell.paths.model("baseline"), cell.spec)
    return found


@pytest.mark.distributed
@pytest.mark.slow
def test_two_processes_keep_one_of_two_baselines(by_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = CellPaths("stft", "resnet18", 5).model("baseline")
    monkeypatch.chdir(tmp_path)
    alone = choose(1)
    facts = checkpoints.metadata(by_two / "chosen" / written)
    assert all(facts[name] == alone.facts[name] for name in ("baseline", "baselines"))
    assert list((by_two / "chosen").rglob("*.safetensors")) == [by_two / "chosen" / written]
    assert not list((by_two / "chosen/.scratch").iterdir())
    weights = load_file(by_two / "chosen" / written)
    for name, value in alone.network.state_dict().items():
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
    victim = Victim(network(), compute)
    features = labelled_as_predicted(feature_store(np.random.default_rng(0), clips=100), victim)
    return attacked(attack_inputs(victim, features, np.arange(100), seed=0), victim, FGSM(schedule={}), what)


def counted(devices: int, what: str, killed_after: float = math.inf) -> tuple[Adversarial, list[int]]:
    """A whole attack, or one that ends at so many shards, and the sizes of those that this process attacked."""
    whole, tried = FGSM.search, list[int]()

    def search(
        self: FGSM, victim: Victim, inputs: AttackInputs, search: SearchParams, stop_at_success_rate: float = 1.0
    ) -> AttackResult:
        if len(tried) == killed_after:
            raise KeyboardInterrupt
        tried.append(len(inputs))
        return whole(self, victim, inputs, search, stop_at_success_rate)

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
    assert other.sizes.keys() == one.sizes.keys()
    for name, values in {**vars(one), **one.sizes}.items():
        if name not in {"attributes", "sizes"}:
            found = other.sizes[name] if name in one.sizes else getattr(other, name)
            np.testing.assert_array_equal(found, values, err_msg=name)


@pytest.mark.distributed
@pytest.mark.slow
def test_what_some_processes_left_others_go_on_with(by_two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(by_two / "attacked")
    alone, tried = counted(1, "alone")
    assert tried == [32, 32, 32, 4]
    assert alone.success.sum() > 0
    # Shards of 32 and 32, then one of 4 and none.
    assert {path.name for path in Path().glob("*.h5")} == {"0-36.h5", "1-32.h5"}
    for path in Path().glob("*.h5"):
        assert_same(read_adversarial(path, "attack"), alone)
    assert [path.name.split("-")[0] for path in Path(".scratch").iterdir()] == ["of two"]
    resumed, tried = counted(1, "of two")
    assert tried == [32, 4]
    assert_same(resumed, alone)
    assert not list(Path(".scratch").iterdir())


def attackable(workdir: Path) -> None:
    """What stage `attack` reads, of 70 test clips that the model predicts right."""
    document = YAML(typ="safe").load((workdir / "params.yaml").read_text(encoding="utf-8"))
    document["compute"] |= {"device": "cpu", "precision": "float32"}
    document["attack"] |= {"tuning_clips": 4, "max_levels": 0}
    document["attacks"]["bim"] |= {"steps": 2, "schedule": {"steps": 2}}
    document["attack"]["search"] |= {"start": 0.2, "smallest": 0.05, "tolerance": 1.0}
    YAML().dump(document, workdir / "params.yaml")
    features = feature_store(np.random.default_rng(0), clips=100)
    model = architectures.build(CELL.architecture, features.shape, len(features.classes)).eval()
    images = torch.from_numpy(features.features)
    with torch.no_grad():
        # Without it, an untrained network takes all clips for one class.
        model.network.fc.bias -= model(images).mean(0)  # type: ignore[union-attr]
        features = replace(features, labels=model(images).argmax(1).numpy())
    columns = {
        "labels": features.labels,
        "folds": np.where(np.arange(100) < 70, 1, 2),
        "clips": features.clips,
        "groups": features.groups,
    }
    origin = provenance.of_features(CELL.representation)
    attributes = {"classes": list(features.classes), "silence": features.silence, **origin}
    write_features(paths.features(CELL.representation), columns, features.features, (1, 32, 32), attributes)
    stored = read_features(paths.features(CELL.representation), "features", {})
    for name in MODELS:
        checkpoints.write(CELL.model(name), model, checkpoints.model_spec(CELL.architecture, stored), {})


@pytest.mark.distributed
@pytest.mark.slow
def test_two_processes_attack_as_one_does(workdir: Path) -> None:
    # Two interpreters that load PyTorch take some seconds.
    attackable(workdir)
    attack.main("stft", "resnet18", "1", "bim")
    alone = read_adversarial(CELL.attack("baseline", "bim"), "attack")
    assert alone.eligible.sum() == 70
    assert alone.success.sum() > 0
    CELL.attack("baseline", "bim").unlink()
    file = workdir / "params.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("devices: 1", "devices: 2"), encoding="utf-8")
    words = [sys.executable, "-m", "stages.attack", "stft", "resnet18", "1", "bim"]
    done = subprocess.run(words, cwd=workdir, env=ALONE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("validation clips fooled") == 1
    assert done.stderr.count("70/70 clips") == len(MODELS)
    both = read_adversarial(CELL.attack("baseline", "bim"), "attack")
    assert_same(both, alone)
    assert both.attributes == alone.attributes
