"""params.yaml: read, checked, and tracked by the stages."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages import architectures, attacks, check, representations
from stages.attacks.base import AttackParams
from stages.core import params, plugins
from stages.core.errors import InputError
from stages.core.grid import GridParams
from stages.training.batches import LearningParams
from tests.conftest import ROOT


def change(folder: Path, old: str, new: str) -> None:
    file = folder / "params.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.usefixtures("folder")
def test_the_repositorys_own_parameters_pass() -> None:
    check.main()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  eps: 0.02 ", "  epss: 0.02 ", "attack.epss: unknown key; the keys here are: doublings, eps"),
        ("  eps: 0.02 ", "  eps: 2 ", "attack.eps: Input should be less than or equal to 1; found 2"),
        ("  eps: 0.02 ", "  eps: loud ", "attack.eps: .*valid number.*found 'loud'"),
        ("  eps: 0.02 ", "  eps: true ", "attack.eps: must be a number, not a truth value; found True"),
        ("  eps: 0.02 ", "  eps: .nan ", "attack.eps: .*finite number"),
        ("  epochs: 40 ", "  epochs: 2.5 ", "train.epochs: .*integer.*found 2.5"),
        ('  source: "" ', "  #", "dataset.source: missing key"),
        ("seed: 0 ", "sead: 0 ", "seed: missing key"),
        ("seed: 0 ", "sead: 0\nseed: 0 ", "sead: unknown key; the keys here are: attack, attacks"),
        ("fold: [5] ", "fold: [5, 4, 5] ", r"grid.fold: .*each entry must stand there once; more often does 5"),
        ("[resnet56]", "[resnet65]", "unknown name 'resnet65' among the architectures; there are: alexnet, googlenet,"),
        (
            "[dwt_tonnetz]",
            "[dwt_tonnets]",
            "unknown name 'dwt_tonnets' among the representations; there are: cwt, cwt_t",
        ),
        (
            "[fgsm, bim, jsma, deepfool",
            "[fgsm, bin, jsma, deepfool",
            "unknown name 'bin' among the attacks; there are: bim, boundary, cw, ddn, ",
        ),
        (
            "architecture: alexnet ",
            "architecture: alexnett ",
            "unknown name 'alexnett' among the architectures; there are: alexnet,",
        ),
        ("  transfer:", "  transferred:", "attacks.transfer: missing key; the keys here are: bim, boundary"),
        ("method: pgd", "method: pdg", "unknown name 'pdg' among the defenses; there are: augment, fast, free, mart"),
        (
            "name: synthetic",
            "name: urban",
            "unknown name 'urban' among the datasets; there are: esc10, esc50, folder, synthetic, ",
        ),
        (
            "wavelet: sym8",
            "wavelet: haha",
            "representations.dwt.wavelet: must be a discrete wavelet of PyWavelets: bior",
        ),
        ("seed: 0 ", "seed: [ ", "not valid YAML"),
    ],
)
def test_bad_parameters_get_one_clear_error(folder: Path, old: str, new: str, message: str) -> None:
    change(folder, old, new)
    with pytest.raises(InputError, match=message):
        check.main()


def test_every_wrong_name_is_told_with_its_key(folder: Path) -> None:
    change(folder, "[resnet56]", "[resnet57]")
    change(folder, "[fgsm, bim, jsma, deepfool", "[fgsn, bimm, jsma, deepfool")
    change(folder, "method: pgd", "method: pdg")
    with pytest.raises(InputError) as error:
        check.main()
    wrong = (
        ("grid.architecture", "resnet57"),
        ("grid.attack", "fgsn"),
        ("grid.attack", "bimm"),
        ("harden.method", "pdg"),
    )
    for key, name in wrong:
        assert f"params.yaml: {key}: unknown name {name!r} among the" in str(error.value)


def test_every_problem_is_reported_at_once(folder: Path) -> None:
    change(folder, "  epochs: 40 ", "  epochs: 0 ")
    change(folder, "[resnet56]", "[resnet65]")
    with pytest.raises(InputError, match=r"(?s)train\.epochs.*resnet65"):
        check.main()


@pytest.mark.parametrize("text", ["1e-05", "1e-5", "0.00001", "'1e-5'"])
def test_numbers_that_yaml_may_take_for_text(folder: Path, text: str) -> None:
    change(folder, "  eps: 0.02 ", f"  eps: {text} ")
    assert params.read("attack", AttackParams).eps == 1e-5


@pytest.mark.usefixtures("folder")
def test_parameters_are_frozen() -> None:
    recipe: LearningParams = params.read("train", LearningParams)
    with pytest.raises(ValueError, match="frozen"):
        recipe.epochs = 3  # type: ignore[misc]


def leaves(tree: dict[str, object], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in tree.items():
        found += leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return found


def tracked_keys() -> set[str]:
    """What the stages track when the grid and the choices run through every name that there is."""
    pipeline = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    choices = {
        "dataset.name": plugins.names("stages.datasets"),
        "item.representation": plugins.names(representations.__name__),
        "item.attack": plugins.names(attacks.__name__),
        "craft.attack": plugins.names(attacks.__name__),
        "harden.method": plugins.names("stages.defenses"),
    }
    keys: set[str] = set()
    for stage in YAML(typ="safe").load(pipeline)["stages"].values():
        for key in stage["params"]:
            name = re.search(r"\$\{(.+)\}", key)
            keys |= {key.replace(name[0], choice) for choice in choices[name[1]]} if name else {key}
        keys |= set(re.findall(r"\$\{(grid\.\w+)\}", str(stage)))
    return keys


def test_every_leaf_but_compute_is_tracked_by_a_stage() -> None:
    keys = tracked_keys()
    document = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    untracked = {
        leaf for leaf in leaves(document) if not any(leaf == key or leaf.startswith(key + ".") for key in keys)
    }
    assert untracked == {leaf for leaf in leaves(document) if leaf.startswith("compute.")}


def test_every_leaf_has_a_comment() -> None:
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    assert [
        line for line in lines if re.match(r"\s*\w+: \S", line) and "#" not in line and not line.startswith("#")
    ] == []


def test_names_are_plain() -> None:
    grid = GridParams(representation=["stft"], architecture=["resnet18"], fold=[1], attack=["bim"])
    assert next(grid.pairs()) == ("stft", "resnet18")
    for package in (
        "stages.datasets",
        "stages.defenses",
        representations.__name__,
        attacks.__name__,
        architectures.__name__,
    ):
        assert all(re.fullmatch("[a-z0-9_]+", name) for name in plugins.names(package))
