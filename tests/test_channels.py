"""Channels: each gives a clip what it says, in time, the same in any batch, with gradients."""

import importlib.util

import numpy as np
import pytest
import torch
from torch import Tensor

from stages.audio import channels
from stages.audio.channels import CHANNELS
from stages.core.errors import InputError

RATE = 22_050
STEP = 2**-15
"""Of 16 bits."""

needs_room = pytest.mark.skipif("room" not in channels.available(), reason="needs pyroomacoustics")
every_channel = pytest.mark.parametrize("name", channels.available())


def send(name: str, waveforms: Tensor, sample_rate: int = RATE, seed: int = 1) -> Tensor:
    return CHANNELS[name](waveforms, sample_rate, np.random.default_rng(seed))


def sounds(clips: int, samples: int = RATE // 2, level: float = 0.1) -> Tensor:
    """White noises of that RMS."""
    return level * torch.randn(clips, samples, generator=torch.Generator().manual_seed(0))


def band(samples: int, top: float) -> Tensor:
    """One noise that falls in level with frequency, as recordings do, up to a share of the sample rate."""
    frequency = torch.fft.rfftfreq(samples)
    spectrum = torch.fft.rfft(sounds(1, samples)) * (frequency < top) / (1 + 50 * frequency)
    sound: Tensor = torch.fft.irfft(spectrum, samples)
    return 0.1 * sound / sound.square().mean().sqrt()


def best_lag(later: Tensor, earlier: Tensor) -> int:
    """Samples that the first of two sounds, shape (1, samples), comes after the second."""
    length = 2 * later.shape[1]
    spectrum = torch.fft.rfft(later, length) * torch.fft.rfft(earlier, length).conj()
    lag = int(torch.fft.irfft(spectrum, length).argmax())
    return lag - length if lag > length // 2 else lag


def power(waveforms: Tensor) -> float:
    """In dB."""
    return float(10 * waveforms.double().square().mean().log10())


def slope(name: str, waveforms: Tensor, weights: Tensor) -> Tensor:
    """Gradient of a weighted sum of what arrives."""
    leaf = waveforms.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((send(name, leaf) * weights).sum(), leaf)
    return gradient


@every_channel
@pytest.mark.parametrize(("samples", "rate"), [(1, RATE), (400, RATE), (9001, 8000), (9001, 44_100), (9001, 96_000)])
def test_what_arrives_is_finite_and_of_the_same_shape(name: str, samples: int, rate: int) -> None:
    sent = sounds(2, samples)
    arrived = send(name, sent, rate)
    assert (arrived.shape, arrived.dtype) == (sent.shape, torch.float32)
    assert arrived.isfinite().all()


@every_channel
@pytest.mark.parametrize("samples", [1, 400, RATE])
def test_silence_stays_silent(name: str, samples: int) -> None:
    silence = torch.zeros(1, samples)
    torch.testing.assert_close(send(name, silence), silence, rtol=0, atol=STEP)
    assert slope(name, silence, torch.ones_like(silence)).isfinite().all()


@every_channel
def test_equal_draws_give_equal_sounds(name: str) -> None:
    first = send(name, sounds(2))
    channels._impulse_response.cache_clear()
    assert torch.equal(first, send(name, sounds(2)))


@every_channel
def test_only_noise_and_the_room_are_drawn(name: str) -> None:
    same = torch.equal(send(name, sounds(2), seed=1), send(name, sounds(2), seed=2))
    assert same == (name not in {"noise", "room"})


@every_channel
def test_a_clip_arrives_as_it_does_alone(name: str) -> None:
    sent = sounds(3)
    rounding = {"noise": 1e-6, "room": 1e-5}
    torch.testing.assert_close(send(name, sent)[1:2], send(name, sent[1:2]), rtol=0, atol=rounding.get(name, 0.0))


@every_channel
def test_what_is_sent_is_not_changed(name: str) -> None:
    sent = sounds(2)
    send(name, sent)
    assert torch.equal(sent, sounds(2))


@pytest.mark.parametrize("name", ["wav", "flac", "resample", "ogg", "mp3"])
def test_processed_sounds_have_the_gradients_of_the_identity(name: str) -> None:
    weights = sounds(2)
    assert torch.equal(slope(name, sounds(2), weights), weights)


@pytest.mark.parametrize("name", ["louder", "quieter", "shift", pytest.param("room", marks=needs_room)])
def test_gradients_are_the_adjoint_of_a_linear_channel(name: str) -> None:
    sent, weights = sounds(2).double(), sounds(4).double()[2:]
    arrived, gradient = send(name, sent.float()), slope(name, sounds(2), weights.float())
    assert float((arrived * weights).sum()) == pytest.approx(float((sent * gradient).sum()), rel=1e-4)


def test_gradients_of_noise_follow_its_level() -> None:
    sent, step = sounds(1), 0.01
    noise = (send("noise", sent) - sent) / sent.square().mean().sqrt()
    louder, softer = ((send("noise", factor * sent) * noise).sum() for factor in (1 + step, 1 - step))
    along = (slope("noise", sent, noise) * sent).sum()
    assert float(along) == pytest.approx(float((louder - softer) / (2 * step)), rel=1e-3)


def test_gradients_end_where_the_converter_clips() -> None:
    sent = torch.tensor([[0.25, 0.75, -0.75]])
    torch.testing.assert_close(slope("louder", sent, torch.ones(1, 3)), torch.tensor([[10**0.3, 0, 0]]))


def test_a_wav_file_rounds_to_16_bits() -> None:
    sent = sounds(2)
    error = send("wav", sent) - sent
    assert 0.49 * STEP < error.abs().max() <= 0.5 * STEP
    assert abs(error.mean()) < 0.01 * STEP


def test_files_clip_at_full_scale() -> None:
    ends = torch.tensor([[1.0, -1.0]])
    assert torch.equal(send("wav", ends), torch.tensor([[1 - STEP, -1.0]]))


def test_flac_gives_what_wav_does() -> None:
    assert torch.equal(send("flac", sounds(2, level=0.4)), send("wav", sounds(2, level=0.4)))


def test_the_level_changes_by_6_decibels() -> None:
    sent = sounds(2)
    assert power(send("louder", sent)) - power(sent) == pytest.approx(6, abs=1e-3)
    assert power(send("quieter", sent)) - power(sent) == pytest.approx(-6, abs=1e-3)


@pytest.mark.parametrize("rate", [8000, RATE, 44_100])
def test_a_shift_moves_all_samples(rate: int) -> None:
    sent, later = sounds(2, rate), round(0.01 * rate)
    arrived = send("shift", sent, rate)
    assert torch.equal(arrived[:, later:], sent[:, :-later])
    assert not arrived[:, :later].any()


def test_noise_is_30_decibels_below_each_clip() -> None:
    sent = sounds(2, 5 * RATE) * torch.tensor([[1.0], [0.01]])
    noise = send("noise", sent) - sent
    for clip in range(2):
        assert power(sent[clip]) - power(noise[clip]) == pytest.approx(30, abs=0.1)
    torch.testing.assert_close(noise[0], 100 * noise[1], rtol=0.02, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, RATE, 37_800, 44_100, 96_000])
@pytest.mark.parametrize("name", ["ogg", "mp3"])
def test_codecs_lose_something_but_no_time(name: str, rate: int) -> None:
    sent = band(2 * rate, 0.2)
    arrived = send(name, sent, rate)
    assert best_lag(arrived, sent) == 0
    assert 8 < power(sent) - power(arrived - sent) < 40


def test_long_sounds_can_be_coded() -> None:
    assert send("ogg", torch.full((1, 5_000_000), 0.1)).mean() == pytest.approx(0.1, abs=1e-3)


def test_resampling_loses_only_the_top_of_the_band() -> None:
    sent = sounds(1, RATE)
    before, after = torch.fft.rfft(sent)[0], torch.fft.rfft(send("resample", sent))[0]
    kept, lost = round(0.9 * len(before)), round(0.98 * len(before))
    assert (after - before)[:kept].norm() < 0.002 * before[:kept].norm()
    assert after[lost:].norm() < 0.01 * before[lost:].norm()


@needs_room
@pytest.mark.parametrize("rate", [8000, RATE, 44_100])
@pytest.mark.parametrize("seed", range(3))
def test_a_room_rings_after_the_direct_sound(rate: int, seed: int) -> None:
    click = torch.eye(1, rate)
    response = send("room", click, rate, seed)[0]
    assert response[0] == pytest.approx(1, abs=1e-4)
    assert response[1:].abs().max() < 1
    left = response.square().flip(0).cumsum(0).flip(0)
    fallen = float((left > 1e-3 * left[0]).sum() / rate)
    assert 0.35 / 2 * 0.7 < fallen < 0.35 / 2 * 1.3


@needs_room
def test_nothing_is_heard_in_a_room_before_it_is_played() -> None:
    click = torch.eye(1, RATE).roll(RATE - 10, 1)
    expected = send("room", torch.eye(1, RATE)).roll(RATE - 10, 1)
    expected[:, : RATE - 10] = 0
    torch.testing.assert_close(send("room", click), expected, rtol=0, atol=1e-5)


@needs_room
def test_a_room_keeps_time() -> None:
    sent = band(RATE, 0.4)
    assert [best_lag(send("room", sent, seed=seed), sent) for seed in range(4)] == [0] * 4


def test_a_room_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert channels.available() == [name for name in CHANNELS if name != "room"]
    with pytest.raises(InputError, match="pip install pyroomacoustics"):
        send("room", sounds(1))
