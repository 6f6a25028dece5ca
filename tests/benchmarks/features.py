"""How fast features are, beside the plain loop over the libraries: `python -m tests.benchmarks.features`.

First a table of every front end on batches, with and without gradients: on the CPU by one thread, as each of stage
`features` works, and on the GPU where there is one; then what rendering leaves out. Last, the same generated clips
with the same parameters: librosa and PyWavelets clip by clip, as their documentation uses them, against the stage.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import librosa
import numpy as np
import numpy.typing as npt
import pywt
import soundfile
import torch
from torch import Tensor, nn

from stages import representations
from stages.audio.augment import WaveformAugmentParams
from stages.audio.decoding import AudioParams, Waveform
from stages.core import plugins
from stages.core.compute import ComputeParams
from stages.datasets.synthetic import SAMPLE_RATE, SECONDS, Synthetic
from stages.representations.base.chromagram import Chromagram, WithChromagram
from stages.representations.base.extraction import BATCH, Extraction, extract
from stages.representations.base.pooling import pooling
from stages.representations.cwt import CWT
from stages.representations.dwt import DWT

SOUND = AudioParams(sample_rate=SAMPLE_RATE, duration=SECONDS)
NO_COPIES = WaveformAugmentParams(copies=0, speed=0, pitch=0, stretch=0, noise=0)
COMPUTE = ComputeParams(device="auto", devices=1, nodes=1, precision="auto", workers=0, batch_size=64)
PLAIN_CLIPS = 10
CLIPS = 500
REPEATS = 7

Power = npt.NDArray[np.floating]
Plain = Callable[[Waveform, WithChromagram], Power]


def main() -> None:
    with TemporaryDirectory() as folder:
        Synthetic(clips_per_class=CLIPS // 10).collect("", 0, Path(folder))
        clips = [str(file) for file in sorted(Path(folder).rglob("*.wav"))]
        batch = np.stack([soundfile.read(clip, dtype="float32")[0] for clip in clips[:: CLIPS // BATCH][:BATCH]])
        print_speeds(torch.from_numpy(batch))
        print_renderings(torch.from_numpy(batch))
        print(f"cwt_tonnetz ratio {ratio('cwt_tonnetz', scalogram, clips):.1f}")
        print(f"features ratio {ratio('dwt_tonnetz', packets, clips):.1f}")


def print_speeds(waveforms: Tensor) -> None:
    """Milliseconds a clip of each front end."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        name = torch.cuda.get_device_name() if device == "cuda" else "CPU, one thread"
        print(f"{f'ms a clip, batches of {BATCH}, {name}':<44}{'forward':>9}{'forward and backward':>22}")
        batch = waveforms.to(device)
        for representation in plugins.names(representations.__name__):
            transform = representations.load(representation).module(SOUND.samples, SAMPLE_RATE).to(device)
            forward, both = (1000 * median_seconds(run, transform, batch) / BATCH for run in (only_forward, backward))
            print(f"{representation:<44}{forward:>9.2f}{both:>22.2f}")
    torch.set_num_threads(threads)


def print_renderings(waveforms: Tensor) -> None:
    """What the sounds that are rendered leave of a random pattern of signs in the image, 0.02 high."""
    print(f"{'left by rendering of a pattern of signs':<44}{'%':>9}")
    for name in ("stft", "mel", "dwt", "cwt"):
        transform = representations.load(name)
        images = transform.module(SOUND.samples, SAMPLE_RATE)
        with torch.no_grad():
            before = images(waveforms)
            signs = torch.randn(before.shape, generator=torch.Generator().manual_seed(0)).sign()
            wanted = (before + 0.02 * signs).clamp(0, 1)
            error = images(transform.render(waveforms, SAMPLE_RATE, wanted)) - wanted
        print(f"{name:<44}{100 * float(error.abs().mean() / (wanted - before).abs().mean()):>9.0f}")


def only_forward(transform: nn.Module, batch: Tensor) -> None:
    with torch.no_grad():
        transform(batch)


def backward(transform: nn.Module, batch: Tensor) -> None:
    transform(batch.clone().requires_grad_()).sum().backward()


def median_seconds(run: Callable[[nn.Module, Tensor], None], transform: nn.Module, batch: Tensor) -> float:
    def seconds() -> Iterator[float]:
        for _ in range(REPEATS + 1):
            start = time.perf_counter()
            run(transform, batch)
            if batch.is_cuda:
                torch.cuda.synchronize()
            yield time.perf_counter() - start

    return float(np.median(list(seconds())[1:]))


def ratio(name: str, plain: Plain, clips: list[str]) -> float:
    """Of the time by the plain loop to that of the stage, which builds its front end in that time."""
    transform = representations.load(name)
    assert isinstance(transform, WithChromagram)
    slow = seconds_a_clip(lambda: [by_library(clip, transform, plain) for clip in clips[:PLAIN_CLIPS]])
    extraction = Extraction(transform, SOUND, NO_COPIES, seed=0)
    fast = seconds_a_clip(lambda: list(extract(Path(), clips, extraction, COMPUTE)))
    print(f"{name}: {1000 * slow:.1f} ms a clip by the plain loop, {1000 * fast:.2f} by stage features")
    return slow / fast


def seconds_a_clip(work: Callable[[], list[npt.NDArray[np.float32]]]) -> float:
    start = time.perf_counter()
    images = work()
    return (time.perf_counter() - start) / len(images)


def by_library(clip: str, transform: WithChromagram, plain: Plain) -> npt.NDArray[np.float32]:
    waveform, _ = soundfile.read(clip, dtype="float32")
    power, frames = plain(waveform, transform), transform.base.frames
    image = 1 + librosa.power_to_db(power, ref=np.max, top_db=transform.base.range_db) / transform.base.range_db
    return np.vstack([image, chromagram(waveform, transform.chromagram, frames)]).astype(np.float32)


def chromagram(waveform: Waveform, params: Chromagram, frames: int) -> Power:
    chroma = librosa.feature.chroma_cqt(
        y=waveform, sr=SAMPLE_RATE, hop_length=params.hop_length, n_octaves=params.octaves, tuning=0.0
    )
    rows = np.vstack([chroma, librosa.feature.tonnetz(chroma=chroma, sr=SAMPLE_RATE)])
    pooled: Power = rows @ pooling(rows.shape[1], frames).T
    return pooled


def packets(waveform: Waveform, transform: WithChromagram) -> Power:
    base = transform.base
    assert isinstance(base, DWT)
    tree = pywt.WaveletPacket(waveform, base.wavelet, mode="periodization", maxlevel=base.level)
    powers = np.stack([node.data for node in tree.get_level(base.level, order="freq")]) ** 2
    pooled: Power = pooling(len(powers), base.rows) @ powers @ pooling(powers.shape[1], base.frames).T
    return pooled


def scalogram(waveform: Waveform, transform: WithChromagram) -> Power:
    base = transform.base
    assert isinstance(base, CWT)
    scales = base.centre * SAMPLE_RATE / base.frequencies(SAMPLE_RATE)
    transformed, _ = pywt.cwt(waveform, scales, f"cmor{base.bandwidth}-{base.centre}", method="fft")
    pooled: Power = np.abs(transformed) ** 2 @ pooling(len(waveform), base.frames).T
    return pooled


if __name__ == "__main__":
    main()
