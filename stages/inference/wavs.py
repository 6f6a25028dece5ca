"""The sounds of an adversarial store as WAV files, for other tools and for the attack `sound_files`."""

import json
import zipfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import soundfile

from stages.core import files
from stages.core.arrays import Array, Strings
from stages.core.errors import InputError
from stages.stores import perturbations
from stages.stores.adversarial import Adversarial, read_adversarial

TABLE = "table.csv"
"""Name of the table of the sounds."""

DATE = (1980, 1, 1, 0, 0, 0)
"""Date of each file of a zip, the earliest that there is: equal content gives equal bytes."""

UNIX = 3
"""Number of the system whose modes a zip has."""

Entry = tuple[str, bytes]
"""A file: its path, relative to the table, and its content."""


def read_sounds(path: Path) -> Adversarial:
    """Read an adversarial store of sounds.

    Raises:
        InputError: the store is missing, damaged or incomplete, or holds images.
    """
    store = read_adversarial(path, "attack")
    if store.domain != "sound":
        raise InputError(
            f"{path} holds images; only attacks on sound, whose names begin with sound_, can be exported as WAV files"
        )
    return store


def write_sounds(store: Adversarial, target: Path) -> int:
    """Write the examples that fool and the clips that they were made of, and a table of them.

    Args:
        store: an adversarial store of sounds.
        target: a new or empty folder, or a zip by its suffix; it appears whole or not at all.

    Returns:
        the number of examples.

    Raises:
        InputError: the target would replace something else, or the disk is full.

    Example:
        >>> write_sounds(read_sounds(path), Path("sounds.zip"))
        27
    """
    in_zip = target.suffix.lower() == ".zip"
    if target.exists() and not (target.is_file() if in_zip else _is_empty_folder(target)):
        raise InputError(f"{target} is there already; give a new or empty folder, or the name of a .zip file")
    with files.replacing(target.resolve()) as partial:
        (_write_zip if in_zip else _write_folder)(partial, _entries(store))
    return int(store.success.sum())


def table(store: Adversarial) -> pd.DataFrame:
    """List the examples that fool: clip, files, names of classes, and signal-to-noise ratio in dB."""
    rows = np.flatnonzero(store.success)
    names = np.array(file_names(store.clip), dtype=np.str_)[rows]
    classes = np.array(json.loads(store.attributes["classes"]))
    return pd.DataFrame(
        {
            "clip": store.clip[rows],
            "file": [f"adversarial/{name}" for name in names],
            "clean": [f"clean/{name}" for name in names],
            "label": classes[store.label[rows]],
            "target": classes[store.target[rows]],
            "snr": perturbations.decibels(store.sizes["snr"][rows]),
        }
    )


def file_names(clips: Strings) -> list[str]:
    """Name a WAV file after the path of each clip, all for one folder.

    Names that the path leaves alike, or that differ in case alone, which some disks overlook, are numbered.

    Example:
        >>> file_names(np.array(["audio/dog/1.ogg", "audio/dog/1.wav"]))
        ['audio-dog-1.wav', 'audio-dog-1-2.wav']
    """
    names: dict[str, str] = {}
    for clip in clips:
        stem = str(PurePosixPath(clip).with_suffix("")).replace("/", "-")
        name, number = stem, 1
        while name.casefold() in names:
            number += 1
            name = f"{stem}-{number}"
        names[name.casefold()] = f"{name}.wav"
    return list(names.values())


def _entries(store: Adversarial) -> Iterator[Entry]:
    listed, rate = table(store), int(store.attributes["sample_rate"])
    yield TABLE, listed.to_csv(index=False, float_format="%.2f", lineterminator="\n").encode()
    for row, adversarial, clean in zip(np.flatnonzero(store.success), listed.file, listed.clean, strict=True):
        yield adversarial, _wav(store.adversarial[row], rate)
        yield clean, _wav(store.clean[row], rate)


def _wav(samples: Array, sample_rate: int) -> bytes:
    """Encode samples of 16 bits as they are."""
    buffer = BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _write_folder(folder: Path, entries: Iterable[Entry]) -> None:
    for name, content in entries:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _write_zip(path: Path, entries: Iterable[Entry]) -> None:
    """Write a zip, uncompressed: compressed bytes depend on the version of zlib."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, DATE)
            # Else the system that writes the zip would be told.
            info.create_system, info.external_attr = UNIX, 0o644 << 16
            archive.writestr(info, content)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
