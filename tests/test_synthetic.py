"""The generated dataset: reproducible, balanced, and not to be told apart by the mean spectrum."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.core.errors import InputError
from stages.datasets.base import Clip
from stages.datasets.synthetic import Synthetic

CLIPS_PER_CLASS = 50
FEW_CLIPS = 13
"""Of each class: no multiple of the number of folds."""
BANDS = 64

Made = tuple[list[Clip], Path]
Spectra = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """More than params.yaml asks for, so that a classifier has enough to learn from: the clips, and their folder."""
    return generate(tmp_path_factory.mktemp("synthetic"), CLIPS_PER_CLASS, seed=0)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Fewer, by another seed."""
    return generate(tmp_path_factory.mktemp("few"), FEW_CLIPS, seed=7)


def generate(folder: Path, clips_per_class: int, seed: int) -> Made:
    return Synthetic(clips_per_class=clips_per_class).collect("", seed, folder).clips, folder


def contents(made: Made) -> dict[str, bytes]:
    clips, folder = made
    return {clip.path: (folder / clip.path).read_bytes() for clip in clips}


@pytest.fixture(scope="module")
def spectra(made: Made) -> Spectra:
    """The mean spectrum of every clip, shape (clips, BANDS)."""
    clips, folder = made
    return np.array([mean_spectrum(folder / clip.path) for clip in clips])


def mean_spectrum(path: Path) -> Spectra:
    """Power in equal bands, averaged over the clip, in dB, shape (BANDS,)."""
    waveform, _ = soundfile.read(path)
    frames = waveform[: len(waveform) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power = np.mean(np.abs(np.fft.rfft(frames)[:, 1:]) ** 2, axis=0)
    decibels: Spectra = 10 * np.log10(power.reshape(BANDS, -1).mean(axis=1) + 1e-12)
    return decibels


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(few: Made, made: Made, tmp_path: Path) -> None:
    again = generate(tmp_path, FEW_CLIPS, seed=7)
    assert few[0] == again[0]
    assert contents(few) == contents(again)
    assert not set(contents(few).values()) & set(contents(made).values())


@pytest.mark.slow
def test_files_are_those_listed_and_all_differ(made: Made) -> None:
    clips, folder = made
    assert {clip.path for clip in clips} == {path.relative_to(folder).as_posix() for path in folder.rglob("*.wav")}
    assert len(set(contents(made).values())) == len(clips)


@pytest.mark.slow
def test_ten_classes_of_equal_size(made: Made) -> None:
    sizes = Counter(clip.label for clip in made[0])
    assert len(sizes) == 10
    assert set(sizes.values()) == {CLIPS_PER_CLASS}


def test_five_folds_differ_by_one_clip_at_most_in_every_class(few: Made) -> None:
    clips, _ = few
    for label in {clip.label for clip in clips}:
        sizes = Counter(clip.fold for clip in clips if clip.label == label)
        assert sorted(sizes) == [1, 2, 3, 4, 5]
        assert sorted(sizes.values()) == [2, 2, 3, 3, 3]


@pytest.mark.slow
def test_a_recording_stays_in_one_class_and_one_fold(made: Made) -> None:
    clips, _ = made
    places = {(clip.group, clip.label, clip.fold) for clip in clips}
    sizes = Counter(clip.group for clip in clips)
    assert len(places) == len(sizes)
    assert set(sizes.values()) == {1, 2, 3}


@pytest.mark.slow
def test_clips_of_a_recording_share_its_colour(made: Made, spectra: Spectra) -> None:
    groups = [clip.group for clip in made[0] if clip.label == "rain"]
    steps = np.diff(spectra[[clip.label == "rain" for clip in made[0]]], axis=0).std(axis=1)
    same = np.array([one == other for one, other in pairwise(groups)])
    assert 3 * np.median(steps[same]) < np.median(steps[~same])


@pytest.mark.slow
def test_sound_is_mono_finite_audible_and_below_full_scale(made: Made) -> None:
    clips, folder = made
    for clip in clips:
        waveform, rate = soundfile.read(folder / clip.path)
        assert (rate, waveform.shape) == (22_050, (110_250,))
        assert np.isfinite(waveform).all()
        assert 0.05 < np.abs(waveform).max() < 0.95
    assert soundfile.info(folder / clips[0].path).subtype == "PCM_16"


@pytest.mark.slow
@pytest.mark.parametrize("fold", [1, 5])
@pytest.mark.parametrize("regularisation", [0.01, 0.1, 1, 10])
def test_the_mean_spectrum_does_not_tell_the_classes(
    made: Made, spectra: Spectra, fold: int, regularisation: float
) -> None:
    labels = np.array([clip.label for clip in made[0]])
    test = np.array([clip.fold == fold for clip in made[0]])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=regularisation, max_iter=500))
    assert model.fit(spectra[~test], labels[~test]).score(spectra[test], labels[test]) < 0.8


def test_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`synthetic` is generated and takes no dataset\.source") as error:
        Synthetic(clips_per_class=10).collect("my/sounds", 0, tmp_path)
    assert "'my/sounds'" in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("clips_per_class", [9, 10_001, True, 10.5])
def test_a_wrong_number_of_clips_is_refused(clips_per_class: object) -> None:
    with pytest.raises(ValidationError, match="clips_per_class"):
        Synthetic.model_validate({"clips_per_class": clips_per_class})
