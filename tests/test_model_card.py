"""Model cards: what a model is and how good, in Markdown that shows no harm."""

import json
from typing import Any

from stages.core.paths import CellPaths
from stages.reporting import model_card
from tests.attack_helpers import settings_of


def of(name: str, rate: float) -> dict[str, float]:
    """A rate with some interval."""
    return {name: rate, f"{name}_low": 0.1, f"{name}_high": 1.0}


METRICS: dict[str, Any] = {
    "clean": {"clips": 6} | of("accuracy", 5 / 6),
    "untargeted": {"image": of("robust_accuracy", 0.3), "sound": of("robust_accuracy", 0.2)},
    "adaptive": {},
    "checks": {"passed": 1},
}


def card_of(model: str, facts: dict[str, str]) -> str:
    return model_card.text(CellPaths("stft", "resnet18", 1), model, facts, METRICS, "Free.\n", settings_of())


def test_the_card_of_a_baseline_tells_the_candidates() -> None:
    accuracies = {"masks": 0.8462, "plain": 0.75}
    lines = card_of("baseline", {"baseline": "masks", "baselines": json.dumps(accuracies)}).splitlines()
    told = "The baseline was trained by the recipe masks, the best of masks, plain on the validation clips (84.6 %)."
    start = lines.index(told)
    assert lines[start + 4 : start + 7] == ["| masks | 84.6 % |", "| plain | 75.0 % |", ""]
    assert "| baseline | masks |" in lines
    alone = card_of("baseline", {"baseline": "masks", "baselines": '{"masks": 0.8462}'})
    assert "The baseline was trained by the recipe masks; no other cheap baseline was tried." in alone
    assert "| masks | 84.6 % |" in alone
    assert "baseline was trained" not in card_of("hardened", {"epoch": "3 of 4"})


def test_the_model_card_tells_what_it_is_and_how_good() -> None:
    rates = {"eligible": 5, "cost_median": 0.0123} | of("fooling_rate", 0.4) | of("fooling_ceiling", 1.0)
    metrics: dict[str, Any] = {
        "clean": {"clips": 6} | of("accuracy", 5 / 6),
        "untargeted": {"image": of("robust_accuracy", 0.3), "sound": of("robust_accuracy", 0.2)},
        "adaptive": {"bim": rates, "sound_ddn": rates | {"snr_median": 38.2}},
        "checks": {"bounds_kept": 0, "passed": 0},
    }
    facts = {"architecture": "resnet18", "classes": '["<b>dog</b>", "rain|snow"]', "epoch": "3 of 4"}
    terms = "ESC-50, CC BY-NC 3.0. K. J. Piczak.\n"
    card = model_card.text(CellPaths("stft", "resnet18", 1), "hardened", facts, metrics, terms, settings_of())
    lines = card.splitlines()
    assert lines[0] == "# Hardened model: stft resnet18 fold 1"
    assert "Of 6 clips of the test fold:" in lines
    assert "- accuracy: 83.3 % [10.0 %, 100.0 %];" in lines
    assert (
        "- robust accuracy under untargeted attacks on the image within 0.02 (L∞): 30.0 % [10.0 %, 100.0 %];" in lines
    )
    assert "attacks on the sound within an SNR of 30.0 dB: 20.0 % [10.0 %, 100.0 %]." in card
    head = "| attack | clips | targeted fooling rate | at any size | median cost | eps90 | median SNR, dB |"
    assert lines[lines.index(head) + 1].startswith("|---|---|")
    assert "| bim | 5 | 40.0 % [10.0 %, 100.0 %] | 100.0 % [10.0 %, 100.0 %] | 0.0123 | none | none |" in lines
    assert "| sound_ddn | 5 | 40.0 % [10.0 %, 100.0 %] | 100.0 % [10.0 %, 100.0 %] | 0.0123 | none | 38.2 |" in lines
    assert "| epoch | 3 of 4 |" in lines
    assert '["&lt;b&gt;dog&lt;/b&gt;", "rain\\|snow"]' in card
    assert "Checks on these numbers that failed: bounds_kept." in lines
    assert lines[-1] == "ESC-50, CC BY-NC 3.0. K. J. Piczak."
