"""The cheap ways to train a baseline: one recipe for each, alike but for the augmentation."""

from typing import Any

from stages.core import params
from stages.core.errors import InputError
from stages.core.params import Name
from stages.training.augment import AugmentParams
from stages.training.batches import TrainParams

Baselines = dict[Name, dict[str, Any]]
"""The section `baselines` of params.yaml: by name, changes of `train.augment`."""


def read_recipes() -> dict[str, TrainParams]:
    """Read the recipes that `train.baselines` names, in its order.

    Returns:
        by name, the section `train` with the changed augmentation; each recipe names no baseline but its own.

    Raises:
        InputError: `train`, a name, or any change in `baselines` is wrong.
    """
    recipe, augments = params.read("train", TrainParams), _read_augments()
    if unknown := [repr(name) for name in recipe.baselines if name not in augments]:
        raise InputError(
            f"{params.FILE}: train.baselines: unknown name {', '.join(unknown)} among the baselines; "
            f"there are: {', '.join(sorted(augments))}"
        )
    changes = {name: {"augment": augments[name], "baselines": [name]} for name in recipe.baselines}
    return {name: recipe.model_copy(update=changed) for name, changed in changes.items()}


def _read_augments() -> dict[str, AugmentParams]:
    """Read the augmentation of every entry of `baselines`, named by `train` or not: each is validated."""
    usual = params.read("train.augment", AugmentParams).model_dump()
    section: Baselines = params.validate("baselines", Baselines)
    changed = {name: usual | changes for name, changes in section.items()}
    found: dict[str, AugmentParams] = params.check(changed, dict[Name, AugmentParams], f"{params.FILE}: baselines")
    return found
