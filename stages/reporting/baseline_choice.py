"""What is told of the baseline: by which cheap recipe it was trained, and of which it is the best."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from stages.reporting.formatting import percent


def baseline_choice(folds: Sequence[Mapping[str, str]]) -> str:
    """Tell in a sentence how the baselines of a representation and architecture were trained.

    Args:
        folds: facts that the model file of each fold's baseline tells, at least one.

    Example:
        >>> baseline_choice([{"baseline": "masks", "baselines": '{"masks": 0.85, "plain": 0.81}'}])
        'The baseline was trained by the recipe masks, the best of masks, plain on the validation clips (85.0 %).'
    """
    accuracies = [validation_accuracies(facts) for facts in folds]
    subject = "The baseline was" if len(folds) == 1 else f"The baselines of the {len(folds)} folds were"
    kept = _kept([facts["baseline"] for facts in folds])
    if len(accuracies[0]) == 1:
        return f"{subject} trained by the recipe {kept}; no other cheap baseline was tried."
    mean = sum(max(each.values()) for each in accuracies) / len(folds)
    where = percent(mean) if len(folds) == 1 else f"mean {percent(mean)}"
    best = f"the best of {', '.join(accuracies[0])} on the validation clips ({where})"
    return f"{subject} trained by the recipe {kept}, {best}."


def validation_accuracies(facts: Mapping[str, str]) -> dict[str, float]:
    """Read the accuracy of each candidate on the validation clips, by name, from what a model file tells."""
    found: dict[str, float] = json.loads(facts["baselines"])
    return found


def _kept(names: Sequence[str]) -> str:
    """Name what was kept, with the number of folds where they differ."""
    counts = Counter(names)
    return names[0] if len(counts) == 1 else " and ".join(f"{name} ({count})" for name, count in counts.items())
