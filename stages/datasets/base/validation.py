"""What the clips of a dataset must be: enough, of groups that stay in one fold, and sound."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import joblib
from pydantic import Field

from stages.audio import decoding
from stages.core import paths
from stages.core.errors import InputError
from stages.core.params import Name, Number, Parameters, ValidationShare
from stages.core.progress import log, track
from stages.datasets.base import Clip, Collected

MOST_NAMED = 20
"""Largest number of bad clips that an error names one by one."""


class DatasetParams(Parameters):
    """The choice of recordings, and the share of them that may be unusable."""

    name: Name
    source: str
    on_error: Literal["error", "skip"]
    max_rejected_fraction: Annotated[Number, Field(ge=0, lt=1)]
    validation_share: ValidationShare


def validate(collected: Collected, folder: Path, settings: DatasetParams) -> tuple[dict[str, float], dict[str, str]]:
    """Check the clips of a dataset, and decode each of them.

    Args:
        collected: the clips; their files are in the folder.
        folder: folder of the audio; the files of clips that cannot be used are removed from it.
        settings: settings that say how many such clips there may be.

    Returns:
        the durations, in seconds, of the clips that can be used, and the reasons why the others cannot, both by path.

    Raises:
        InputError: there are too few classes, folds or usable clips, or a group crosses folds.
    """
    if collected.clips or not collected.rejected:
        refuse_few(collected.clips)
    refuse_split_groups(collected.clips)
    durations, unreadable = decode_all(collected.clips, folder)
    rejected = {**collected.rejected, **unreadable}
    refuse_too_many(rejected, len(durations), settings)
    return durations, rejected


def refuse_few(found: Sequence[Clip]) -> None:
    """Raise an InputError if there are fewer than two classes to tell apart, or two folds to test on."""
    for what, names in (("classes", {clip.label for clip in found}), ("folds", {clip.fold for clip in found})):
        if len(names) < 2:
            raise InputError(f"the dataset must have at least 2 {what}, found {', '.join(map(str, names)) or 'none'}")


def refuse_split_groups(found: Sequence[Clip]) -> None:
    """Raise an InputError that names the first group whose clips stand in more than one fold."""
    folds = defaultdict(set)
    for clip in found:
        folds[clip.group].add(clip.fold)
    for group, its_folds in folds.items():
        if len(its_folds) > 1:
            raise InputError(f"group {group!r} stands in folds {sorted(its_folds)}: one recording must not cross folds")


def decode_all(found: Sequence[Clip], folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    """Decode every clip, and remove the files of those that cannot be used.

    Args:
        found: the clips; their files are in the folder.
        folder: folder of the audio.

    Returns:
        the durations, in seconds, of the clips that can be used, and the reasons why the others cannot, both by path.
    """
    durations, rejected = {}, {}
    tasks = (joblib.delayed(_decode)(folder / clip.path) for clip in found)
    decoded = track(joblib.Parallel(return_as="generator")(tasks), what="decoding", total=len(found))
    for clip, (seconds, reason) in zip(found, decoded, strict=True):
        if reason:
            rejected[clip.path] = reason
            (folder / clip.path).unlink()
        else:
            durations[clip.path] = seconds
    return durations, rejected


def _decode(file: Path) -> tuple[float, str]:
    try:
        return decoding.seconds(file), ""
    except InputError as error:
        return 0.0, str(error).removeprefix(f"{file} ")


def refuse_too_many(rejected: Mapping[str, str], accepted: int, settings: DatasetParams) -> None:
    """Log how many clips are left out, if that many may be.

    Raises:
        InputError: no clip is left, or more are bad than params.yaml lets pass; the message names them.
    """
    total = len(rejected) + accepted
    allowed = settings.max_rejected_fraction * total if settings.on_error == "skip" else 0
    if not rejected and accepted:
        return
    named = "\n".join(f"{path}: {reason}" for path, reason in sorted(rejected.items())[:MOST_NAMED])
    if len(rejected) > allowed or not accepted:
        raise InputError(
            f"{len(rejected)} of {total} clips cannot be used, {int(allowed)} may be left out (dataset.on_error: "
            f"{settings.on_error}, dataset.max_rejected_fraction: {settings.max_rejected_fraction:g})\n{named}"
        )
    log(f"{len(rejected)} clips cannot be used and are left out, as listed in {paths.REJECTED}")
