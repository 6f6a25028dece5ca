"""What attacks propose and find."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.attacks.base.inputs import AttackInputs


@dataclass(frozen=True)
class Candidates:
    """What an attack proposes for a batch of clips."""

    examples: Tensor
    """Shape of the images."""
    queries: Tensor
    """Passes through the model, each forward alone or forward and backward, shape (batch,)."""

    @classmethod
    def alike(cls, examples: Tensor, queries: int) -> "Candidates":
        """Propose examples that took the same number of queries each."""
        return cls(examples, torch.full((len(examples),), queries))


@dataclass
class AttackResult:
    """The cheapest example found so far for each of N clips."""

    adversarial: Tensor
    """Shape (N, 1, height, width); the clean clip where none was found."""
    cost: Tensor
    """Size of the perturbation in the attack's norm, float32, shape (N,); infinite where none was found."""
    queries: Tensor
    """Passes through the model, shape (N,)."""

    @classmethod
    def nothing(cls, inputs: AttackInputs) -> "AttackResult":
        """Begin before the first try."""
        cost = torch.full((len(inputs),), torch.inf)
        return cls(inputs.images.clone(), cost, torch.zeros(len(inputs), dtype=torch.int64))

    @classmethod
    def joined(cls, parts: Sequence["AttackResult"]) -> "AttackResult":
        """Join what was found for several sets of clips, one after the other."""
        return cls(
            torch.cat([part.adversarial for part in parts]),
            torch.cat([part.cost for part in parts]),
            torch.cat([part.queries for part in parts]),
        )

    @property
    def fooled(self) -> Tensor:
        """Whether an example was found, shape (N,)."""
        return self.cost.isfinite()

    def keep_better(self, rows: Tensor, examples: Tensor, cost: Tensor) -> None:
        """Take those examples, of the clips at `rows`, that cost less than what is there."""
        better = cost < self.cost[rows]
        self.adversarial[rows[better]] = examples[better]
        self.cost[rows[better]] = cost[better]
