"""Every representation: its range and shape; the transforms against their mathematics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import plugins, representations
from stages.audio import Waveform
from stages.representations import decibels, pool
from stages.representations._chromagram import Chromagram, harmonic_change
from stages.representations.dwt import DWT, packets
from stages.representations.stft import STFT

RATE = 22_050
NAMES = plugins.names("stages.representations")


def tone(frequency: float) -> Waveform:
    return np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)


def click() -> Waveform:
    waveform = np.zeros(RATE, np.float32)
    waveform[RATE // 2] = 1
    return waveform


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sound", ["silence", "click", "tone", "noise"])
def test_images_are_finite_and_in_range(name: str, sound: str, rng: np.random.Generator) -> None:
    waveforms = {
        "silence": np.zeros(RATE, np.float32),
        "click": click(),
        "tone": tone(440),
        "noise": rng.standard_normal(RATE).astype(np.float32),
    }
    image = representations.load(name).image(waveforms[sound], RATE)
    assert image.dtype == np.float32
    assert image.shape == (64, 48)
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 1


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", [name for name in NAMES if "tonnetz" not in name])
def test_loudness_does_not_matter(name: str, rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(RATE).astype(np.float32)
    loud, quiet = (representations.load(name).image(each, RATE) for each in (waveform, waveform / np.float32(1000)))
    assert np.abs(loud - quiet).max() < 1e-4


@pytest.mark.parametrize("frequency", [500.0, 3000.0, 9000.0])
@pytest.mark.parametrize(
    "transform",
    [
        STFT(n_fft=1024, hop_length=256, window="hann", rows=64, frames=48),
        DWT(wavelet="sym8", level=6, rows=64, frames=48),
    ],
    ids=["stft", "dwt"],
)
def test_a_tone_lies_in_its_band(transform: representations.Representation, frequency: float) -> None:
    loudest = transform.image(tone(frequency), RATE).mean(axis=1).argmax()
    assert abs(loudest - int(frequency / (RATE / 2) * 64)) <= 1


def test_wavelet_packets_keep_the_energy(rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(5000).astype(np.float32)
    assert (packets(waveform, "sym8", 5) ** 2).sum() == pytest.approx((waveform**2).sum(), rel=1e-4)


def test_the_chroma_of_a_tone_is_its_pitch_class() -> None:
    rows = Chromagram(hop_length=1024, octaves=7).rows(np.tile(tone(440), 3), RATE, 24)
    assert rows.shape == (19, 24)
    assert (rows[:12, 4:-4].argmax(axis=0) == 9).all()
    assert rows[18, 4:-4].max() < 0.05


def test_harmonic_change_peaks_where_the_chord_changes() -> None:
    tonnetz = np.zeros((6, 20))
    tonnetz[0, :10], tonnetz[0, 10:] = 1, -1
    assert harmonic_change(tonnetz).argmax() in (9, 10)
    assert harmonic_change(np.ones((6, 20))).max() == 0


@given(length=st.integers(1, 50), size=st.integers(1, 50))
def test_pooled_means_stay_within_the_values(length: int, size: int) -> None:
    values = np.arange(length, dtype=float)
    pooled = pool(values, size, axis=0)
    assert pooled.shape == (size,)
    assert (np.diff(pooled) >= -1e-9).all()
    assert pooled.min() >= -1e-9
    assert pooled.max() <= length - 1 + 1e-9
    if length % size == 0:
        np.testing.assert_allclose(pooled, values.reshape(size, -1).mean(axis=1))


def test_decibels() -> None:
    np.testing.assert_allclose(decibels(np.array([1.0, 0.1, 1e-4, 1e-8, 0.0])), [1, 0.875, 0.5, 0, 0], atol=1e-6)
    assert decibels(np.zeros(3)).tolist() == [0, 0, 0]
