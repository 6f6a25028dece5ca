"""What fools one model of the grid, shown to the others: against models that tell how they are fooled."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.architectures import alexnet, resnet18
from stages.architectures.base import Normalised
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.grid import MODELS, GridParams
from stages.core.paths import CellPaths
from stages.evaluation.transfer import COLUMNS, replayed, transfer_matrix
from stages.models import checkpoints
from stages.models.checkpoints import ModelSpec
from stages.models.victim import Victim
from stages.stores.adversarial import Adversarial, read_adversarial, write_adversarial
from tests.helpers import attack_store

ATTACKS = ["bim", "cw"]
NEVER = np.inf

THRESHOLDS = {
    "resnet18_baseline": 0.015,
    "resnet18_hardened": 0.045,
    "alexnet_baseline": 0.025,
    "alexnet_hardened": 0.035,
}
"""By how much a grey clip must be brightened to fool each model; its own examples are brighter by 0.005 than that."""

CELL = CellPaths("stft", "resnet18", 1)

RECORDINGS = {f"clip{number}": f"recording{number}" for number in range(6)}


class Threshold(nn.Module):
    """Takes grey clips for class 0, and those brightened by more than so much for class 1."""

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(threshold))

    def forward(self, images: Tensor) -> Tensor:
        margin = images.mean(dim=(1, 2, 3)) - 0.5 - self.threshold
        return torch.stack([-margin, margin], dim=1)


def test_the_cheapest_example_of_each_clip_is_replayed(compute: ComputeParams) -> None:
    """Clips 0 and 2 have a cheap one that fails; clip 1 has a dear one alone; clip 3 none; clip 4 is not eligible."""
    source = {
        "bim": attack_store([0.01, 0.05, 0.02, NEVER, 0.05, 0.04]),
        "cw": attack_store([0.05, NEVER, 0.06, NEVER, 0.06, 0.05]),
    }
    eligible = np.array([True, True, True, True, False, True])
    told = replayed(Victim(Threshold(0.03), compute), source, eligible, RECORDINGS)
    assert told["clips"] == 4
    assert told["fooling_rate"] == 0.5
    assert told["fooling_rate_low"] < 0.5 < told["fooling_rate_high"]


def test_only_what_ends_in_the_target_counts(compute: ComputeParams) -> None:
    source = attack_store([0.05] * 6)
    elsewhere = replace(source, target=np.array([1, 1, 1, 2, 2, 2]))
    told = replayed(Victim(Threshold(), compute), {"bim": elsewhere}, np.ones(6, bool), RECORDINGS)
    assert told["fooling_rate"] == 0.5


def test_clips_of_one_recording_make_the_interval_wider(compute: ComputeParams) -> None:
    source, victim = {"bim": attack_store([0.05] * 6)}, Victim(Threshold(0.03), compute)
    apart = replayed(victim, source, np.ones(6, bool), RECORDINGS)
    together = replayed(victim, source, np.ones(6, bool), dict.fromkeys(RECORDINGS, "one"))
    assert together["fooling_rate"] == apart["fooling_rate"] == 1
    assert together["fooling_rate_low"] < apart["fooling_rate_low"]


def test_without_a_fooled_clip_there_is_no_rate(compute: ComputeParams) -> None:
    victim = Victim(Threshold(), compute)
    assert replayed(victim, {"bim": attack_store([NEVER] * 6)}, np.ones(6, bool), RECORDINGS) == {"clips": 0}
    assert replayed(victim, {"bim": attack_store([0.05] * 6)}, np.zeros(6, bool), RECORDINGS) == {"clips": 0}


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GridParams:
    """Models and their stores for every cell of it, in the working folder."""
    monkeypatch.chdir(tmp_path)

    def build(_shape: Sequence[int], _classes: int) -> nn.Module:
        return Threshold()

    for architecture in (resnet18, alexnet):
        monkeypatch.setattr(architecture, "build", build)
    made = GridParams(representation=["stft", "mel"], architecture=["resnet18", "alexnet"], fold=[1, 3], attack=ATTACKS)
    for cell in (cell for pair in made.pairs() for cell in made.cells(*pair)):
        write(cell)
    return made


def write(cell: CellPaths) -> None:
    for model in MODELS:
        threshold = THRESHOLDS[f"{cell.architecture}_{model}"]
        card = ModelSpec(cell.architecture, ["a", "b"], [1, 32, 32], cell.representation, "{}", "{}")
        checkpoints.write(cell.model(model), Normalised(Threshold(threshold), 32), card, {})
        write_adversarial(cell.attack(model, "bim"), attack_store([threshold + 0.005] * 6))
        write_adversarial(cell.attack(model, "cw"), attack_store([threshold + 0.1] * 5 + [NEVER]))


def test_every_model_is_attacked_through_every_other_one(grid: GridParams, compute: ComputeParams) -> None:
    table = transfer_matrix(grid, compute, RECORDINGS)
    assert list(table.columns) == COLUMNS
    assert set(table.clips) == {6}
    for _, rows in table.groupby(["representation", "fold"]):
        rates = rows.set_index(["source", "model"]).fooling_rate.to_dict()
        assert rates == {
            (source, model): float(own + 0.005 > other)
            for source, own in THRESHOLDS.items()
            for model, other in THRESHOLDS.items()
            if source != model
        }
    places = [(representation, fold) for representation in grid.representation for fold in grid.fold]
    assert table[["representation", "fold"]].drop_duplicates().to_numpy().tolist() == [list(place) for place in places]


def test_a_model_of_its_own_cell_alone_has_the_other_one(grid: GridParams, compute: ComputeParams) -> None:
    alone = grid.model_copy(update={"representation": ["stft"], "architecture": ["resnet18"], "fold": [1]})
    table = transfer_matrix(alone, compute, RECORDINGS)
    pairs = [("resnet18_hardened", "resnet18_baseline"), ("resnet18_baseline", "resnet18_hardened")]
    assert list(zip(table.source, table.model, strict=True)) == pairs
    assert table.fooling_rate.tolist() == [1, 0]


def test_clips_that_a_model_gets_wrong_are_not_shown_to_it(grid: GridParams, compute: ComputeParams) -> None:
    for attack in ATTACKS:
        change(CELL, "baseline", attack, eligible=np.arange(6) < 4)
    table = transfer_matrix(grid, compute, RECORDINGS)
    shown = table[(table.representation == "stft") & (table.fold == 1)].groupby("model").clips.unique()
    assert shown.map(list).to_dict() == {model: [6] for model in THRESHOLDS} | {"resnet18_baseline": [4]}


def change(cell: CellPaths, model: str, attack: str, **columns: object) -> None:
    store: Adversarial = read_adversarial(cell.attack(model, attack), "")
    write_adversarial(cell.attack(model, attack), replace(store, **columns))  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("columns", [{"clip": np.array(["other"] * 6)}, {"target": np.zeros(6, np.int64)}], ids=list)
def test_a_store_of_something_else_names_its_file_and_stage(
    grid: GridParams, compute: ComputeParams, model: str, columns: dict[str, object]
) -> None:
    change(CELL, model, "cw", **columns)
    file, stage = CELL.attack(model, "cw"), "attack@stft-resnet18-1-cw"
    with pytest.raises(InputError, match=f"{file} holds other clips or targets; run `dvc repro {stage}`"):
        transfer_matrix(grid, compute, RECORDINGS)


def test_what_is_missing_names_its_file_and_stage(grid: GridParams, compute: ComputeParams) -> None:
    cell = CellPaths("mel", "alexnet", 3)
    cell.model("hardened").unlink()
    with pytest.raises(InputError, match=r"hardened\.safetensors is missing; run `dvc repro harden@mel-alexnet-3`"):
        transfer_matrix(grid, compute, RECORDINGS)
    cell.attack("baseline", "bim").write_bytes(b"HDF")
    with pytest.raises(InputError, match=r"bim\.h5 is damaged .* run `dvc repro attack@mel-alexnet-3-bim`"):
        transfer_matrix(grid, compute, RECORDINGS)
    cell.attack("baseline", "bim").unlink()
    with pytest.raises(InputError, match=r"bim\.h5 is missing; run `dvc repro attack@mel-alexnet-3-bim`"):
        transfer_matrix(grid, compute, RECORDINGS)
