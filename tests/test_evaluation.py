"""From adversarial stores to metrics, checks, comparison and page."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages import cards, checks, evaluate, figures, paths, report, robustness, stores
from stages.compute import ComputeParams
from stages.console import InputError
from stages.grid import GridParams
from stages.paths import Cell
from stages.prediction import Victim
from stages.stores import Adversarial

CELL = Cell("stft", "resnet18", 1)
GRID = GridParams(representation=["stft"], architecture=["resnet18"], fold=[1], attack=["bim"])


def attack_store(costs: list[float], clips: int = 6) -> Adversarial:
    cost = np.array(costs, np.float32)
    success = np.isfinite(cost)
    clean = np.full((clips, 1, 8, 8), 0.5, np.float32)
    adversarial = clean + np.where(success, cost, 0)[:, None, None, None].astype(np.float32)
    sizes = robustness.sizes(clean, adversarial)
    return Adversarial(
        clip=np.array([f"clip{i}" for i in range(clips)]),
        label=np.zeros(clips, np.int64),
        target=np.ones(clips, np.int64),
        eligible=np.ones(clips, bool),
        success=success,
        cost=cost,
        size_linf=sizes.linf,
        size_l2=sizes.l2,
        size_l1=sizes.l1,
        queries=np.ones(clips, np.int64),
        clean=clean,
        adversarial=adversarial,
        attributes={"seconds": 1.5, "norm": "linf"},
    )


class Threshold(nn.Module):
    """Class 1 above a level of 0.525."""

    def forward(self, images: Tensor) -> Tensor:
        margin = images.mean(dim=(1, 2, 3)) - 0.525
        return torch.stack([-margin, margin], dim=1)


COSTS = [0.01, 0.02, 0.03, 0.04, 0.05, np.inf]


def test_the_worst_case_takes_the_cheapest_example_of_every_clip() -> None:
    other = attack_store([np.inf, 0.001, 0.5, 0.5, 0.5, 0.5])
    found = {"bim": attack_store(COSTS), "cw": other}
    np.testing.assert_allclose(evaluate.worst(found, "size_linf"), [0.01, 0.001, 0.03, 0.04, 0.05, 0.5], rtol=1e-3)
    metrics = evaluate.adaptive(found, np.ones(6, bool), 0.02)
    assert metrics["worst_linf"]["fooling_rate"] == pytest.approx(2 / 6)
    assert metrics["worst_linf"]["fooling_rate"] >= max(metrics[name]["fooling_rate"] for name in found)
    assert metrics["worst_linf"]["seconds"] == 3.0


def test_the_keys_of_the_metrics() -> None:
    metrics = evaluate.adaptive({"bim": attack_store([0.01] * 6)}, np.ones(6, bool), 0.02)
    expected = {"fooling_rate", "fooling_rate_low", "fooling_rate_high", "robust_accuracy", "eps90", "cost_median"}
    assert {name: set(values) for name, values in metrics.items()} == {
        name: expected | {"fooling_ceiling", "eligible", "seconds"} for name in ("bim", "worst_linf", "worst_l2")
    }


def test_replayed_examples_are_judged_by_the_victim(compute: ComputeParams) -> None:
    store = attack_store(COSTS)
    victim = Victim(Threshold(), compute)
    rates = evaluate.transferred(victim, {"bim": store}, np.zeros(6, np.int64), eps=0.035)
    # Of the three examples within 0.035, that of 0.03 alone lies above the threshold, 0.025 over the clips.
    assert rates == {"bim": {"fooling_rate": pytest.approx(1 / 6), "robust_accuracy": pytest.approx(5 / 6)}}


def good(store: Adversarial) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return {"bim": np.where(store.success, store.target, store.label)}


def test_checks_hold_for_what_is_right() -> None:
    store = attack_store([0.01] * 6)
    assert set(checks.run({"bim": store}, good(store), good(store)).values()) == {1}


def test_checks_fail_for_what_is_wrong() -> None:
    store = attack_store([0.01] * 6)
    wrong = {"bim": store.label}
    planted = {
        "bounds_kept": replace(store, adversarial=store.adversarial + 1),
        "sizes_confirmed": replace(store, size_l2=store.size_l2 / np.float32(2)),
        "unlimited_budget_fools": attack_store([0.01] * 5 + [np.inf]),
    }
    for name, bad in planted.items():
        found = checks.run({"bim": bad}, good(bad), good(bad))
        assert (found[name], found["passed"]) == (0, 0)
    assert checks.run({"bim": store}, wrong, wrong)["success_confirmed"] == 0
    assert checks.run({"bim": store}, good(store), wrong)["forward_deterministic"] == 0
    other = {"bim": store, "fgsm": replace(store, target=store.target + 1)}
    verdicts = {"bim": store.target, "fgsm": store.target + 1}
    assert checks.run(other, verdicts, verdicts)["same_targets"] == 0
    weak = {"fgsm": store, "bim": attack_store([0.01] * 5 + [np.inf])}
    verdicts = {name: np.where(each.success, 1, 0) for name, each in weak.items()}
    assert checks.run(weak, verdicts, verdicts)["iterative_not_weaker"] == 0


def test_means_leave_out_what_a_fold_lacks() -> None:
    assert report.mean([{"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"x": 3}, "b": 4}]) == {"a": {"x": 2}, "b": 3.5}


def test_the_comparison() -> None:
    before = {"clean": {"accuracy": 0.9}, "adaptive": {"bim": {"fooling_rate": 0.8, "cost_median": 0.01, "eps90": 0.1}}}
    after = {"clean": {"accuracy": 0.85}, "adaptive": {"bim": {"fooling_rate": 0.1, "cost_median": 0.05}}}
    found = report.compare(before, after)
    assert found["accuracy_drop"] == pytest.approx(0.05)
    assert found["bim"] == {"fooling_drop": pytest.approx(0.7), "cost_ratio": pytest.approx(5)}


def test_fooling_curves_never_fall_and_end_at_the_ceiling() -> None:
    curves = evaluate.fooling_curves({"bim": np.array(COSTS)}, np.ones(6, bool))
    assert (curves.bim.diff().dropna() >= 0).all()
    assert curves.bim.iloc[-1] == pytest.approx(5 / 6)


@pytest.mark.parametrize("costs", [COSTS, [np.inf] * 6])
def test_example_pictures_are_drawn_even_if_nothing_was_fooled(costs: list[float]) -> None:
    first = figures.examples({"bim": attack_store(costs)}, ("dog", "rain"))
    assert first.startswith(b"\x89PNG")
    assert figures.examples({"bim": attack_store(costs)}, ("dog", "rain")) == first


class Page(HTMLParser):
    """Collects addresses and pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.pictures: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.addresses += [value for key in ("src", "href") if (value := named.get(key))]
        if tag == "img":
            self.pictures.append(named)


def write_cell(costs: list[float]) -> None:
    for model in report.MODELS:
        found = {"bim": attack_store(costs)}
        metrics = {
            "clean": evaluate.clean(np.zeros(6, np.int64), np.array([0, 0, 0, 0, 0, 1])),
            "adaptive": evaluate.adaptive(found, np.ones(6, bool), 0.02),
            "checks": {"passed": 1},
        }
        report.write_json(CELL.metrics(model), metrics)
        curves = {
            "bim": found["bim"].cost,
            **{name: evaluate.worst(found, size) for name, size in evaluate.WORST.items()},
        }
        CELL.plots(model).mkdir(parents=True, exist_ok=True)
        evaluate.fooling_curves(curves, np.ones(6, bool)).to_csv(CELL.plots(model) / "fooling.csv", index=False)
        (CELL.plots(model) / "examples.png").write_bytes(figures.examples(found, ("dog", "rain")))


@pytest.mark.parametrize("costs", [COSTS, [np.inf] * 6], ids=["some fooled", "none fooled"])
def test_the_page_stands_alone(folder: Path, costs: list[float]) -> None:
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    for old, new in {
        "[dwt_tonnetz]": "[stft]",
        "[resnet56]": "[resnet18]",
        "[5]": "[1]",
        "[fgsm, bim, jsma, deepfool, cw, hopskipjump]": "[bim]",
    }.items():
        text = text.replace(old, new)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    write_cell(costs)
    report.main()
    page = Page()
    page.feed(html := paths.REPORT.read_text(encoding="utf-8"))
    assert all(address.startswith("data:") for address in page.addresses)
    assert len(page.pictures) == 3
    assert all(picture["alt"] for picture in page.pictures)
    assert "nan" not in html.lower().replace("tonnetz", "").split("base64")[0]
    assert "83.3 %" in html
    summary = json.loads(paths.SUMMARY.read_text(encoding="utf-8"))["stft"]["resnet18"]
    assert summary == report.mean_over_folds([CELL], "hardened")


def test_metrics_that_are_missing(folder: Path) -> None:
    with pytest.raises(InputError, match=r"metrics/stft/resnet18/fold1/baseline\.json cannot be read"):
        report.mean_over_folds(GRID.cells("stft", "resnet18"), "baseline")
    assert list(folder.iterdir()) == [folder / "params.yaml"]


def test_an_adversarial_store_is_read_as_written(tmp_path: Path) -> None:
    store = attack_store(COSTS)
    stores.write_adversarial(tmp_path / "bim.h5", store)
    read = stores.read_adversarial(tmp_path / "bim.h5", "attack")
    for name, values in vars(store).items():
        if name != "attributes":
            np.testing.assert_array_equal(getattr(read, name), values)
    assert read.attributes["seconds"] == 1.5


def test_the_model_card_tells_what_it_is_and_how_good() -> None:
    found = {"bim": attack_store(COSTS)}
    metrics = {
        "clean": evaluate.clean(np.zeros(6, np.int64), np.array([0, 0, 0, 0, 0, 1])),
        "adaptive": evaluate.adaptive(found, np.ones(6, bool), 0.02),
        "checks": {"bounds_kept": 0, "passed": 0},
    }
    facts = {"architecture": "resnet18", "classes": '["<b>dog</b>", "rain|snow"]', "epoch": "3 of 4"}
    card = cards.text(CELL, "hardened", facts, metrics, "ESC-50, CC BY-NC 3.0. K. J. Piczak.\n", 0.02)
    lines = card.splitlines()
    assert lines[0] == "# Hardened model: stft resnet18 fold 1"
    assert "83.3 % [43.6 %, 97.0 %] (Wilson 95 %) of 6 clips" in card
    assert "| attack | fooling rate | ceiling | median cost | eps90 |" in lines
    assert lines[lines.index("| attack | fooling rate | ceiling | median cost | eps90 |") + 1].startswith("|---|---|")
    assert any(line.startswith("| bim | ") and line.count("|") == 6 for line in lines)
    assert "| epoch | 3 of 4 |" in lines
    assert '["&lt;b&gt;dog&lt;/b&gt;", "rain\\|snow"]' in card
    assert "Checks on these numbers that failed: bounds_kept, passed." in lines
    assert lines[-1] == "ESC-50, CC BY-NC 3.0. K. J. Piczak."
