"""What a listener does not hear beside a clip."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.audio.decoding import Waveform
from stages.audio.masking import PEAK_DB, SPREAD, Masking, bark, spreading, threshold_in_quiet
from stages.core.arrays import Floats

RATE = 22_050
SPACING = RATE / 1024
MASKING = Masking(RATE)


def tone(place: float, samples: int = RATE // 2) -> Waveform:
    """Make a sine in the middle of a bin, or between bins."""
    sine: Waveform = np.sin(2 * np.pi * place * SPACING * np.arange(samples) / RATE).astype(np.float32)
    return sine


def noise(samples: int = RATE // 2, seed: int = 0) -> Waveform:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def band(low: float, high: float, samples: int = RATE) -> Waveform:
    """Make noise between two frequencies, in Hz, of a sine's power."""
    spectrum = np.fft.rfft(noise(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    filtered = np.fft.irfft(spectrum, samples)
    waveform: Waveform = (filtered / filtered.std() / np.sqrt(2)).astype(np.float32)
    return waveform


def levels(waveform: Waveform) -> Floats:
    """Find the threshold amid a sine of amplitude 1, in dB over it."""
    thresholds = MASKING.thresholds(waveform[None])[0].numpy()
    return 20 * np.log10(thresholds[:, thresholds.shape[1] // 2] / 256)


@pytest.mark.parametrize(("frequency", "level"), [(100.0, 23.0), (1000.0, 3.4), (3300.0, -5.0), (19_000.0, 68.0)])
def test_threshold_in_quiet_is_terhardts(frequency: float, level: float) -> None:
    np.testing.assert_allclose(threshold_in_quiet(np.array([frequency])), level, atol=0.05)


def test_bark_follows_zwickers_critical_bands() -> None:
    edges = np.array([100, 510, 1080, 2000, 4400, 9500, 15_500])
    np.testing.assert_allclose(bark(edges), [1, 5, 9, 13, 18, 22, 24], atol=0.25)


def spreading_of_the_standard(distance: float, level: float) -> float:
    """Write the spreading function as the standard does, piece by piece."""
    if distance < -1:
        return 17 * (distance + 1) - (0.4 * level + 6)
    if distance < 0:
        return (0.4 * level + 6) * distance
    if distance < 1:
        return -17 * distance
    return -(distance - 1) * (17 - 0.15 * level) - 17


@given(st.floats(*SPREAD), st.floats(-5, 100))
def test_spreading_is_the_standards(distance: float, level: float) -> None:
    expected = spreading_of_the_standard(distance, level)
    np.testing.assert_allclose(spreading(np.array([distance]), np.array([level])), [[expected]], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([4000, 8000, 11_025, 16_000, 22_050, 44_100, 96_000, 192_000]), st.integers(1, 5000))
def test_transform_is_inverted(rate: int, samples: int) -> None:
    masking, waveforms = Masking(rate), torch.from_numpy(noise(2 * samples)).reshape(2, samples)
    spectra = masking.stft(waveforms)
    torch.testing.assert_close(masking.istft(spectra, samples), waveforms, rtol=0, atol=1e-6)
    thresholds = masking.thresholds(waveforms.numpy())
    assert thresholds.shape == spectra.shape
    assert thresholds.isfinite().all()
    assert (thresholds > 0).all()


@pytest.mark.parametrize(("rate", "length"), [(8000, 512), (11_025, 512), (22_050, 1024), (44_100, 2048)])
def test_windows_last_about_46_ms(rate: int, length: int) -> None:
    assert Masking(rate).window_length == length


def test_every_sample_weighs_the_same() -> None:
    impulses = torch.eye(3000)[::37]
    energy = MASKING.stft(impulses).abs().square()
    of_both_sides = 2 * energy.sum((1, 2)) - energy[:, [0, -1]].sum((1, 2))
    torch.testing.assert_close(of_both_sides, torch.full_like(of_both_sides, 1024 * 1.5))


def test_transform_and_inverse_have_gradients() -> None:
    waveforms = torch.randn(1, 700, dtype=torch.float64, requires_grad=True)
    masking = Masking(4000)
    assert torch.autograd.gradcheck(lambda sound: masking.istft(2 * masking.stft(sound), 700).square().sum(), waveforms)


@pytest.mark.parametrize("place", [10, 46, 200, 400])
def test_tone_hides_what_the_standard_says(place: int) -> None:
    rate = bark(np.array([place * SPACING])).item()
    assert levels(tone(place))[place] == pytest.approx(-6.025 - 0.275 * rate, abs=0.1)


@pytest.mark.parametrize("place", [46, 200])
def test_tone_between_bins_hides_as_much(place: int) -> None:
    assert levels(tone(place + 0.5)).max() == pytest.approx(levels(tone(place)).max(), abs=0.2)


@pytest.mark.parametrize("place", [46, 100, 200])
def test_tone_hides_more_above_it_than_below(place: int) -> None:
    frequencies = np.arange(513) * SPACING
    below, above = np.interp(bark(frequencies[place]) + np.array([-1, 1]), bark(frequencies), levels(tone(place)))
    assert below < above - 20


def test_threshold_far_from_a_tone_is_that_in_quiet() -> None:
    quiet = threshold_in_quiet(np.arange(513) * SPACING) - PEAK_DB
    far = bark(np.arange(513) * SPACING) < bark(np.array(200 * SPACING)) + SPREAD[0]
    hidden = levels(tone(200))
    np.testing.assert_allclose(hidden[far], quiet[far], atol=0.01)
    assert (hidden >= quiet - 0.01).all()


@pytest.mark.parametrize(("low", "high"), [(920, 1080), (2770, 3220), (5500, 6500)])
def test_noise_hides_more_than_a_tone(low: float, high: float) -> None:
    sine = tone(round((low + high) / 2 / SPACING), RATE)
    inside = slice(round(low / SPACING), round(high / SPACING))
    by_noise, by_tone = MASKING.thresholds(np.stack([band(low, high), sine]))[:, inside, 8:-8].log().mean((1, 2))
    assert by_noise > by_tone + np.log(10) / 20


def test_weaker_of_two_tones_close_by_does_not_count() -> None:
    alone, both = levels(tone(200)), levels(tone(200) + 0.1 * tone(210))
    np.testing.assert_allclose(both, alone, atol=0.3)


@given(st.integers(-12, 15))
@settings(deadline=None, max_examples=10)
def test_threshold_follows_the_clips_level(power_of_two: int) -> None:
    clip, scale = (tone(50, 3000) + noise(3000))[None], 2.0**power_of_two
    assert torch.equal(MASKING.thresholds(np.float32(scale) * clip), scale * MASKING.thresholds(clip))


def test_threshold_of_a_tenth_of_a_clip_is_a_tenth() -> None:
    clip = (tone(50) + noise())[None]
    torch.testing.assert_close(MASKING.thresholds(0.1 * clip), 0.1 * MASKING.thresholds(clip), rtol=1e-4, atol=0)


@pytest.mark.parametrize("amplitude", [0, 1e-30, 1e-9])
def test_silent_clip_has_the_threshold_in_quiet_of_full_scale(amplitude: float) -> None:
    quiet = threshold_in_quiet(np.arange(513) * SPACING) - PEAK_DB
    np.testing.assert_allclose(levels(np.float32(amplitude) * tone(50)), quiet, atol=1e-3)


def test_what_cannot_be_heard_does_not_set_the_level() -> None:
    clip = tone(46)
    np.testing.assert_allclose(levels(clip + np.float32(0.7))[40:], levels(clip)[40:], atol=1e-3)


def test_clip_has_the_same_threshold_in_any_batch() -> None:
    clips = np.stack([tone(50), noise(), np.zeros(RATE // 2, np.float32)])
    for clip, threshold in zip(clips, MASKING.thresholds(clips), strict=True):
        assert torch.equal(MASKING.thresholds(clip[None])[0], threshold)


def test_batch_may_be_empty() -> None:
    nothing = np.zeros((0, 5000), np.float32)
    assert MASKING.thresholds(nothing).shape == (0, *MASKING.thresholds(noise(5000)[None]).shape[1:])
    assert MASKING.excess(nothing, nothing).shape == (0,)


def test_excess_grows_with_the_perturbation() -> None:
    clips, deltas = np.stack([tone(50), noise()]), np.stack([noise(seed=1), noise(seed=2)])
    excess = MASKING.excess(clips, deltas)
    assert (excess > 0).all()
    np.testing.assert_array_equal(MASKING.excess(clips, 0 * deltas), 0)
    assert MASKING.excess(clips, 2 * deltas).tolist() == (2 * excess).tolist()
    np.testing.assert_allclose(MASKING.excess(0.1 * clips, 0.1 * deltas), excess, rtol=1e-4)
    np.testing.assert_allclose(
        MASKING.excess(clips, np.divide(deltas, excess[:, None], dtype=np.float32)), 1, rtol=1e-4
    )


@pytest.mark.parametrize(("ratio_db", "heard"), [(60, False), (0, True)])
def test_noise_beside_loud_noise_is_heard_by_its_level(ratio_db: float, heard: bool) -> None:
    scale = np.float32(10 ** (-ratio_db / 20))
    assert (MASKING.excess(noise()[None], scale * noise(seed=1)[None]) > 1) == heard


def test_clipped_spectra_make_a_perturbation_that_exceeds_less() -> None:
    clips, deltas = noise()[None], noise(seed=1)[None]
    spectra = MASKING.stft(torch.from_numpy(deltas))
    clipped = (MASKING.thresholds(clips) / spectra.abs()).clamp(max=1) * spectra
    hidden = MASKING.istft(clipped, deltas.shape[1]).numpy()
    assert MASKING.excess(clips, hidden) < MASKING.excess(clips, deltas)
