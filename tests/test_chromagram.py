"""The chromagram: its constant-Q transform against the definition and librosa, its rows against music."""

from collections.abc import Callable

import librosa
import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal

from stages.audio.decoding import Waveform
from stages.representations.base import pool
from stages.representations.base.chromagram import Chromagram, harmonic_change
from stages.representations.base.constantq import LOWEST, constant_q

RATE = 22_050
HOP = 1024
CHROMAGRAM = Chromagram(hop_length=HOP, octaves=7)

Recordings = Callable[[int, float], list[Waveform]]


def tone(frequency: float, seconds: float = 3.0) -> Waveform:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


@pytest.fixture(params=["tone", "chirp", "noise", "click"])
def waveform(request: pytest.FixtureRequest, rng: np.random.Generator) -> Waveform:
    seconds = np.arange(3 * RATE) / RATE
    made = {
        "tone": tone(700),
        "chirp": np.sin(2 * np.pi * (50 * seconds + 600 * seconds**2)).astype(np.float32),
        "noise": rng.standard_normal(3 * RATE).astype(np.float32),
        "click": (np.arange(3 * RATE) == RATE).astype(np.float32),
    }
    chosen: Waveform = made[request.param]
    return chosen


def by_definition(waveform: Waveform, bins: list[int]) -> npt.NDArray[np.complex128]:
    """Hann-windowed filters of the constant-Q transform, one at a time, in time."""
    ratio = 2 ** (2 / 36)
    rows = []
    for frequency in LOWEST * 2 ** (np.array(bins) / 36):
        length = (ratio + 1) / (ratio - 1) * RATE / frequency
        time = np.arange(-int(length / 2), int(length / 2) + 1)
        window = 0.5 + 0.5 * np.cos(2 * np.pi * time / length)
        wave = np.sqrt(length) * window / window.sum() * np.exp(2j * np.pi * frequency * time / RATE)
        whole = scipy.signal.fftconvolve(waveform.astype(np.float64), wave, mode="full")
        rows.append(whole[len(time) // 2 :][: len(waveform) + 1 : HOP])
    return np.array(rows)


def test_the_constant_q_transform_is_its_definition(waveform: Waveform) -> None:
    bins = [0, 40, 81, 120, 162, 200, 251]
    expected = by_definition(waveform, bins)
    found = constant_q(waveform, RATE, HOP, 7)[bins]
    assert found.shape == (len(bins), 1 + len(waveform) // HOP)
    assert np.abs(found - expected).max() < 5e-4 * np.abs(expected).max()


def test_the_constant_q_transform_is_librosas(waveform: Waveform) -> None:
    expected = np.abs(librosa.cqt(y=waveform, sr=RATE, hop_length=HOP, n_bins=252, bins_per_octave=36, tuning=0.0))
    error = np.abs(np.abs(constant_q(waveform, RATE, HOP, 7)) - expected)
    assert error.sum() < 0.03 * expected.sum()


def test_bins_that_the_sample_rate_cannot_hold_are_empty(rng: np.random.Generator) -> None:
    magnitudes = np.abs(constant_q(rng.standard_normal(8000).astype(np.float32), 4000, 256, 7))
    assert (magnitudes[200] > 0).all()
    assert not magnitudes[216:].any()


def test_the_chroma_of_recordings_is_librosas(recordings: Recordings) -> None:
    for waveform in recordings(RATE, 5.0):
        expected = librosa.feature.chroma_cqt(y=waveform, sr=RATE, hop_length=HOP, n_octaves=7, tuning=0.0)
        found = CHROMAGRAM.chroma(waveform, RATE)
        heard = found.max(axis=0) > 0
        assert np.abs(found - expected)[:, heard].mean() < 0.02
        correlation = np.corrcoef(found[:, heard].ravel(), expected[:, heard].ravel())[0, 1]
        assert correlation > 0.99


def test_the_chroma_of_a_tone_is_its_pitch_class() -> None:
    rows = CHROMAGRAM.rows(tone(440), RATE, 24)
    assert rows.shape == (19, 24)
    assert (rows[:12, 4:-4].argmax(axis=0) == 9).all()
    assert rows[18, 4:-4].max() < 0.05


def test_frames_far_below_the_loudest_are_silent(rng: np.random.Generator) -> None:
    loud = rng.standard_normal(3 * RATE)
    quiet = np.where(np.arange(3 * RATE) < 1.2 * RATE, loud, 1e-5 * loud).astype(np.float32)
    chroma = CHROMAGRAM.chroma(quiet, RATE)
    assert chroma[:, :20].max(axis=0) == pytest.approx(np.ones(20))
    assert not chroma[:, -10:].any()
    rows = CHROMAGRAM.rows(quiet, RATE, 24)
    assert rows[:12, -1].tolist() == [0.0] * 12
    assert rows[12:18, -1].tolist() == [0.5] * 6
    assert rows[18, -1] == 0


def test_the_rows_do_not_depend_on_loudness(rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(RATE).astype(np.float32)
    quieter = CHROMAGRAM.rows(waveform / np.float32(4096), RATE, 16)
    np.testing.assert_allclose(quieter, CHROMAGRAM.rows(waveform, RATE, 16), atol=1e-5)


def test_the_tonnetz_is_librosas(waveform: Waveform) -> None:
    chroma = CHROMAGRAM.chroma(waveform, RATE)
    expected = pool(librosa.feature.tonnetz(chroma=chroma, sr=RATE), 16, axis=1)
    rows = CHROMAGRAM.rows(waveform, RATE, 16)
    radii = np.array([[1.0], [1.0], [1.0], [1.0], [0.5], [0.5]])
    np.testing.assert_allclose((2 * rows[12:18] - 1) * radii, expected, atol=1e-5)


def test_harmonic_change_peaks_where_the_chord_changes() -> None:
    tonnetz = np.zeros((6, 20))
    tonnetz[0, :10], tonnetz[0, 10:] = 1, -1
    assert harmonic_change(tonnetz).argmax() in (9, 10)
    assert harmonic_change(np.ones((6, 20))).max() == 0
