"""Square attack (Andriushchenko et al. 2020)."""

from typing import ClassVar

import foolbox
from torch import Tensor

from stages.attacks.base import SearchParams
from stages.attacks.base.goals import ByMargin, Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.random_search import RandomSearch, SquareSearch
from stages.attacks.base.results import AttackResult, Candidates
from stages.models.victim import Victim
from stages.stores.perturbations import Norm


class Square(RandomSearch):
    """Random search by scores alone: squares of bins at the end of the budget, kept where they raise the margin."""

    norm: ClassVar[Norm] = "linf"

    def search(
        self, victim: Victim, inputs: AttackInputs, search: SearchParams, stop_at_success_rate: float = 1.0
    ) -> AttackResult:
        """Search with budgets that grow or shrink by the factor alone: examples are brought nearer by themselves."""
        coarse = search.model_copy(update={"tolerance": search.factor})
        return super().search(victim, inputs, coarse, stop_at_success_rate)

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Search from random stripes; `start` is of no use, as its bins are not all at the budget."""
        return SquareSearch(self.queries, self.first_share).run(
            model, inputs, ByMargin(Towards(inputs.targets)), budget
        )
