"""Model cards: what a model is and how good, in Markdown that shows no harm."""

from typing import Any

from stages.core.paths import CellPaths
from stages.reporting import model_card
from tests.attack_helpers import settings_of


def test_the_model_card_tells_what_it_is_and_how_good() -> None:
    rates = {"fooling_rate": 0.5, "fooling_ceiling": 1.0, "cost_median": 0.0123}
    metrics: dict[str, Any] = {
        "clean": {"accuracy": 5 / 6, "accuracy_low": 0.436, "accuracy_high": 0.97, "clips": 6},
        "adaptive": {"bim": rates, "sound_ddn": rates | {"snr_median": 38.2}},
        "checks": {"bounds_kept": 0, "passed": 0},
    }
    facts = {"architecture": "resnet18", "classes": '["<b>dog</b>", "rain|snow"]', "epoch": "3 of 4"}
    terms = "ESC-50, CC BY-NC 3.0. K. J. Piczak.\n"
    card = model_card.text(CellPaths("stft", "resnet18", 1), "hardened", facts, metrics, terms, settings_of())
    lines = card.splitlines()
    assert lines[0] == "# Hardened model: stft resnet18 fold 1"
    assert "83.3 % [43.6 %, 97.0 %] (Wilson 95 %) of 6 clips" in card
    head = "| attack | targeted fooling rate | ceiling | median cost | eps90 | median SNR, dB |"
    assert lines[lines.index(head) + 1].startswith("|---|---|")
    assert "| bim | 0.5 | 1 | 0.0123 | none | none |" in lines
    assert "| sound_ddn | 0.5 | 1 | 0.0123 | none | 38.2 |" in lines
    assert "| epoch | 3 of 4 |" in lines
    assert '["&lt;b&gt;dog&lt;/b&gt;", "rain\\|snow"]' in card
    assert "Checks on these numbers that failed: bounds_kept." in lines
    assert lines[-1] == "ESC-50, CC BY-NC 3.0. K. J. Piczak."
