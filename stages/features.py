"""Stage `features`: every clip's image in one representation."""

from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from stages import audio, console, params, paths, representations, stores
from stages.audio import AudioParams
from stages.compute import ComputeParams
from stages.console import InputError
from stages.representations import Image, Representation

COLUMNS = ["path", "label", "fold", "group", "duration"]


def main(representation: str) -> None:
    """Write data/features/<representation>.h5."""
    transform = representations.load(representation)
    sound: AudioParams = params.read("audio", AudioParams)
    compute: ComputeParams = params.read("compute", ComputeParams)
    clips = read_clips(paths.CLIPS)
    classes = sorted(set(clips.label))
    shape = transform.image(np.zeros(sound.samples, np.float32), sound.sample_rate).shape
    columns = {
        "labels": np.array([classes.index(label) for label in clips.label], np.int64),
        "folds": clips.fold.to_numpy(np.int64),
        "clips": clips.path.to_numpy(np.str_),
        "groups": clips.group.to_numpy(np.str_),
    }
    attributes = {
        "classes": classes,
        "representation": representation,
        "parameters": transform.model_dump_json(),
        "sample_rate": sound.sample_rate,
    }
    images = extract([paths.RAW / path for path in clips.path], transform, sound, compute.processes)
    counted = console.progress(images, what=f"features {representation}", total=len(clips))
    stores.write_features(paths.features(representation), columns, counted, (shape[0], shape[1]), attributes)


def read_clips(path: Path) -> pd.DataFrame:
    """The table that `download` wrote.

    Raises:
        InputError: it is missing or has other columns.
    """
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro download`")
    table = pd.read_csv(path, dtype={"path": str, "label": str, "group": str}, keep_default_na=False)
    if list(table.columns) != COLUMNS or table.empty:
        raise InputError(f"{path} must have clips in the columns {', '.join(COLUMNS)}; run `dvc repro download`")
    return table


def extract(files: list[Path], transform: Representation, sound: AudioParams, processes: int) -> Iterator[Image]:
    """Images of the files, in their order, whatever the number of processes."""
    tasks = (joblib.delayed(_image)(file, transform, sound) for file in files)
    return iter(joblib.Parallel(n_jobs=processes, return_as="generator")(tasks))


def _image(file: Path, transform: Representation, sound: AudioParams) -> Image:
    return transform.image(audio.load(file, sound), sound.sample_rate)


if __name__ == "__main__":
    console.run(main)
