"""Stage `features`: every clip's image in one representation."""

from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np

from stages import audio, clips, console, params, paths, representations, stores
from stages.audio import AudioParams
from stages.compute import ComputeParams
from stages.representations import Image, Representation


def main(representation: str) -> None:
    """Write data/features/<representation>.h5."""
    transform = representations.load(representation)
    sound: AudioParams = params.read("audio", AudioParams)
    compute: ComputeParams = params.read("compute", ComputeParams)
    table = clips.read(paths.CLIPS)
    classes = sorted(set(table.label))
    shape = transform.image(np.zeros(sound.samples, np.float32), sound.sample_rate).shape
    columns = {
        "labels": np.array([classes.index(label) for label in table.label], np.int64),
        "folds": table.fold.to_numpy(np.int64),
        "clips": table.path.to_numpy(np.str_),
        "groups": table.group.to_numpy(np.str_),
    }
    attributes = {
        "classes": classes,
        "representation": representation,
        "parameters": transform.model_dump_json(),
        "sample_rate": sound.sample_rate,
    }
    images = extract([paths.RAW / path for path in table.path], transform, sound, compute.processes)
    counted = console.progress(images, what=f"features {representation}", total=len(table))
    stores.write_features(paths.features(representation), columns, counted, (shape[0], shape[1]), attributes)


def extract(files: list[Path], transform: Representation, sound: AudioParams, processes: int) -> Iterator[Image]:
    """Images of the files, in their order, whatever the number of processes; begun when the first is asked for."""
    tasks = (joblib.delayed(_image)(file, transform, sound) for file in files)
    yield from joblib.Parallel(n_jobs=processes, return_as="generator")(tasks)


def _image(file: Path, transform: Representation, sound: AudioParams) -> Image:
    return transform.image(audio.load(file, sound), sound.sample_rate)


if __name__ == "__main__":
    console.run(main)
