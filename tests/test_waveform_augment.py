"""Augmented copies of a clip: as far from it as asked, by the oracle of a tone; drawn per clip."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from stages.audio.augment import WaveformAugmentParams, augmented_copy
from stages.audio.decoding import AudioParams, Waveform, load
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.representations.base import restore
from stages.representations.base.extraction import BATCH, Extraction, extract
from stages.representations.stft import STFT

RATE = 22_050
SOUND = AudioParams(sample_rate=RATE, duration=1.0)
TRANSFORM = STFT(n_fft=1024, hop_length=256, window="hann", rows=64, frames=32, range_db=80.0, reference="peak")


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


def test_images_do_not_depend_on_the_threads(tmp_path: Path, rng: np.random.Generator, compute: ComputeParams) -> None:
    names = [f"{number}.wav" for number in range(2 * BATCH + 3)]
    for name in names:
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(RATE), RATE)
    extraction = Extraction(TRANSFORM, SOUND, params(speed=0.2, noise=0.3), seed=0)
    one, three = (
        list(extract(tmp_path, names, extraction, compute.model_copy(update={"workers": workers})))
        for workers in (1, 3)
    )
    assert len(one) == len(names)
    assert one[0].shape == (4, *extraction.silence().shape) == (4, 64, 32)
    np.testing.assert_array_equal(np.stack(one), np.stack(three))
    own = TRANSFORM.image(load(tmp_path / names[-1], SOUND), RATE)
    np.testing.assert_allclose(one[-1][0], own, atol=1e-6)
    # Nor on the clips beside them, but for rounding.
    again = list(extract(tmp_path, names[1:], extraction, compute))
    np.testing.assert_allclose(np.stack(again), np.stack(one[1:]), atol=1e-6)


def test_the_first_clip_that_cannot_be_read_is_named(tmp_path: Path, compute: ComputeParams) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    extraction = Extraction(TRANSFORM, SOUND, params(), seed=0)
    with pytest.raises(InputError, match=r"bad\.wav cannot be read as sound"):
        list(extract(tmp_path, ["bad.wav"], extraction, compute))


def test_the_image_of_silence_is_each_rows_silent_value() -> None:
    transform = restore(
        "stft_tonnetz", {"base": TRANSFORM.model_dump(), "chromagram": {"hop_length": 1024, "octaves": 7}}
    )
    silence = Extraction(transform, SOUND, params(), seed=0).silence()
    assert (silence == silence[:, :1]).all()
    assert silence[:, 0].tolist() == [0.0] * 64 + [0.0] * 12 + [0.5] * 6 + [0.0]
