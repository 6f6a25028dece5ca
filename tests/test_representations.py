"""Every representation: its range and shape; the transforms against their mathematics."""

from collections.abc import Callable
from typing import Any

import librosa
import numpy as np
import numpy.typing as npt
import pytest
import pywt
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from stages import representations
from stages.audio.decoding import Waveform
from stages.core import plugins
from stages.core.errors import InputError
from stages.representations.base import Image, Representation, decibels, pool
from stages.representations.base.chromagram import Chromagram
from stages.representations.cwt import CWT
from stages.representations.dwt import DWT, packets, unpacked
from stages.representations.mel import Mel
from stages.representations.stft import STFT
from stages.representations.stft_tonnetz import STFTTonnetz

RATE = 22_050
NAMES = plugins.names("stages.representations")


def tone(frequency: float) -> Waveform:
    return np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)


def click() -> Waveform:
    waveform = np.zeros(RATE, np.float32)
    waveform[RATE // 2] = 1
    return waveform


def size_asked(transform: Representation) -> tuple[int, int]:
    """Rows, those of the chromagram among them, and frames, by the parameters."""
    settings = transform.model_dump()
    base = settings.get("base", settings)
    return base["rows"] + 19 * ("chromagram" in settings), base["frames"]


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sound", ["silence", "click", "tone", "noise"])
def test_images_are_finite_and_in_range(name: str, sound: str, rng: np.random.Generator) -> None:
    waveforms = {
        "silence": np.zeros(RATE, np.float32),
        "click": click(),
        "tone": tone(440),
        "noise": rng.standard_normal(RATE).astype(np.float32),
    }
    transform = representations.load(name)
    image = transform.image(waveforms[sound], RATE)
    assert image.dtype == np.float32
    assert image.shape == size_asked(transform)
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 1


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("name", [name for name in NAMES if "tonnetz" not in name])
def test_loudness_does_not_matter(name: str, rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(RATE).astype(np.float32)
    loud, quiet = (representations.load(name).image(each, RATE) for each in (waveform, waveform / np.float32(1000)))
    assert np.abs(loud - quiet).max() < 1e-4


SPECTROGRAM: dict[str, Any] = {"n_fft": 1024, "hop_length": 256, "window": "hann", "rows": 64, "frames": 48}
MORLET: dict[str, Any] = {"bandwidth": 1.5, "centre": 1.0, "fmin": 50.0, "rows": 64, "frames": 48}
BASES = [STFT(**SPECTROGRAM), Mel(**SPECTROGRAM), DWT(wavelet="sym8", level=7, rows=64, frames=48), CWT(**MORLET)]
each_base = pytest.mark.parametrize("transform", BASES, ids=["stft", "mel", "dwt", "cwt"])


def row_of(transform: Representation, frequency: float) -> float:
    """Where the image has a frequency."""
    if isinstance(transform, CWT):
        return float(np.interp(frequency, transform.frequencies(RATE), np.arange(64)))
    if isinstance(transform, Mel):
        return float(np.interp(frequency, librosa.mel_frequencies(66, fmax=RATE / 2)[1:-1], np.arange(64)))
    return frequency / (RATE / 2) * 64 - 0.5


@pytest.mark.parametrize("frequency", [500.0, 3000.0, 9000.0])
@each_base
def test_a_tone_lies_in_its_band(transform: Representation, frequency: float) -> None:
    loudest = transform.image(tone(frequency), RATE).mean(axis=1).argmax()
    assert abs(loudest - row_of(transform, frequency)) <= 1.5


def test_the_mel_spectrogram_is_librosas(waveform: Waveform) -> None:
    power = librosa.feature.melspectrogram(y=waveform, sr=RATE, n_fft=1024, hop_length=256, n_mels=64)
    expected = decibels(pool(power, 48, axis=1))
    np.testing.assert_allclose(BASES[1].image(waveform, RATE), expected, atol=1e-5)


@pytest.fixture(params=["tone", "chirp", "noise", "click", "dog", "rain", "rooster"])
def waveform(request: pytest.FixtureRequest, rng: np.random.Generator) -> Waveform:
    seconds = np.arange(RATE) / RATE
    made = {
        "tone": tone(700),
        "chirp": np.sin(2 * np.pi * (100 * seconds + 3000 * seconds**2)).astype(np.float32),
        "noise": rng.standard_normal(RATE).astype(np.float32),
        "click": np.roll(click(), 200),
    }
    if request.param in made:
        return made[request.param]
    read: Callable[[int, float], list[Waveform]] = request.getfixturevalue("recordings")
    return read(RATE, 1.0)[{"dog": 0, "rain": 1, "rooster": 8}[request.param]]


def require_close(found: Image, power: npt.NDArray[np.floating], decibel: float) -> None:
    """An image against the power of the rows that it should show, where that is above -40 dB."""
    expected = decibels(pool(power, found.shape[1], axis=1))
    loud = np.maximum(expected, found) > 1 - 40 / 80
    assert 80 * np.abs(found - expected)[loud].max() < decibel


def test_a_scalogram_needs_rows_that_rise() -> None:
    with pytest.raises(InputError, match=r"`fmin` must be below 0\.45 audio\.sample_rate = \d+ Hz.*; found 9999"):
        CWT(**MORLET | {"fmin": 9999}).image(np.zeros(4000, np.float32), 8000)


def test_the_scalogram_is_its_definition(waveform: Waveform) -> None:
    transform = CWT(**MORLET)
    # Above a quarter of the sample rate, sampled wavelets alias; their spectrum, cut at half of it, does not.
    low = transform.frequencies(RATE) < RATE / 4
    rows = []
    for scale in RATE / transform.frequencies(RATE)[low]:
        time = np.arange(-np.ceil(6 * scale), np.ceil(6 * scale) + 1) / scale
        wavelet = np.exp(2j * np.pi * time - time**2 / 1.5) / np.sqrt(np.pi * 1.5 * scale)
        rows.append(np.abs(scipy.signal.fftconvolve(waveform, wavelet, mode="full"))[len(time) // 2 :][:RATE] ** 2)
    require_close(scalogram(transform, waveform, low), np.array(rows), 1.0)


def test_the_scalogram_is_pywavelets(waveform: Waveform) -> None:
    transform = CWT(**MORLET)
    # Above 1 kHz PyWavelets' own, differences of a sampled integral, loses up to 2 dB.
    low = transform.frequencies(RATE) < 1000
    scales = RATE / transform.frequencies(RATE)[low]
    coefficients, _ = pywt.cwt(waveform, scales, "cmor1.5-1.0", method="fft", precision=16)
    require_close(scalogram(transform, waveform, low), np.abs(coefficients) ** 2, 1.0)


def scalogram(transform: CWT, waveform: Waveform, low: npt.NDArray[np.bool_]) -> Image:
    """The image of the low rows alone."""
    return decibels(np.array(list(transform.powers(waveform, RATE)))[low])


def sound(rng: np.random.Generator) -> Waveform:
    """Noise that fades in, two tones, a click."""
    noise = 0.1 * rng.standard_normal(RATE) * np.linspace(0.2, 1, RATE)
    mixed: Waveform = (noise + 0.2 * tone(600) + 0.1 * tone(5000) + 0.5 * click()).astype(np.float32)
    return mixed


@each_base
def test_an_unchanged_image_gives_the_sound_back(transform: Representation, rng: np.random.Generator) -> None:
    waveform = sound(rng)
    rendered = transform.render(waveform, RATE, transform.image(waveform, RATE))
    assert rendered.shape == waveform.shape
    assert rendered.dtype == np.float32
    error = np.sum((rendered - waveform) ** 2) / np.sum(waveform**2)
    assert 10 * np.log10(error) < -60


@pytest.mark.parametrize("decibel", [-6.0, 6.0])
@each_base
def test_a_smooth_change_is_heard_again(transform: Representation, decibel: float, rng: np.random.Generator) -> None:
    waveform = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    image = transform.image(waveform, RATE)
    rows, frames = np.mgrid[:64, :48]
    bump = decibel / 80 * np.exp(-(((rows - 32) / 12) ** 2) - ((frames - 24) / 10) ** 2)
    intended = image + bump.astype(np.float32)
    again = transform.image(transform.render(waveform, RATE, intended), RATE)
    # An image is relative to its own maximum.
    error = again - again.max() - (intended - intended.max())
    assert np.abs(error - np.median(error)).mean() < 0.004
    assert np.abs(error - np.median(error)).max() < 0.03


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("samples", [1, 10, 400, 3000])
def test_short_clips_are_transformed_and_rendered(name: str, samples: int, rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(samples).astype(np.float32)
    transform = representations.load(name)
    image = transform.image(waveform, RATE)
    assert np.isfinite(image).all()
    rendered = transform.render(waveform, RATE, np.clip(image + 0.05, 0, 1))
    assert rendered.shape == waveform.shape
    assert np.isfinite(rendered).all()


def test_a_chromagram_that_no_sound_has_is_measured(rng: np.random.Generator) -> None:
    chromagram = Chromagram(hop_length=1024, octaves=7)
    transform = STFTTonnetz(base=STFT(**SPECTROGRAM), chromagram=chromagram)
    waveform = sound(rng)
    image = transform.image(waveform, RATE)
    assert transform.mismatch(waveform, RATE, image) == 0
    image[-19:] += 0.25
    assert transform.mismatch(waveform, RATE, image) == pytest.approx(0.25)
    np.testing.assert_array_equal(
        transform.render(waveform, RATE, image), transform.base.render(waveform, RATE, image[:-19])
    )


def test_windows_that_leave_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="hop_length must be at most half of n_fft = 512"):
        STFT(n_fft=512, hop_length=400, window="hann", rows=64, frames=48)


@pytest.mark.parametrize(("wavelet", "level"), [("haar", 3), ("db4", 5), ("sym8", 7)])
def test_wavelet_packets_are_pywavelets(wavelet: str, level: int, waveform: Waveform) -> None:
    waveform = waveform[: len(waveform) // 2**level * 2**level]
    tree = pywt.WaveletPacket(waveform, wavelet, mode="periodization", maxlevel=level)
    expected = np.stack([node.data for node in tree.get_level(level, order="freq")])
    np.testing.assert_allclose(packets(waveform, wavelet, level), expected, atol=1e-5)


def test_wavelet_packets_are_unpacked(waveform: Waveform) -> None:
    rebuilt = unpacked(packets(waveform, "sym8", 5), "sym8")
    np.testing.assert_allclose(rebuilt[: len(waveform)], waveform, atol=1e-4)
    assert np.abs(rebuilt[len(waveform) :]).max(initial=0) < 1e-4


def test_wavelet_packets_keep_the_energy(rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(5000).astype(np.float32)
    assert (packets(waveform, "sym8", 5) ** 2).sum() == pytest.approx((waveform**2).sum(), rel=1e-4)


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
