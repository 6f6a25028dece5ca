"""Augmented copies of a clip: as far from it as asked, by the oracle of a tone; drawn per clip."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from stages.audio.augment import WaveformAugmentParams, augmented_copy
from stages.audio.decoding import AudioParams, Waveform, load
from stages.representations.base.extraction import Extraction, extract
from stages.representations.stft import STFT

RATE = 22_050
SOUND = AudioParams(sample_rate=RATE, duration=1.0)
TRANSFORM = STFT(n_fft=1024, hop_length=256, window="hann", rows=64, frames=32)


def params(**changes: float) -> WaveformAugmentParams:
    unchanged = WaveformAugmentParams(copies=3, speed=0, pitch=0, stretch=0, noise=0)
    return unchanged.model_copy(update=changes)


def tone(frequency: float = 1000) -> Waveform:
    fading = np.hanning(RATE)
    return (fading * np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)).astype(np.float32)


def loudest(waveform: Waveform) -> float:
    """Frequency in Hz."""
    return float(np.abs(np.fft.rfft(waveform)).argmax())


def test_nothing_asked_is_nothing_changed(rng: np.random.Generator) -> None:
    np.testing.assert_array_equal(augmented_copy(tone(), RATE, params(), rng), tone())


@pytest.mark.parametrize(
    ("changes", "most"), [({"speed": 0.25}, 1.25), ({"pitch": 3.0}, 2 ** (3 / 12))], ids=["speed", "pitch"]
)
def test_pitch_moves_within_the_range(changes: dict[str, float], most: float, rng: np.random.Generator) -> None:
    heard = [loudest(augmented_copy(tone(), RATE, params(**changes), rng)) for _ in range(12)]
    assert 1000 / most * 0.99 < min(heard) < 970
    assert 1030 < max(heard) < 1000 * most * 1.01


def test_stretching_keeps_the_pitch(rng: np.random.Generator) -> None:
    lengths = []
    for _ in range(8):
        changed = augmented_copy(tone(), RATE, params(stretch=0.3), rng)
        assert loudest(changed) == pytest.approx(1000, abs=5)
        lengths.append(np.sum(librosa.feature.rms(y=changed) > 0.1))
    assert min(lengths) < 0.9 * max(lengths)


def test_noise_is_as_loud_as_asked(rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(RATE).astype(np.float32)
    added = [augmented_copy(waveform, RATE, params(noise=0.5), rng) - waveform for _ in range(30)]
    levels = 20 * np.log10([np.std(each) for each in added])
    assert levels.max() < 20 * np.log10(0.5) + 0.1
    assert levels.min() > 20 * np.log10(0.5) - 40.1
    assert np.ptp(levels) > 20


@pytest.mark.parametrize("waveform", [np.zeros(RATE, np.float32), np.eye(1, 300, 50, dtype=np.float32)[0]])
def test_silence_and_short_clips(waveform: Waveform, rng: np.random.Generator) -> None:
    changed = augmented_copy(waveform, RATE, params(speed=0.5, pitch=2, stretch=0.5, noise=0.5), rng)
    assert changed.shape == waveform.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert waveform.any() or not changed.any()


def test_images_of_copies_do_not_depend_on_the_processes(tmp_path: Path, rng: np.random.Generator) -> None:
    names = [f"{number}.wav" for number in range(3)]
    for name in names:
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(RATE), RATE)
    extraction = Extraction(TRANSFORM, SOUND, params(speed=0.2, noise=0.3), seed=0)
    one, two = (list(extract(tmp_path, names, extraction, processes)) for processes in (1, 2))
    assert extraction.shape() == one[0].shape == (4, 64, 32)
    np.testing.assert_array_equal(np.stack(one), np.stack(two))
    own = TRANSFORM.image(load(tmp_path / "0.wav", SOUND), RATE)
    np.testing.assert_array_equal(one[0][0], own)
    again = list(extract(tmp_path, names[1:], extraction, 1))
    np.testing.assert_array_equal(again[0], one[1])
