"""How much faster features are than the plain loop over the libraries: `python -m tests.benchmarks.features`.

The same generated clips, the same parameters, in one run: first librosa and PyWavelets clip by clip, as their
documentation uses them, then stage `features` with its processes, which are started before the clock is.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import librosa
import numpy as np
import numpy.typing as npt
import pywt
import soundfile

from stages import representations
from stages.audio.augment import WaveformAugmentParams
from stages.audio.decoding import AudioParams, Waveform
from stages.datasets.synthetic import SAMPLE_RATE, SECONDS, Synthetic
from stages.representations.base import decibels, pool
from stages.representations.base.chromagram import Chromagram, WithChromagram
from stages.representations.base.extraction import Extraction, extract
from stages.representations.cwt import CWT
from stages.representations.dwt import DWT

SOUND = AudioParams(sample_rate=SAMPLE_RATE, duration=SECONDS)
NO_COPIES = WaveformAugmentParams(copies=0, speed=0, pitch=0, stretch=0, noise=0)
PLAIN_CLIPS = 10
CLIPS = 100

Plain = Callable[[Waveform, WithChromagram], npt.NDArray[np.float32]]


def main() -> None:
    with TemporaryDirectory() as folder:
        Synthetic(clips_per_class=10).collect("", 0, Path(folder))
        clips = [str(file) for file in sorted(Path(folder).rglob("*.wav"))[:CLIPS]]
        print(f"cwt_tonnetz ratio {ratio('cwt_tonnetz', scalogram, clips):.1f}")
        print(f"features ratio {ratio('dwt_tonnetz', packets, clips):.1f}")


def ratio(name: str, plain: Plain, clips: list[str]) -> float:
    """Of the time by the plain loop to that of the stage."""
    transform = representations.load(name)
    assert isinstance(transform, WithChromagram)
    processes = joblib.cpu_count()
    slow = seconds_a_clip(lambda: [by_library(clip, transform, plain) for clip in clips[:PLAIN_CLIPS]])
    extraction = Extraction(transform, SOUND, NO_COPIES, seed=0)
    list(extract(Path(), clips[: 2 * processes], extraction, processes))
    fast = seconds_a_clip(lambda: list(extract(Path(), clips, extraction, processes)))
    print(f"{name}: {1000 * slow:.1f} ms a clip by the plain loop, {1000 * fast:.1f} by stage features")
    return slow / fast


def seconds_a_clip(work: Callable[[], list[npt.NDArray[np.float32]]]) -> float:
    start = time.perf_counter()
    images = work()
    return (time.perf_counter() - start) / len(images)


def by_library(clip: str, transform: WithChromagram, plain: Plain) -> npt.NDArray[np.float32]:
    waveform, _ = soundfile.read(clip, dtype="float32")
    image = plain(waveform, transform)
    return np.vstack([image, chromagram(waveform, transform.chromagram, image.shape[1])])


def chromagram(waveform: Waveform, params: Chromagram, frames: int) -> npt.NDArray[np.float64]:
    chroma = librosa.feature.chroma_cqt(
        y=waveform, sr=SAMPLE_RATE, hop_length=params.hop_length, n_octaves=params.octaves, tuning=0.0
    )
    return pool(np.vstack([chroma, librosa.feature.tonnetz(chroma=chroma, sr=SAMPLE_RATE)]), frames, axis=1)


def packets(waveform: Waveform, transform: WithChromagram) -> npt.NDArray[np.float32]:
    base = transform.base
    assert isinstance(base, DWT)
    tree = pywt.WaveletPacket(waveform, base.wavelet, mode="periodization", maxlevel=base.level)
    powers = np.stack([node.data for node in tree.get_level(base.level, order="freq")]) ** 2
    return decibels(pool(pool(powers, base.rows, axis=0), base.frames, axis=1))


def scalogram(waveform: Waveform, transform: WithChromagram) -> npt.NDArray[np.float32]:
    base = transform.base
    assert isinstance(base, CWT)
    scales = base.centre * SAMPLE_RATE / base.frequencies(SAMPLE_RATE)
    transformed, _ = pywt.cwt(waveform, scales, f"cmor{base.bandwidth}-{base.centre}", method="fft")
    return decibels(pool(np.abs(transformed) ** 2, base.frames, axis=1))


if __name__ == "__main__":
    main()
