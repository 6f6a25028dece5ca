"""Decoding to one rate, one channel, one duration."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from stages import audio
from stages.audio import AudioParams
from stages.console import InputError

PARAMS = AudioParams(sample_rate=16_000, duration=1.0)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_a_tone_keeps_its_pitch(tmp_path: Path, rate: int, subtype: str) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone, tone], axis=1), rate, subtype=subtype)
    waveform = audio.load(tmp_path / "tone.wav", PARAMS)
    assert waveform.shape == (16_000,)
    assert waveform.dtype == np.float32
    assert np.abs(np.fft.rfft(waveform)).argmax() == 1000


@given(length=st.integers(1, 40), samples=st.integers(1, 40))
def test_duration_is_fixed_about_the_centre(length: int, samples: int) -> None:
    fixed = audio.fix_duration(np.arange(1, length + 1, dtype=np.float32), samples)
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
    for read in (lambda path: audio.load(path, PARAMS), audio.seconds):
        with pytest.raises(InputError, match=r"text\.wav cannot be read as sound"):
            read(text)
        with pytest.raises(InputError, match=r"empty\.wav holds no sound"):
            read(tmp_path / "empty.wav")
    with pytest.raises(InputError, match=r"nan\.wav holds samples that are not finite"):
        audio.load(tmp_path / "nan.wav", PARAMS)
