"""Adversarial images as sounds, and what the report is given of them."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stages.core.errors import InputError
from stages.evaluation.sonification import MOST, PARTS, PEAK, Rendering, Sonified, chosen
from stages.reporting import assets
from stages.reporting.assets import Asset
from stages.reporting.sounds import PLAYED, sound_assets

CLASSES = ("dog", "rain")


def rendering(noise: float, level: float = 0.5) -> Rendering:
    """A tone, and the same with a change `noise` times as loud."""
    clean = (level * np.sin(np.arange(800) / 5)).astype(np.float32)
    return Rendering(clean, (1 + noise) * clean, np.zeros((4, 4), np.float32), band_error=0.25, chromagram_error=None)


def sonified(count: int) -> Sonified:
    verdicts = np.arange(count) % 2
    clips = np.array([f"audio/{number}.wav" for number in range(count)], dtype=np.str_)
    zeros = np.zeros(count, np.int64)
    return Sonified(["bim"] * count, [rendering(0.1)] * count, verdicts, clips, clips, zeros, zeros + 1)


def test_the_signal_to_noise_ratio_by_hand() -> None:
    # A tenth of the amplitude is a hundredth of the power: 20 dB.
    assert rendering(0.1).snr_db == pytest.approx(20, abs=1e-3)
    assert rendering(0.0).snr_db == np.inf
    assert rendering(0.0, level=0.0).snr_db == np.inf


def test_sounds_are_on_one_scale_and_not_clipped() -> None:
    quiet, loud = rendering(0.1).sounds(), rendering(3.0).sounds()
    assert list(quiet) == list(PARTS)
    np.testing.assert_array_equal(quiet["clean"], rendering(0.1).clean)
    assert max(np.abs(sound).max() for sound in loud.values()) == pytest.approx(PEAK)
    np.testing.assert_allclose(loud["adversarial"], 4 * loud["clean"], rtol=1e-5)


def test_the_share_that_survives() -> None:
    metrics = sonified(4).metrics()
    assert metrics["survival_rate"] == 0.5
    assert metrics["survival_rate_low"] < 0.5 < metrics["survival_rate_high"]
    assert metrics["snr_db_median"] == pytest.approx(20, abs=1e-3)
    assert metrics["band_error_median"] == 0.25
    assert "chromagram_error_median" not in metrics
    assert sonified(0).metrics() == {"clips": 0}


def test_clips_are_taken_evenly() -> None:
    rows = chosen(np.arange(100, 200))
    assert len(rows) == MOST
    assert (rows[0], rows[-1]) == (100, 199)
    assert chosen(np.zeros(0, np.int64)).size == 0


def test_assets_are_read_as_written(tmp_path: Path) -> None:
    made = list(sound_assets(sonified(5), CLASSES, 8000))
    assets.write(tmp_path / "shown", made)
    read = assets.read(tmp_path / "shown", "evaluate")
    assert len(read) == PLAYED
    for before, after in zip(made, read, strict=True):
        assert after.facts == before.facts
        assert dict(after.files) == dict(before.files)
    sound, rate = soundfile.read(BytesIO(read[0].files[read[0].facts["sounds"]["clean"]]), dtype="float32")
    assert rate == 8000
    np.testing.assert_allclose(sound, rendering(0.1).clean, atol=2**-14)


def test_assets_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read .*; run `dvc repro evaluate@x`"):
        assets.read(tmp_path / "nothing", "evaluate@x")
    assets.write(tmp_path / "shown", [Asset("sound", {}, {"a.flac": b"fLaC"})])
    (tmp_path / "shown/a.flac").unlink()
    with pytest.raises(InputError, match=r"a\.flac"):
        assets.read(tmp_path / "shown", "evaluate@x")
