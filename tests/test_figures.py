"""Drawings and tables hold what they are given, whatever classes are called."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.evaluation.transfer import COLUMNS
from stages.reporting import figures, page, tables
from stages.reporting.sections import Section, read_table

ATTACKS = ["ead", "worst_linf", "worst_l2"]
BUDGETS = np.geomspace(0.001, 1, 5)


def section(confusion: dict[str, pd.DataFrame], costs: dict[str, pd.DataFrame]) -> Section:
    curve = pd.DataFrame({"budget": BUDGETS, "worst_linf": np.linspace(0, 1, 5)})
    epochs = pd.DataFrame({"epoch": [1, 2], "accuracy": 0.5, "validation_accuracy": 0.5, "validation_score": 0.5})
    models = ("baseline", "hardened")
    return Section(
        representation="stft",
        architecture="resnet18",
        folds=[1],
        metrics={"baseline": [{"adaptive": {"worst_linf": {"budget": 0.02}}}]},
        comparison={},
        fooling=dict.fromkeys(models, curve),
        costs=costs,
        snr=dict.fromkeys(models, pd.DataFrame({"snr": [40.0, 0.0], "untargeted": [0.0, 1.0], "noise": [0.0, 0.5]})),
        confusion=confusion,
        training=dict.fromkeys(models, epochs),
        facts=[],
        assets={},
    )


def priced(target: str, cost: float) -> pd.DataFrame:
    return pd.DataFrame({"source": ["a"], "target": [target], "worst_linf": [cost]})


def predicted(*classes: str) -> pd.DataFrame:
    return pd.DataFrame({"actual": "a", "predicted": list(classes)})


def test_every_class_that_either_model_names_is_drawn() -> None:
    """The test fold has clips of `a` alone; `b` is what the hardened model takes one for, `c` what was asked for."""
    confusion = {"baseline": predicted("a", "a"), "hardened": predicted("a", "b")}
    drawn = page.drawings(section(confusion, {"baseline": priced("c", 0.1), "hardened": priced("c", 0.2)}), 0.02, 30.0)
    for name in ("confusion", "target_rates", "target_costs"):
        assert {"a", "b", "c"} <= set(re.findall(r">([^<]+)</text>", drawn[name])), name


def test_matrices_side_by_side_have_one_scale() -> None:
    """A median cost of 0.01 beside one of 0.4 must not look like it."""
    confusion = dict.fromkeys(("baseline", "hardened"), predicted("a"))
    drawn = page.drawings(section(confusion, {"baseline": priced("c", 0.01), "hardened": priced("c", 0.4)}), 0.02, 30.0)
    bars = re.findall(r">(0\.[0-9]+)</text>", drawn["target_costs"])
    assert len(bars) == 2 * len(set(bars)), "both bars of colours have the same numbers"
    assert max(map(float, bars)) == 0.4


def test_names_of_classes_are_no_formulas() -> None:
    matrix = pd.DataFrame([[0.5]], index=["$\\frac$"], columns=["$\\frac$"])
    assert "$\\frac$" in figures.matrices({"baseline": matrix}, "class", "target")
    clip = np.zeros((4, 4))
    assert figures.contact_sheet(clip, "$\\frac$", [0.1], {"bim": [(clip, "$\\frac$")]})


def test_names_that_look_like_numbers_are_read_as_written(tmp_path: Path) -> None:
    classes = pd.DataFrame({"actual": ["01", "true", "NA"], "predicted": ["01", "1e3", "nan"]})
    tables.write(tmp_path, {"confusion": classes})
    pd.testing.assert_frame_equal(read_table(tmp_path / "confusion.csv", "evaluate"), classes)
    alone = classes.head(1)
    tables.write(tmp_path, {"confusion": alone})
    pd.testing.assert_frame_equal(read_table(tmp_path / "confusion.csv", "evaluate"), alone)


def test_the_cheapest_clip_is_within_the_axes() -> None:
    table = pd.DataFrame({name: [0.00001, 0.1] for name in ATTACKS})
    drawn = figures.costs({"baseline": table, "hardened": table}, ATTACKS)
    assert [drawn.count(f">{model}</text>") for model in ("baseline", "hardened")] == [1, 1], "no legend"
    marks = re.findall(r'<use [^>]*x="([^"]+)" y="[^"]+" style="fill: #(?:8b8d91|0b7a75); fill-opacity', drawn)
    assert len(marks) == 4 * len(ATTACKS) + 2, "a mark a clip, attack and model, and two in the legend"
    assert min(map(float, marks)) > 0


def test_no_fooled_clip_leaves_the_axes_as_they_are() -> None:
    table = pd.DataFrame({name: [np.nan] for name in ATTACKS})
    assert "1 not fooled" in figures.costs({"baseline": table, "hardened": table}, ATTACKS)


def replays(rates: list[float], representation: str) -> pd.DataFrame:
    """What carries over from the baseline to the hardened model and, half of that, back; a rate a fold."""
    rows = [
        (f"{source} to {model}", representation, fold, source, model, 9, share * rate, 0.0, share)
        for fold, rate in enumerate(rates, 1)
        for source, model, share in (("hardened", "baseline", 0.5), ("baseline", "hardened", 1.0))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_the_matrix_of_what_carries_over_is_the_mean_over_folds() -> None:
    told = page.transfer(pd.concat([replays([0.9], "mel"), replays([0.25, 0.5], "stft")]), "stft")
    assert (told["representation"], told["labels"]) == ("stft", ["baseline", "hardened"])
    (first, from_baseline), (second, from_hardened) = told["rows"]
    assert (first, second) == ("baseline", "hardened")
    assert from_baseline[0] == from_hardened[1] == {}, "no model is its own surrogate"
    assert from_baseline[1]["fooling_rate"] == pytest.approx(0.375)
    assert from_hardened[0]["fooling_rate"] == pytest.approx(0.1875)
    assert from_baseline[1]["fooling_rate_low"] < 0.375 < from_baseline[1]["fooling_rate_high"]


def test_what_carries_over_in_some_folds_alone_has_no_mean() -> None:
    told = page.transfer(replays([0.5, np.nan], "stft"), "stft")
    assert not [key for _, cells in told["rows"] for cell in cells for key in cell if key == "fooling_rate"]
