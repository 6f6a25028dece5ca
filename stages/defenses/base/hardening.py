"""Hardening one cell's model: the baseline, or a fresh network, trained against adversaries."""

from dataclasses import replace

import numpy as np
import torch

from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.defenses.base import Defense
from stages.defenses.base.objective import Hardening, HardenParams
from stages.defenses.base.selection import selection_score
from stages.models import resume
from stages.models.cell import Cell
from stages.stores.adversarial import Adversarial, read_adversarial
from stages.training import history, loop
from stages.training.augment import AugmentParams
from stages.training.batches import load_training_data
from stages.training.loop import Record, Trained


def harden(cell: Cell, defense: Defense, settings: HardenParams, augment: AugmentParams) -> Trained:
    """Train the hardened network of a cell by a defense.

    Args:
        cell: the cell; its baseline and its adversarial training set are read.
        defense: the defense, with its parameters.
        settings: the section `harden` of params.yaml.
        augment: the augmentation of training images.

    Raises:
        InputError: a file is missing, damaged or of other clips, or the clips cannot be trained on.
    """
    require_one_process(settings, cell.compute)
    network = cell.model("baseline") if settings.start == "baseline" else cell.fresh_network()
    crafted = read_crafted(cell)
    data = replace(load_training_data(cell, settings.train, augment), steps_per_batch=defense.steps_per_batch)
    exists = torch.from_numpy(crafted.success)
    loss = Hardening(defense, torch.from_numpy(crafted.adversarial), exists, settings, data)
    # The targets of the score are drawn for the names of its clips.
    scored = "\0".join(cell.features.clips[cell.split.validation])
    ingredients = (*data.ingredients, *cell.clips(cell.split.validation), scored, network, settings, defense)
    scratch = resume.scratch(cell.paths.stage("harden"), *ingredients, loss.crafted, exists)
    record = Record(f"harden {cell.paths}", cell.paths.history("hardened"), scratch)
    rollback = history.overfits_catastrophically if defense.single_step else loop.no_rollback
    rows = loop.fit(network, data, loss, selection_score(defense, settings.selection, cell), record, rollback)
    told = {"defense": f"{settings.method} {defense.model_dump_json()}"}
    return Trained(network, data.facts | history.summary(rows) | told, [scratch])


def require_one_process(settings: HardenParams, compute: ComputeParams) -> None:
    """Raise an InputError if several processes are to perturb the weights: they would not agree on them."""
    if settings.awp_gamma and compute.world_size > 1:
        raise InputError(
            f"harden.awp_gamma: must be 0 where {compute.world_size} processes train together (compute.devices x "
            f"compute.nodes); found {settings.awp_gamma}"
        )


def read_crafted(cell: Cell) -> Adversarial:
    """Read the adversarial training set.

    Raises:
        InputError: the set is missing, damaged, or of other clips than those that are trained on.
    """
    file, stage = cell.paths.crafted(), cell.paths.stage("craft")
    crafted = read_adversarial(file, stage)
    if not np.array_equal(crafted.clip, cell.features.clips[cell.split.train]):
        raise InputError(f"{file} holds other clips than the training set; run `dvc repro {stage}`")
    return crafted
