"""Every front end: range, shape, gradients; the transforms against librosa, PyWavelets and their mathematics."""

from collections.abc import Callable
from typing import Any

import librosa
import numpy as np
import numpy.typing as npt
import pytest
import pywt
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stages import representations
from stages.audio.decoding import Waveform
from stages.core import plugins
from stages.core.errors import InputError
from stages.representations.base import Image, Representation, restore
from stages.representations.base.bands import Bands
from stages.representations.base.decibels import HEADROOM_DB, Decibels
from stages.representations.base.pooling import pooling, spreading
from stages.representations.cwt import CWT
from stages.representations.dwt import DWT, Unpacked, WaveletPackets, analysis_filters, synthesis_filters
from stages.representations.mel import Mel
from stages.representations.stft import STFT

RATE = 22_050
NAMES = plugins.names("stages.representations")
Recordings = Callable[[int, float], list[Waveform]]
each_name = pytest.mark.parametrize("name", NAMES)


def tone(frequency: float) -> Waveform:
    return np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)


def click() -> Waveform:
    waveform = np.zeros(RATE, np.float32)
    waveform[RATE // 2] = 1
    return waveform


def odd_clips() -> dict[str, Waveform]:
    """What a front end may stumble over, a second of each."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    return {
        "silence": np.zeros(RATE, np.float32),
        "click": click(),
        "first sample": np.roll(click(), RATE // 2),
        "tone": tone(440),
        "noise": noise,
        "61 % zeros": np.where(np.arange(RATE) < 0.39 * RATE, noise, 0).astype(np.float32),
        "full-scale square": np.sign(tone(441) + np.float32(1e-6)),
        "faint": 1e-15 * noise,
        "inaudible": 1e-30 * noise,
        "constant": np.full(RATE, 0.5, np.float32),
        "fading": noise * np.float32(10) ** -np.linspace(0, 8, RATE, dtype=np.float32),
    }


def size_asked(transform: Representation) -> tuple[int, int]:
    """Rows, those of the chromagram among them, and frames, by the parameters."""
    settings = transform.model_dump()
    base = settings.get("base", settings)
    return base["rows"] + transform.chromagram_rows, base["frames"]


@pytest.mark.usefixtures("workdir")
@each_name
def test_images_and_gradients_are_finite_and_images_in_range(name: str) -> None:
    transform = representations.load(name)
    module = transform.module(RATE, RATE)
    for sound, waveform in odd_clips().items():
        samples = torch.from_numpy(waveform)[None].requires_grad_()
        image = module(samples)
        (gradient,) = torch.autograd.grad(image.sum() + image.square().sum(), samples)
        assert image.dtype == torch.float32, sound
        assert image.shape == (1, 1, *size_asked(transform)), sound
        assert image.isfinite().all(), sound
        assert 0 <= image.min() <= image.max() <= 1, sound
        assert gradient.isfinite().all(), sound


@pytest.mark.usefixtures("workdir")
@each_name
def test_a_clip_has_the_same_image_alone_and_in_a_batch(name: str) -> None:
    clips = torch.from_numpy(np.stack(list(odd_clips().values())))
    transform = representations.load(name)
    together = transform.module(RATE, RATE)(clips)
    for clip, image in zip(clips, together, strict=True):
        np.testing.assert_allclose(transform.image(clip.numpy(), RATE), image[0], atol=2e-5)


@pytest.mark.usefixtures("workdir")
@each_name
def test_gradients_are_those_of_the_numbers(name: str, rng: np.random.Generator) -> None:
    """In float64, of short clips, by PyTorch's own check against finite differences along random directions."""
    module = representations.load(name).module(4410, RATE).double()
    noise = torch.from_numpy(rng.standard_normal((2, 4410))).requires_grad_()
    assert module(noise).dtype == torch.float64
    assert torch.autograd.gradcheck(module, noise, eps=1e-6, atol=1e-4, fast_mode=True)


@pytest.mark.slow
@pytest.mark.usefixtures("workdir")
@each_name
def test_gradients_of_recordings_are_slopes(name: str, recordings: Recordings, rng: np.random.Generator) -> None:
    """Along a random direction, within 1 %; about 8 s for all."""
    module = representations.load(name).module(2 * RATE, RATE).double()
    for waveform in recordings(RATE, 2.0)[:5]:
        sound = torch.from_numpy(waveform).double()[None]
        # Noise lifts what is digitally silent off the floor, where there is a corner.
        sound = sound + 1e-5 * torch.from_numpy(rng.standard_normal(sound.shape))
        weights = torch.from_numpy(rng.standard_normal(module(sound).shape))
        direction = sound.abs().mean() * torch.from_numpy(rng.standard_normal(sound.shape))

        def value(waveforms: Tensor, weights: Tensor = weights) -> Tensor:
            product: Tensor = (weights * module(waveforms)).sum()
            return product

        slope = torch.autograd.functional.jvp(value, sound, direction)[1]
        step = 1e-7
        measured = (value(sound + step * direction) - value(sound - step * direction)) / (2 * step)
        assert measured == pytest.approx(float(slope), rel=0.01)


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("name", [name for name in NAMES if "tonnetz" not in name])
def test_loudness_does_not_matter(name: str, rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(RATE).astype(np.float32)
    loud, quiet = (representations.load(name).image(each, RATE) for each in (waveform, waveform / np.float32(1000)))
    assert np.abs(loud - quiet).max() < 1e-4


SCALE: dict[str, Any] = {"rows": 64, "frames": 48, "range_db": 80.0, "reference": "peak"}
SPECTROGRAM = SCALE | {"n_fft": 1024, "hop_length": 256, "window": "hann"}
PACKETS = SCALE | {"wavelet": "sym8", "level": 7}
MORLET = SCALE | {"bandwidth": 1.5, "centre": 1.0, "fmin": 50.0}
BASES: list[Bands] = [STFT(**SPECTROGRAM), Mel(**SPECTROGRAM), DWT(**PACKETS), CWT(**MORLET)]
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
    read: Recordings = request.getfixturevalue("recordings")
    return read(RATE, 1.0)[{"dog": 0, "rain": 1, "rooster": 8}[request.param]]


Power = npt.NDArray[np.floating]


def shown(power: Power) -> Image:
    """The image of power at rows and places: pooled, then librosa's decibels."""
    pooled = power.astype(np.float64) @ pooling(power.shape[1], 48).T
    levels: Power = librosa.power_to_db(pooled, ref=np.max, amin=1e-60, top_db=80.0)
    return (1 + levels / 80).astype(np.float32)


def test_the_mel_spectrogram_is_librosas(waveform: Waveform) -> None:
    power = librosa.feature.melspectrogram(y=waveform, sr=RATE, n_fft=1024, hop_length=256, n_mels=64)
    np.testing.assert_allclose(BASES[1].image(waveform, RATE), shown(power), atol=2e-5)


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman"])
def test_the_spectrogram_is_librosas(waveform: Waveform, window: str) -> None:
    transform = STFT(**SPECTROGRAM | {"window": window})
    power = np.abs(librosa.stft(waveform.astype(np.float64), n_fft=1024, hop_length=256, window=window)) ** 2
    np.testing.assert_allclose(transform.image(waveform, RATE), shown(pooling(513, 64) @ power), atol=2e-5)


@pytest.mark.parametrize(("wavelet", "level"), [("haar", 4), ("db4", 5), ("sym8", 7), ("bior2.4", 6)])
def test_wavelet_packets_are_pywavelets(wavelet: str, level: int, waveform: Waveform) -> None:
    whole = np.pad(waveform.astype(np.float64), (0, -len(waveform) % 2**level))
    tree = pywt.WaveletPacket(whole, wavelet, mode="periodization", maxlevel=level)
    expected = np.stack([node.data for node in tree.get_level(level, order="freq")])
    found = packets(len(waveform), wavelet, level)(torch.from_numpy(waveform)[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    transform = DWT(**PACKETS | {"wavelet": wavelet, "level": level})
    image = shown(pooling(len(expected), 64) @ expected**2)
    # In float32, a full-scale tone that cancels 80 dB deep leaves so much.
    np.testing.assert_allclose(transform.image(waveform, RATE), image, atol=5e-5)


def packets(samples: int, wavelet: str, level: int) -> WaveletPackets:
    return WaveletPackets(samples, level, *analysis_filters(wavelet))


@pytest.mark.parametrize("samples", [1, 40, 5000])
@pytest.mark.parametrize("wavelet", ["sym8", "db4", "bior2.4"])
def test_wavelet_packets_are_unpacked(wavelet: str, samples: int, rng: np.random.Generator) -> None:
    """Clips that are shorter than the filters too."""
    waveforms = torch.from_numpy(rng.standard_normal((2, samples)).astype(np.float32))
    unpacked = Unpacked(samples, 5, *synthesis_filters(wavelet))
    torch.testing.assert_close(unpacked(packets(samples, wavelet, 5)(waveforms)), waveforms, atol=1e-5, rtol=0)


def test_wavelet_packets_keep_the_energy(rng: np.random.Generator) -> None:
    waveforms = torch.from_numpy(rng.standard_normal((1, 5000)))
    energy = packets(5000, "sym8", 5).double()(waveforms).square().sum()
    assert float(energy) == pytest.approx(float(waveforms.square().sum()), rel=1e-6)


def require_close(found: Image, power: Power, decibel: float) -> None:
    """An image against the power of the rows that it should show, where that is above -40 dB."""
    expected = shown(power)
    loud = np.maximum(expected, found) > 1 - 40 / 80
    assert 80 * np.abs(found - expected)[loud].max() < decibel


def test_a_scalogram_needs_rows_that_rise() -> None:
    with pytest.raises(InputError, match=r"`fmin` must be below 0\.45 audio\.sample_rate = \d+ Hz.*; found 9999"):
        CWT(**MORLET | {"fmin": 9999}).module(4000, 8000)


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
    powers = transform.module(RATE, RATE)[0](torch.from_numpy(waveform)[None])  # type: ignore[index]
    image: Image = Decibels(80.0, "peak")(powers[:, low])[0, 0].numpy()
    return image


def test_quiet_frames_of_a_scalogram_are_not_rounding() -> None:
    """A frame 70 dB below another: sums over the clip in float32 would lose it."""
    waveform = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    waveform[RATE // 2 :] *= 10 ** (-70 / 20)
    module = CWT(**MORLET).module(RATE, RATE)
    exact = module.double()(torch.from_numpy(waveform)[None].double())[0, 0].numpy()
    np.testing.assert_allclose(CWT(**MORLET).image(waveform, RATE), exact, atol=1e-3)


def test_decibels() -> None:
    power = torch.tensor([[[1.0, 0.1, 1e-4, 1e-8, 0.0]]])
    np.testing.assert_allclose(Decibels(80.0, "peak")(power)[0, 0, 0], [1, 0.875, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(Decibels(40.0, "peak")(power)[0, 0, 0], [1, 0.75, 0, 0, 0], atol=1e-6)
    assert not Decibels(80.0, "peak")(torch.zeros(1, 2, 2)).any()
    assert not Decibels(80.0, "rms")(torch.zeros(1, 2, 2)).any()


def test_one_loud_bin_moves_an_image_by_its_peak_and_hardly_by_its_mean() -> None:
    power = torch.ones(1, 50, 40)
    clicked = power.clone()
    clicked[0, 20, 20] = 1000.0
    rest = torch.arange(50) != 20
    peak, rms = Decibels(80.0, "peak"), Decibels(80.0, "rms")
    assert rms(power).unique().tolist() == pytest.approx([1 - HEADROOM_DB / 80])
    assert float((peak(power) - peak(clicked))[:, :, rest].mean()) == pytest.approx(30 / 80)
    assert float((rms(power) - rms(clicked))[:, :, rest].mean()) == pytest.approx(10 * np.log10(1.4995) / 80, rel=1e-4)


@pytest.mark.parametrize("reference", ["peak", "rms"])
@pytest.mark.parametrize("range_db", [60.0, 100.0])
def test_the_range_and_the_reference_are_parameters(range_db: float, reference: str, rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(RATE).astype(np.float32)
    wide, other = BASES[1], Mel(**SPECTROGRAM | {"range_db": range_db, "reference": reference})
    levels, others = 80 * (wide.image(waveform, RATE) - 1), range_db * (other.image(waveform, RATE) - 1)
    np.testing.assert_allclose(others - others.max(), levels, atol=1e-3)


def sound(rng: np.random.Generator) -> Waveform:
    """Noise that fades in, two tones, a click."""
    noise = 0.1 * rng.standard_normal(RATE) * np.linspace(0.2, 1, RATE)
    mixed: Waveform = (noise + 0.2 * tone(600) + 0.1 * tone(5000) + 0.5 * click()).astype(np.float32)
    return mixed


def rendered(transform: Representation, waveform: Waveform, image: Image) -> Waveform:
    waveforms, images = torch.from_numpy(waveform)[None], torch.from_numpy(image)[None, None]
    sounds: Waveform = transform.render(waveforms, RATE, images)[0].numpy()
    return sounds


@pytest.mark.usefixtures("workdir")
@each_name
def test_an_unchanged_image_gives_the_sound_back(name: str, rng: np.random.Generator) -> None:
    waveform, transform = sound(rng), representations.load(name)
    again = rendered(transform, waveform, transform.image(waveform, RATE))
    assert again.shape == waveform.shape
    assert again.dtype == np.float32
    error = np.sum((again - waveform) ** 2) / np.sum(waveform**2)
    assert 10 * np.log10(error) < -60


@pytest.mark.parametrize(("kind", "left"), [("stft", 0.15), ("mel", 0.2), ("dwt", 0.02), ("cwt", 0.7)])
def test_a_pattern_of_signs_is_rendered(kind: str, left: float, rng: np.random.Generator) -> None:
    """What an attack within a budget makes; `left` is the share of it that no sound shows, or none was found for."""
    transform = {"stft": BASES[0], "mel": BASES[1], "dwt": BASES[2], "cwt": BASES[3]}[kind]
    waveform = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    image = transform.image(waveform, RATE)
    wanted = np.clip(image + 0.02 * rng.choice([-1, 1], image.shape), 0, 1).astype(np.float32)
    error = np.abs(transform.image(rendered(transform, waveform, wanted), RATE) - wanted).mean()
    assert error < left * np.abs(wanted - image).mean()


@pytest.mark.parametrize("decibel", [-6.0, -20.0])
@each_base
def test_a_smooth_change_is_heard_again(transform: Representation, decibel: float, rng: np.random.Generator) -> None:
    waveform = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    image = transform.image(waveform, RATE)
    rows, frames = np.mgrid[:64, :48]
    bump = decibel / 80 * np.exp(-(((rows - 32) / 12) ** 2) - ((frames - 24) / 10) ** 2)
    intended = image + bump.astype(np.float32)
    again = transform.image(rendered(transform, waveform, intended), RATE)
    # An image is relative to its own maximum.
    error = again - again.max() - (intended - intended.max())
    assert np.abs(error - np.median(error)).mean() < 0.004
    assert np.abs(error - np.median(error)).max() < 0.03


def test_a_rendered_chromagram_follows_from_the_sound(rng: np.random.Generator) -> None:
    chromagram = {"hop_length": 1024, "octaves": 7}
    transform = restore("dwt_tonnetz", {"base": PACKETS, "chromagram": chromagram})
    waveform = sound(rng)
    image = transform.image(waveform, RATE)
    image[-transform.chromagram_rows :] += 0.25
    again = rendered(transform, waveform, image)
    np.testing.assert_array_equal(again, rendered(BASES[2], waveform, image[: -transform.chromagram_rows]))


@pytest.mark.usefixtures("workdir")
@each_name
@pytest.mark.parametrize("samples", [1, 10, 400, 3000])
def test_short_clips_are_transformed_and_rendered(name: str, samples: int, rng: np.random.Generator) -> None:
    waveform = rng.standard_normal(samples).astype(np.float32)
    transform = representations.load(name)
    image = transform.image(waveform, RATE)
    assert np.isfinite(image).all()
    again = rendered(transform, waveform, np.clip(image + np.float32(0.05), 0, 1))
    assert again.shape == waveform.shape
    assert np.isfinite(again).all()


def test_windows_that_leave_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="hop_length must be at most half of n_fft = 512"):
        STFT(**SPECTROGRAM | {"n_fft": 512, "hop_length": 400})


def test_a_representation_is_restored_from_its_parameters() -> None:
    assert restore("mel", SPECTROGRAM) == BASES[1]
    with pytest.raises(InputError, match=r"parameters of mel\.hops: unknown key; the keys here are: frames"):
        restore("mel", SPECTROGRAM | {"hops": 1})
    with pytest.raises(InputError, match="unknown name 'mfcc' among the representations"):
        restore("mfcc", SPECTROGRAM)


@given(length=st.integers(1, 50), size=st.integers(1, 50))
def test_pooled_means_stay_within_the_values(length: int, size: int) -> None:
    values = np.arange(length, dtype=float)
    pooled = pooling(length, size) @ values
    assert pooled.shape == (size,)
    assert (np.diff(pooled) >= -1e-9).all()
    assert pooled.min() >= -1e-9
    assert pooled.max() <= length - 1 + 1e-9
    if length % size == 0:
        np.testing.assert_allclose(pooled, values.reshape(size, -1).mean(axis=1))


@given(length=st.integers(1, 50), size=st.integers(1, 50))
def test_what_is_spread_keeps_its_level(length: int, size: int) -> None:
    spread = spreading(pooling(length, size))
    assert spread.shape == (length, size)
    np.testing.assert_allclose(spread @ np.full(size, 3.0), 3.0)
