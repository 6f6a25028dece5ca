"""A model as it is attacked in one domain: what it takes, the test clips, and what the attacks found of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stages.attacks.base import Access, Attack, AttackParams, domain_of
from stages.attacks.base.domains import Domain
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.prepare import cell_inputs
from stages.core.arrays import Flags, Floats, Integers, Strings
from stages.evaluation.stored_attacks import StoredAttack, read_attacks
from stages.models.cell import Cell
from stages.models.victim import Victim, predictions
from stages.stores.adversarial import Adversarial
from stages.stores.perturbations import NORMS, WORST, Norm

Stores = Mapping[str, Adversarial]
"""Adversarial stores of one victim, by attack."""


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """A model in one domain, with the attacks on its test clips, of which there may be none."""

    domain: Domain
    victim: Victim
    inputs: AttackInputs
    """The test clips."""
    groups: Strings
    """Recordings of the test clips, shape (N,)."""
    attacks: Mapping[str, StoredAttack]
    """Attacks on this model, with what they found, by name."""
    baseline: Stores
    """Adversarial stores of the cell's baseline, by attack; empty where this model is the baseline."""
    budgets: Mapping[Norm, float]
    """Budget that rates are told for, by norm; of sounds the amplitude ratio of `attack.snr`."""

    @property
    def budget(self) -> float:
        """The budget of the domain's first norm: L-infinity of images, the amplitude ratio of sounds."""
        return self.budgets[NORMS[self.domain.name][0]]

    @property
    def stores(self) -> Stores:
        """The adversarial stores of this model, by attack."""
        return {name: each.store for name, each in self.attacks.items()}

    @property
    def kinds(self) -> Mapping[str, Attack]:
        """The attacks as they were run, by name."""
        return {name: each.attack for name, each in self.attacks.items()}

    def seeing(self, access: Access) -> Stores:
        """Pick the stores of the attacks with one view of the model, by attack."""
        return {name: each.store for name, each in self.attacks.items() if each.attack.access == access}

    @property
    def correct(self) -> Flags:
        """Mask of the clips that the model gets right, which are those that are attacked, shape (N,)."""
        flags: Flags = self.inputs.eligible.numpy()
        return flags

    @property
    def norms(self) -> dict[str, Norm]:
        """The worst cases of this domain, and the norm that each of them is measured in."""
        return {name: norm for name, norm in WORST.items() if norm in NORMS[self.domain.name]}

    def worst(self, norm: Norm) -> Floats:
        """Find per clip the smallest size over the successful examples of all attacks; infinite where there is none."""
        return worst(self.stores, norm, len(self.inputs))

    def predicted(self, store: Adversarial, rows: Flags) -> Integers:
        """Ask the model what it takes some of a store's examples for."""
        return predictions(self.victim, self.domain.restored(store.adversarial[rows]).numpy())


def worst(found: Stores, norm: Norm, clips: int) -> Floats:
    """Find per clip, of so many, the smallest size over the successful examples; infinite where there is none."""
    sizes = [np.where(store.success, store.sizes[norm], np.inf) for store in found.values()]
    smallest: Floats = np.min([np.full(clips, np.inf), *sizes], axis=0).astype(np.float32)
    return smallest


def read_attacked(cell: Cell, model: str, domain: Domain, attacks: Sequence[str], settings: AttackParams) -> Attacked:
    """Read what the attacks in one domain found of a cell's test clips.

    Args:
        cell: the cell.
        model: `baseline` or `hardened`.
        domain: the domain.
        attacks: names of attacks, in any domain.
        settings: the budgets.

    Raises:
        InputError: a store is missing or damaged, or is of other clips, targets or parameters.
    """
    victim = domain.victim(cell, model)
    inputs = cell_inputs(cell, victim, cell.split.test, domain)
    own = [name for name in attacks if domain_of(name) == domain.name]
    stored = read_attacks(cell.paths, "baseline", own, inputs, settings) if model == "hardened" else {}
    return Attacked(
        domain=domain,
        victim=victim,
        inputs=inputs,
        groups=cell.features.groups[cell.split.test],
        attacks=read_attacks(cell.paths, model, own, inputs, settings),
        baseline={name: each.store for name, each in stored.items()},
        budgets={norm: settings.budget(norm) for norm in WORST.values() if norm in NORMS[domain.name]},
    )
