"""What attacks propose and find."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.attacks.base.inputs import AttackInputs


@dataclass(frozen=True)
class Candidates:
    """The examples that an attack proposes for a batch of clips."""

    examples: Tensor
    """Proposed examples, in the shape of the clips."""
    queries: Tensor
    """Passes through the model per clip, each forward alone or forward and backward, shape (batch,)."""

    @classmethod
    def alike(cls, examples: Tensor, queries: int) -> "Candidates":
        """Make candidates of examples that took the same number of queries each."""
        return cls(examples, torch.full((len(examples),), queries))


@dataclass
class AttackResult:
    """The cheapest example found so far for each of N clips."""

    adversarial: Tensor
    """Cheapest examples, in the shape of the clips; the clean clip where no example was found."""
    cost: Tensor
    """Size of the perturbation in the attack's norm, float32, shape (N,); infinite where no example was found."""
    queries: Tensor
    """Passes through the model per clip, shape (N,)."""

    @classmethod
    def nothing(cls, inputs: AttackInputs) -> "AttackResult":
        """Make the result before the first try, with no example found."""
        cost = torch.full((len(inputs),), torch.inf)
        return cls(inputs.clean.clone(), cost, torch.zeros(len(inputs), dtype=torch.int64))

    @classmethod
    def joined(cls, parts: Sequence["AttackResult"]) -> "AttackResult":
        """Join the results of several sets of clips, one after the other."""
        return cls(
            torch.cat([part.adversarial for part in parts]),
            torch.cat([part.cost for part in parts]),
            torch.cat([part.queries for part in parts]),
        )

    @property
    def fooled(self) -> Tensor:
        """The mask of the clips for which an example was found, bool, shape (N,)."""
        return self.cost.isfinite()

    def keep_better(self, rows: Tensor, examples: Tensor, cost: Tensor) -> None:
        """Keep those examples of the clips at `rows` that cost less than the examples found before."""
        better = cost < self.cost[rows]
        self.adversarial[rows[better]] = examples[better]
        self.cost[rows[better]] = cost[better]
