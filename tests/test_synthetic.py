"""The generated sounds: repeatable, balanced, and not to be told apart by their colour."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.console import InputError
from stages.datasets import Clip
from stages.datasets.synthetic import SOUNDS, Synthetic
from stages.representations import pool


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Clip]]:
    folder = tmp_path_factory.mktemp("audio")
    return folder, Synthetic(clips_per_class=50).collect("", 0, folder)


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    files = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        clips = Synthetic(clips_per_class=10).collect("", 7, folder)
        files.append([(folder / clip.path).read_bytes() for clip in clips])
    assert files[0] == files[1]
    assert len(set(files[0])) == len(files[0])


def test_classes_and_folds_are_balanced(generated: tuple[Path, list[Clip]]) -> None:
    clips = generated[1]
    assert Counter(clip.label for clip in clips) == dict.fromkeys(SOUNDS, 50)
    assert set(Counter((clip.label, clip.fold) for clip in clips).values()) == {10}


def test_groups_cross_neither_folds_nor_classes(generated: tuple[Path, list[Clip]]) -> None:
    of_group = {clip.group: (clip.fold, clip.label) for clip in generated[1]}
    assert all(of_group[clip.group] == (clip.fold, clip.label) for clip in generated[1])
    assert max(Counter(clip.group for clip in generated[1]).values()) > 1


def test_waveforms_are_heard_and_not_clipped(generated: tuple[Path, list[Clip]]) -> None:
    folder, clips = generated
    for clip in clips[::10]:
        waveform, rate = soundfile.read(folder / clip.path)
        assert (rate, waveform.shape) == (22_050, (110_250,))
        assert 0.05 < np.abs(waveform).max() < 0.999


def test_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset.source is 'here', but .* is generated"):
        Synthetic(clips_per_class=10).collect("here", 0, tmp_path)


def test_a_linear_classifier_on_the_mean_spectrum_fails(generated: tuple[Path, list[Clip]]) -> None:
    folder, clips = generated
    spectra = np.array([mean_spectrum(soundfile.read(folder / clip.path)[0]) for clip in clips])
    labels, folds = np.array([clip.label for clip in clips]), np.array([clip.fold for clip in clips])
    for fold in (2, 5):
        accuracy = max(
            make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))
            .fit(spectra[folds != fold], labels[folds != fold])
            .score(spectra[folds == fold], labels[folds == fold])
            for c in (0.01, 0.1, 1.0)
        )
        assert 0.3 < accuracy < 0.8


def mean_spectrum(waveform: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 512)[::256] * np.hanning(512)
    powers = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0)
    decibels: np.ndarray[tuple[int], np.dtype[np.float64]] = 10 * np.log10(pool(powers, 64, axis=0) + 1e-14)
    return decibels
