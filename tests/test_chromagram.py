"""The chromagram: its constant-Q transform against the definition and librosa, its rows against music."""

from collections.abc import Callable
from typing import Any

import librosa
import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage
import scipy.signal
import torch
from torch import nn

from stages.audio.decoding import Waveform
from stages.representations.base.chromagram import Chromagram, HarmonicChange
from stages.representations.base.constantq import LOWEST, ConstantQ
from stages.representations.base.pooling import pooling

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


def transformed(module: nn.Module, waveform: Waveform) -> npt.NDArray[Any]:
    """What a front end makes of one clip."""
    found: npt.NDArray[Any] = module(torch.from_numpy(waveform)[None])[0].numpy()
    return found


def constant_q(waveform: Waveform, sample_rate: int, hop: int, octaves: int) -> npt.NDArray[np.complexfloating]:
    return transformed(ConstantQ(len(waveform), sample_rate, hop, octaves), waveform)


def chroma(waveform: Waveform) -> npt.NDArray[np.floating]:
    return transformed(CHROMAGRAM.module(len(waveform), RATE, 16).chroma, waveform)


def rows(waveform: Waveform, frames: int) -> npt.NDArray[np.floating]:
    return transformed(CHROMAGRAM.module(len(waveform), RATE, frames), waveform)


def by_definition(waveform: Waveform, bins: list[int]) -> npt.NDArray[np.complex128]:
    """Hann-windowed filters of the constant-Q transform, one at a time, in time."""
    ratio = 2 ** (2 / 36)
    outputs = []
    for frequency in LOWEST * 2 ** (np.array(bins) / 36):
        length = (ratio + 1) / (ratio - 1) * RATE / frequency
        time = np.arange(-int(length / 2), int(length / 2) + 1)
        window = 0.5 + 0.5 * np.cos(2 * np.pi * time / length)
        wave = np.sqrt(length) * window / window.sum() * np.exp(2j * np.pi * frequency * time / RATE)
        whole = scipy.signal.fftconvolve(waveform.astype(np.float64), wave, mode="full")
        outputs.append(whole[len(time) // 2 :][: len(waveform) + 1 : HOP])
    return np.array(outputs)


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
        found = chroma(waveform)
        heard = found.max(axis=0) > 0
        assert np.abs(found - expected)[:, heard].mean() < 0.02
        correlation = np.corrcoef(found[:, heard].ravel(), expected[:, heard].ravel())[0, 1]
        assert correlation > 0.99


def test_the_chroma_of_a_tone_is_its_pitch_class() -> None:
    made = rows(tone(440), 24)
    assert made.shape == (19, 24)
    assert (made[:12, 4:-4].argmax(axis=0) == 9).all()
    assert made[18, 4:-4].max() < 0.05


def test_frames_far_below_the_loudest_are_silent(rng: np.random.Generator) -> None:
    loud = rng.standard_normal(3 * RATE)
    quiet = np.where(np.arange(3 * RATE) < 1.2 * RATE, loud, 1e-5 * loud).astype(np.float32)
    heard = chroma(quiet)
    assert heard[:, :20].max(axis=0) == pytest.approx(np.ones(20))
    assert not heard[:, -10:].any()
    made = rows(quiet, 24)
    assert made[:12, -1].tolist() == [0.0] * 12
    assert made[12:18, -1].tolist() == [0.5] * 6
    assert made[18, -1] == 0


def test_the_rows_do_not_depend_on_loudness(rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(RATE).astype(np.float32)
    quieter = rows(waveform / np.float32(4096), 16)
    np.testing.assert_allclose(quieter, rows(waveform, 16), atol=1e-5)


def test_the_tonnetz_is_librosas(waveform: Waveform) -> None:
    tonnetz = librosa.feature.tonnetz(chroma=chroma(waveform), sr=RATE)
    radii = np.array([[1.0], [1.0], [1.0], [1.0], [0.5], [0.5]])
    expected = tonnetz @ pooling(tonnetz.shape[1], 16).T
    np.testing.assert_allclose((2 * rows(waveform, 16)[12:18] - 1) * radii, expected, atol=1e-5)


def test_harmonic_change_peaks_where_the_chord_changes() -> None:
    tonnetz = np.zeros((6, 20), np.float32)
    tonnetz[0, :10], tonnetz[0, 10:] = 1, -1
    assert transformed(HarmonicChange(20), tonnetz)[0].argmax() in (9, 10)
    assert transformed(HarmonicChange(20), np.ones((6, 20), np.float32)).max() < 1e-6


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_harmonic_change_of_few_frames(frames: int, rng: np.random.Generator) -> None:
    assert transformed(HarmonicChange(frames), rng.random((6, frames), np.float32)).shape == (1, frames)


def test_harmonic_change_is_smoothed_as_scipy_does(rng: np.random.Generator) -> None:
    tonnetz = rng.random((6, 30), np.float32)
    smooth = scipy.ndimage.gaussian_filter1d(tonnetz, 1.0, axis=1)
    expected = np.linalg.norm(smooth[:, 2:] - smooth[:, :-2], axis=0) / (2 * np.sqrt(4.5))
    np.testing.assert_allclose(transformed(HarmonicChange(30), tonnetz)[0], [0, *expected, 0], atol=1e-6)
