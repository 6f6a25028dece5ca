"""Decoding to one rate, one channel, one duration."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from stages.audio import decoding
from stages.audio.decoding import AudioParams
from stages.core.errors import InputError

PARAMS = AudioParams(sample_rate=16_000, duration=1.0)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_a_tone_keeps_its_pitch(tmp_path: Path, rate: int, subtype: str) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone, tone], axis=1), rate, subtype=subtype)
    waveform = decoding.load(tmp_path / "tone.wav", PARAMS)
    assert waveform.shape == (16_000,)
    assert waveform.dtype == np.float32
    assert np.abs(np.fft.rfft(waveform)).argmax() == 1000


@given(length=st.integers(1, 40), samples=st.integers(1, 40))
def test_duration_is_fixed_about_the_centre(length: int, samples: int) -> None:
    fixed = decoding.fix_duration(np.arange(1, length + 1, dtype=np.float32), samples)
    assert len(fixed) == samples
    kept = fixed[fixed > 0]
    assert len(kept) == min(length, samples)
    left, right = (fixed > 0).argmax(), (fixed[::-1] > 0).argmax()
    assert abs(int(left) - int(right)) <= 1
    assert abs((kept[0] - 1) - (length - kept[-1])) <= 1


def test_files_that_are_not_sound(tmp_path: Path) -> None:
    (text := tmp_path / "text.wav").write_text("hello")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 8000, subtype="FLOAT")
    for read in (lambda path: decoding.load(path, PARAMS), decoding.seconds):
        with pytest.raises(InputError, match=r"text\.wav cannot be read as sound"):
            read(text)
        with pytest.raises(InputError, match=r"empty\.wav holds no sound"):
            read(tmp_path / "empty.wav")
    with pytest.raises(InputError, match=r"nan\.wav holds samples that are not finite"):
        decoding.load(tmp_path / "nan.wav", PARAMS)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "IMA_ADPCM", "ULAW"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_common_coding(tmp_path: Path, subtype: str, channels: int) -> None:
    if subtype == "IMA_ADPCM" and channels > 2:
        pytest.skip("ADPCM has two channels at most")
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone] * channels, axis=1), 8000, subtype=subtype)
    assert decoding.seconds(tmp_path / "tone.wav") == pytest.approx(1, abs=0.07)
    waveform = decoding.load(tmp_path / "tone.wav", PARAMS)
    assert np.abs(waveform).max() == pytest.approx(0.5, abs=0.05)


def test_files_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "mine.wav", np.ones(80), 8000)
    (tmp_path / "mine.wav").chmod(0)
    if os.access(tmp_path / "mine.wav", os.R_OK):  # root reads everything

        def deny(*_args: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(InputError, match=r"mine\.wav cannot be read as sound: Permission denied"):
        decoding.seconds(tmp_path / "mine.wav")


def test_channels_are_averaged(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(16_000) / 16_000)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone, -tone], axis=1), 16_000, subtype="FLOAT")
    assert np.abs(decoding.load(tmp_path / "tone.wav", PARAMS)).max() < 1e-6


def test_of_a_long_file_only_the_centre_is_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(8000 * 600).astype(np.float32) / 10
    soundfile.write(tmp_path / "long.wav", noise, 8000, subtype="FLOAT")
    assert decoding.seconds(tmp_path / "long.wav") == 600
    whole = decoding.fix_duration(soxr.resample(noise, 8000, 16_000, quality="HQ"), 16_000)
    np.testing.assert_allclose(decoding.load(tmp_path / "long.wav", PARAMS), whole, atol=1e-4)


def test_ten_milliseconds_are_padded_and_silence_stays(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(80, 0.5), 8000)
    waveform = decoding.load(tmp_path / "short.wav", PARAMS)
    assert waveform.shape == (16_000,)
    assert np.flatnonzero(np.abs(waveform) > 0.1).mean() == pytest.approx(8000, abs=5)
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 8000)
    assert not decoding.load(tmp_path / "silence.wav", PARAMS).any()


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(20 * 8000) / 10
    soundfile.write(tmp_path / "whole.mp3", noise, 8000)
    assert decoding.seconds(tmp_path / "whole.mp3") == pytest.approx(20, abs=0.2)
    content = (tmp_path / "whole.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(content[: len(content) // 3])
    with pytest.raises(InputError, match=r"cut\.mp3 is cut off: .* s of sound, of 20"):
        decoding.seconds(tmp_path / "cut.mp3")


def test_raw_samples_are_no_sound_file(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(800))
    with pytest.raises(InputError, match=r"a\.raw cannot be read as sound: raw samples, without a header"):
        decoding.seconds(tmp_path / "a.raw")


def test_loud_channels_do_not_overflow(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.full((16_000, 2), 3e37, np.float32), 16_000, subtype="FLOAT")
    assert np.isfinite(decoding.load(tmp_path / "loud.wav", PARAMS)).all()
