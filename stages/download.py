"""Stage `download`: a dataset's recordings, as sound files and a table of clips."""

import joblib

from stages import datasets
from stages.audio import clip_table
from stages.core import cli, files, params, paths
from stages.core.compute import ComputeParams
from stages.core.progress import log
from stages.datasets.base import sources
from stages.datasets.base.tables import write_rejected
from stages.datasets.base.validation import DatasetParams, validate


def main() -> None:
    """Write clips.csv, audio/, rejected.csv and terms.md of data/raw, all or none."""
    settings, compute = params.read("dataset", DatasetParams), params.read("compute", ComputeParams)
    dataset, source = datasets.load(settings.name), sources.given(settings.source)
    for old in (paths.CLIPS, paths.REJECTED, paths.TERMS):
        files.remove(old)
    with files.replacing(paths.AUDIO) as folder, joblib.parallel_config(n_jobs=compute.jobs):
        folder.mkdir(parents=True)
        collected = dataset.collect(source, params.seed(), folder)
        durations, rejected = validate(collected, folder.absolute(), settings)
    write_rejected(paths.REJECTED, rejected)
    with files.replacing(paths.TERMS) as partial:
        partial.write_text(dataset.terms + "\n", encoding="utf-8")
    table = clip_table.write(
        paths.CLIPS,
        [
            (f"{paths.AUDIO.name}/{clip.path}", clip.label, clip.fold, clip.group, round(durations[clip.path], 6))
            for clip in collected.clips
            if clip.path in durations
        ],
    )
    log(f"{settings.name}: {len(table)} clips of {table.label.nunique()} classes in {table.fold.nunique()} folds")


if __name__ == "__main__":
    cli.run(main)
