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
from stages.training.batches import TrainParams
from stages.training.recipes import read_recipes
from tests.helpers import ROOT
from tests.params_helpers import add_param, remove_param, set_params


@pytest.mark.usefixtures("workdir")
def test_the_repositorys_own_parameters_pass() -> None:
    check.main()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("attack.eps", 2, "attack.eps: Input should be less than or equal to 1; found 2"),
        ("attack.eps", "loud", "attack.eps: .*valid number.*found 'loud'"),
        ("attack.eps", True, "attack.eps: must be a number, not a truth value; found True"),
        ("attack.eps", float("nan"), "attack.eps: .*finite number"),
        ("train.epochs", 2.5, "train.epochs: .*integer.*found 2.5"),
        ("grid.fold", [5, 4, 5], r"grid.fold: .*each entry must stand there once; more often does 5"),
        ("grid.architecture", ["resnet65"], "unknown name 'resnet65' among the architectures; there are: alexnet, goo"),
        ("grid.architecture", ["base"], "unknown name 'base' among the architectures; there are: alexnet, goo"),
        (
            "grid.representation",
            ["dwt_tonnets"],
            "unknown name 'dwt_tonnets' among the representations; there are: cwt",
        ),
        (
            "grid.attack",
            ["fgsm", "bin"],
            "unknown name 'bin' among the attacks; there are: apgd, bim, boundary, cw, ddn, ",
        ),
        ("craft.attack", "bin", "craft.attack: unknown name 'bin' among the attacks; there are: apgd, bim, boundary"),
        ("craft.attack", "sound_ddn", "craft.attack: must name an attack on images, of which the adversarial training"),
        (
            "grid.attack",
            ["sound_jsma"],
            "grid.attack: there is no sound_jsma: JSMA changes a few inputs as far as",
        ),
        ("grid.attack", ["bim", "sound_ead"], "grid.attack: there is no sound_ead: EAD changes few inputs, for the L1"),
        ("attack.snr", -1, "attack.snr: .*greater than or equal to 0; found -1"),
        ("attack.expectation", ["mp3", "fax"], "attack.expectation: unknown channel 'fax'; there are: wav, flac, res"),
        ("harden.method", "pdg", "unknown name 'pdg' among the defenses; there are: augment, fast, free, mart"),
        ("train.baselines", [], r"train.baselines: .*at least 1 item.*found \[\]"),
        (
            "train.baselines",
            ["masks", "plain", "masks"],
            "train.baselines: .*must stand there once; more often does masks",
        ),
        (
            "train.baselines",
            ["plain", "mask"],
            "train.baselines: unknown name 'mask' among the baselines; there are: masks, mixup, noise, plain",
        ),
        ("baselines.noise.noise", 2, "baselines.noise.noise: Input should be less than or equal to 1; found 2"),
        ("baselines.masks", 0.15, "baselines.masks: .*valid dictionary; found 0.15"),
        ("baselines", None, "baselines: .*valid dictionary; found None"),
        ("dataset.name", "urban", "unknown name 'urban' among the datasets; there are: esc10, esc50, folder, synth"),
        ("representations.dwt.wavelet", "haha", "representations.dwt.wavelet: must be a discrete wavelet of PyWave"),
    ],
)
def test_bad_parameters_get_one_clear_error(workdir: Path, key: str, value: object, message: str) -> None:
    set_params(workdir, {key: value})
    with pytest.raises(InputError, match=message):
        check.main()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "attack.epss",
            "attack.epss: unknown key; the keys here are: chromagram, eps, eps_l1, eps_l2, expectation",
        ),
        ("train.augment.mask", "train.augment.mask: unknown key; the keys here are: band_mask, mixup"),
        (
            "baselines.masks.mask",
            "baselines.masks.mask: unknown key; the keys here are: band_mask, mixup, noise, p_wave",
        ),
        ("sead", "sead: unknown key; the keys here are: attack, attacks"),
    ],
)
def test_an_unknown_key_is_told_with_those_that_there_are(workdir: Path, key: str, message: str) -> None:
    add_param(workdir, key, 0.02)
    with pytest.raises(InputError, match=message):
        check.main()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("dataset.source", "dataset.source: missing key"),
        ("seed", "seed: missing key"),
        ("harden.method", "harden.method: missing key"),
        ("baselines", "baselines: missing key; the keys here are: attack"),
        ("attacks.boundary", None),
    ],
)
def test_a_missing_key_is_told(workdir: Path, key: str, message: str | None) -> None:
    remove_param(workdir, key)
    if message is None:
        # Nothing names it: an attack without parameters is one that nobody runs.
        check.main()
        return
    with pytest.raises(InputError, match=message):
        check.main()


def test_an_attack_that_is_named_has_parameters(workdir: Path) -> None:
    set_params(workdir, {"grid.attack": ["bim"]})
    remove_param(workdir, "attacks.bim")
    with pytest.raises(InputError, match=r"attacks\.bim: missing key; the keys here are: apgd, boundary, cw"):
        check.main()


def test_what_is_no_yaml_is_told(workdir: Path) -> None:
    (workdir / "params.yaml").write_text("seed: [\n", encoding="utf-8")
    with pytest.raises(InputError, match="not valid YAML"):
        check.main()


def test_a_change_is_seen_at_once(workdir: Path) -> None:
    for seed in (1, 2):
        set_params(workdir, {"seed": seed})
        assert params.seed() == seed


def test_every_wrong_name_is_told_with_its_key(workdir: Path) -> None:
    set_params(
        workdir,
        {"grid.architecture": ["resnet57"], "grid.attack": ["fgsn", "bimm", "jsma"], "harden.method": "pdg"},
    )
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


def test_every_problem_is_reported_at_once(workdir: Path) -> None:
    set_params(workdir, {"train.epochs": 0, "grid.architecture": ["resnet65"]})
    with pytest.raises(InputError, match=r"(?s)train\.epochs.*resnet65"):
        check.main()


def test_a_wrong_augmentation_is_told_once_and_not_of_the_baselines(workdir: Path) -> None:
    set_params(workdir, {"train.augment.mixup": -1})
    with pytest.raises(InputError) as error:
        check.main()
    assert str(error.value).splitlines() == [
        "params.yaml: train.augment.mixup: Input should be greater than or equal to 0; found -1"
    ]


def test_a_baseline_changes_the_augmentation_that_it_names_alone(workdir: Path) -> None:
    set_params(workdir, {"train.augment.mixup": 0.4, "train.baselines": ["noise", "plain"]})
    add_param(workdir, "baselines.noise.time_shift", 0.5)
    recipes, usual = read_recipes(), params.read("train", TrainParams)
    assert list(recipes) == ["noise", "plain"]
    assert recipes["plain"].augment == usual.augment
    assert recipes["noise"].augment == usual.augment.model_copy(update={"noise": 0.1, "time_shift": 0.5})
    assert recipes["noise"].epochs == usual.epochs


@pytest.mark.usefixtures("workdir")
def test_of_equal_baselines_that_which_is_easiest_to_fool_is_kept_last() -> None:
    recipes = read_recipes()
    assert list(recipes) == ["masks", "mixup", "noise", "plain"]
    assert (recipes["masks"].augment.time_mask, recipes["masks"].augment.band_mask) == (0.15, 0.15)
    assert recipes["plain"].augment == params.read("train", TrainParams).augment


@pytest.mark.parametrize("text", ["1e-05", "1e-5", "0.00001", "'1e-5'"])
def test_numbers_that_yaml_may_take_for_text(workdir: Path, text: str) -> None:
    file = workdir / "params.yaml"
    lines = re.sub(r"^  eps: \S+", f"  eps: {text}", file.read_text(encoding="utf-8"), count=1, flags=re.M)
    file.write_text(lines, encoding="utf-8")
    assert params.number("attack.eps") == 1e-5
    assert params.read("attack", AttackParams).eps == 1e-5


@pytest.mark.usefixtures("workdir")
def test_parameters_are_frozen() -> None:
    recipe = params.read("train", TrainParams)
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
