"""Stage `features`: every clip's image, and those of its augmented copies, in one representation."""

import numpy as np

from stages import representations
from stages.audio import clip_table
from stages.audio.decoding import AudioParams
from stages.core import cli, params, paths
from stages.core.compute import ComputeParams
from stages.core.progress import track
from stages.representations.base.extraction import Extraction, FeaturesParams, extract
from stages.stores import provenance
from stages.stores.features import write_features


def main(representation: str) -> None:
    """Write data/features/<representation>.h5."""
    audio, augment = params.read("audio", AudioParams), params.read("features", FeaturesParams).augment
    extraction = Extraction(representations.load(representation), audio, augment, params.seed())
    table = clip_table.read(paths.CLIPS)
    classes = sorted(set(table.label))
    columns = {
        "labels": np.array([classes.index(label) for label in table.label], np.int64),
        "folds": table.fold.to_numpy(np.int64),
        "clips": table.path.to_numpy(np.str_),
        "groups": table.group.to_numpy(np.str_),
    }
    silence = extraction.silence()
    facts = {"classes": classes, "sample_rate": audio.sample_rate, "silence": silence[:, 0]}
    images = extract(paths.RAW, list(table.path), extraction, params.read("compute", ComputeParams))
    tracked = track(images, what=f"features {representation}", total=len(table))
    attributes = facts | provenance.of_features(representation)
    write_features(paths.features(representation), columns, tracked, (1 + augment.copies, *silence.shape), attributes)


if __name__ == "__main__":
    cli.run(main, "representation")
