"""Adversarial sounds that were made elsewhere, judged as those of any attack."""

from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import pandas as pd
import soundfile
import torch
from pydantic import Field

from stages.attacks.base import Access, SearchParams
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import AttackResult
from stages.attacks.base.sound import SoundAttack
from stages.attacks.base.sound_domain import SoundDomain, shown
from stages.audio import decoding
from stages.audio.decoding import AudioParams, Waveform
from stages.core import paths
from stages.core.errors import InputError
from stages.models.victim import Victim

COLUMNS = ("clip", "file")


class SoundFiles(SoundAttack):
    """Sound files, paired with the clips that they were made of by a table; nothing is searched.

    The table is a CSV file with the columns `clip`, as in data/raw/clips.csv, and `file`, relative to the table. A
    clip that has no row is not fooled.
    """

    access: ClassVar[Access] = "unknown"
    paper = "made elsewhere"

    table: Annotated[str, Field(min_length=1)]

    @property
    def iterations(self) -> int:
        """None that is known of."""
        return 0

    def search(
        self, victim: Victim, inputs: AttackInputs, search: SearchParams, stop_at_success_rate: float = 1.0
    ) -> AttackResult:
        """Take each clip's file as it is."""
        files, found = read_table(Path(self.table)), AttackResult.nothing(inputs)
        rows = torch.tensor([row for row, clip in enumerate(inputs.clips) if clip in files], dtype=torch.int64)
        if not len(rows):
            return found
        given, domain = inputs[rows], inputs.domain
        assert isinstance(domain, SoundDomain)
        waveforms = np.stack([_load(files[str(clip)], domain.audio) for clip in given.clips])
        examples = domain.settled(shown(torch.from_numpy(waveforms)))
        found.keep_better(rows, examples, self.verified_distances(victim, given, examples))
        found.queries[rows] += 1
        return found


def read_table(path: Path) -> dict[str, Path]:
    """Read which file was made of which clip.

    Raises:
        InputError: the table cannot be read, lacks a column, or names a clip twice or one that there is not.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"attacks.sound_files.table: {path} cannot be read as a table: {error}") from None
    if missing := [name for name in COLUMNS if name not in table]:
        has = ", ".join(map(str, table.columns))
        raise InputError(f"attacks.sound_files.table: {path} lacks the column {', '.join(missing)}; it has {has}")
    clips = table["clip"]
    if twice := sorted(clips[clips.duplicated()]):
        raise InputError(f"attacks.sound_files.table: {path} names a clip more than once: {', '.join(twice)}")
    if missing := sorted(clip for clip in clips if not (paths.RAW / clip).exists()):
        raise InputError(
            f"attacks.sound_files.table: {path} names clips that are not in data/raw: {', '.join(missing)}"
        )
    return {clip: path.parent / file for clip, file in zip(clips, table["file"], strict=True)}


def _load(path: Path, audio: AudioParams) -> Waveform:
    """Read a file that needs neither resampling nor cropping, which would change what was made."""
    waveform = decoding.load(path, audio)
    found = soundfile.info(path)
    if (found.samplerate, found.frames) != (audio.sample_rate, audio.samples):
        raise InputError(
            f"{path} has {found.frames} samples at {found.samplerate} Hz; an adversarial sound must have those of its "
            f"clip: {audio.samples} at {audio.sample_rate} Hz"
        )
    return waveform
