"""Stage `download`: a dataset's recordings, as sound files and a table of clips."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import joblib
import pandas as pd
from pydantic import Field

from stages import audio, clips, console, datasets, files, params, paths
from stages.compute import ComputeParams
from stages.console import InputError
from stages.datasets import Clip
from stages.fetching import sources
from stages.params import Name, Number, Parameters

MOST_NAMED = 20
"""Bad clips that an error names one by one."""


class SourceParams(Parameters):
    """Which recordings."""

    name: Name
    source: str
    on_error: Literal["error", "skip"]
    most_rejected: Annotated[Number, Field(ge=0, lt=1)]
    validation_share: Annotated[Number, Field(gt=0, lt=0.5)]


def main() -> None:
    """Write clips.csv, audio/, rejected.csv and terms.md of data/raw, all or none."""
    source: SourceParams = params.read("dataset", SourceParams)
    compute: ComputeParams = params.read("compute", ComputeParams)
    seed: int = params.read("seed", params.Seed)
    dataset = datasets.load(source.name)
    for old in (paths.CLIPS, paths.REJECTED, paths.TERMS):
        files.remove(old)
    with files.replacing(paths.AUDIO) as folder, joblib.parallel_config(n_jobs=compute.processes):
        folder.mkdir(parents=True)
        collected = dataset.collect(source.source, seed, folder)
        if collected.clips or not collected.rejected:
            refuse_few(collected.clips)
        refuse_split_groups(collected.clips)
        durations, unreadable = listen(collected.clips, folder.absolute())
        rejected = {**collected.rejected, **unreadable}
        refuse_too_many(rejected, len(durations), source)
    write_rejected(rejected)
    with files.replacing(paths.TERMS) as partial:
        partial.write_text(dataset.terms + "\n", encoding="utf-8")
    table = clips.write(paths.CLIPS, rows(collected.clips, durations))
    sources.watch(source.source)
    console.say(f"{source.name}: {len(table)} clips of {table.label.nunique()} classes in {table.fold.nunique()} folds")


def listen(found: list[Clip], folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    """Decode every clip: the durations, in seconds, of those that can be used; why the others cannot, their files gone.

    Args:
        found: their files are in the folder.
        folder: of the audio.
    """
    durations, rejected = {}, {}
    tasks = (joblib.delayed(_listen)(folder / clip.path) for clip in found)
    heard = joblib.Parallel(return_as="generator")(tasks)
    for clip, (seconds, reason) in zip(found, console.progress(heard, what="decoding", total=len(found)), strict=True):
        if reason:
            rejected[clip.path] = reason
            (folder / clip.path).unlink()
        else:
            durations[clip.path] = seconds
    return durations, rejected


def _listen(file: Path) -> tuple[float, str]:
    try:
        return audio.seconds(file), ""
    except InputError as error:
        return 0.0, str(error).removeprefix(f"{file} ")


def refuse_too_many(rejected: Mapping[str, str], accepted: int, source: SourceParams) -> None:
    """Say how many clips are left out.

    Raises:
        InputError: no clip is left, or more are bad than params.yaml lets pass; it names them.
    """
    allowed = source.most_rejected * (len(rejected) + accepted) if source.on_error == "skip" else 0
    if not rejected and accepted:
        return
    named = "\n".join(f"{path}: {reason}" for path, reason in sorted(rejected.items())[:MOST_NAMED])
    if len(rejected) > allowed or not accepted:
        raise InputError(
            f"{len(rejected)} of {len(rejected) + accepted} clips cannot be used, {int(allowed)} may be left out "
            f"(dataset.on_error: {source.on_error}, dataset.most_rejected: {source.most_rejected:g})\n{named}"
        )
    console.say(f"{len(rejected)} clips cannot be used and are left out, as listed in {paths.REJECTED}")


def rows(found: list[Clip], durations: Mapping[str, float]) -> list[tuple[str, str, int, str, float]]:
    """The table's rows, of the clips with a duration, in seconds."""
    return [
        (f"{paths.AUDIO.name}/{clip.path}", clip.label, clip.fold, clip.group, round(durations[clip.path], 6))
        for clip in found
        if clip.path in durations
    ]


def write_rejected(rejected: Mapping[str, str]) -> None:
    """Write data/raw/rejected.csv, empty but for its header where every clip can be used."""
    with files.replacing(paths.REJECTED) as partial:
        table = pd.DataFrame(sorted(rejected.items()), columns=["path", "reason"])
        table.to_csv(partial, index=False, lineterminator="\n")


def refuse_few(found: list[Clip]) -> None:
    """Raise an InputError if there is nothing to tell apart, or nothing to test on."""
    for what, names in (("classes", {clip.label for clip in found}), ("folds", {clip.fold for clip in found})):
        if len(names) < 2:
            raise InputError(f"the dataset must have at least 2 {what}, found {', '.join(map(str, names)) or 'none'}")


def refuse_split_groups(found: list[Clip]) -> None:
    """Raise an InputError that names the first group whose clips stand in more than one fold."""
    folds = defaultdict(set)
    for clip in found:
        folds[clip.group].add(clip.fold)
    for group, its_folds in folds.items():
        if len(its_folds) > 1:
            raise InputError(f"group {group!r} stands in folds {sorted(its_folds)}: one recording must not cross folds")


if __name__ == "__main__":
    console.run(main)
