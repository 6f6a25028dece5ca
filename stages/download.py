"""Stage `download`: a dataset's recordings, as sound files and a table of clips."""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from stages import audio, console, datasets, files, params, paths
from stages.console import InputError
from stages.datasets import Clip
from stages.params import Name, Parameters


class SourceParams(Parameters):
    """Which recordings."""

    name: Name
    source: str
    validation_share: Annotated[params.Number, Field(gt=0, lt=0.5)]


def main() -> None:
    """Write data/raw/clips.csv and data/raw/audio/, both or neither."""
    source: SourceParams = params.read("dataset", SourceParams)
    seed: int = params.read("seed", params.Seed)
    dataset = datasets.load(source.name)
    paths.CLIPS.unlink(missing_ok=True)
    with files.replacing(paths.AUDIO) as folder:
        folder.mkdir(parents=True)
        table = tabulate(dataset.collect(source.source, seed, folder), folder)
    with files.replacing(paths.CLIPS) as file:
        table.to_csv(file, index=False, lineterminator="\n")
    console.say(f"{source.name}: {len(table)} clips of {table.label.nunique()} classes in {table.fold.nunique()} folds")


def tabulate(clips: list[Clip], folder: Path) -> pd.DataFrame:
    """The table of clips, sorted by path: path, label, fold, group, duration in seconds.

    Raises:
        InputError: there are no clips, a file is not sound, or a group stands in two folds.
    """
    if not clips:
        raise InputError("the dataset holds no clips")
    refuse_split_groups(clips)
    rows = [
        {
            "path": f"{paths.AUDIO.name}/{clip.path}",
            "label": clip.label,
            "fold": clip.fold,
            "group": clip.group,
            "duration": round(audio.seconds(folder / clip.path), 6),
        }
        for clip in clips
    ]
    return pd.DataFrame(rows).sort_values("path", ignore_index=True)


def refuse_split_groups(clips: list[Clip]) -> None:
    """Raise an InputError that names the first group whose clips stand in more than one fold."""
    folds = defaultdict(set)
    for clip in clips:
        folds[clip.group].add(clip.fold)
    for group, its_folds in folds.items():
        if len(its_folds) > 1:
            raise InputError(f"group {group!r} stands in folds {sorted(its_folds)}: one recording must not cross folds")


if __name__ == "__main__":
    console.run(main)
