"""Auto-PGD with a target (Croce and Hein 2020)."""

import foolbox
import torch
from torch import Tensor

from stages.attacks.base.auto_pgd import AutoPGD
from stages.attacks.base.goals import ByMargin, ByRatio, Towards, reached
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.linf import FromOneStep
from stages.attacks.base.results import Candidates


class APGD(FromOneStep):
    """Steps that are halved where they stop to help: on the margin from the example of the larger budget, if there is.

    Where that fails, the same on the ratio of logits (DLR) from the clip itself.
    """

    paper = "Croce, Hein: Reliable Evaluation with an Ensemble of Parameter-Free Attacks, ICML 2020"

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Descend by one loss, then by the other where the first fails."""
        descent, goal = AutoPGD(self.steps), Towards(inputs.targets)
        found = descent.run(model, inputs.clean, ByMargin(goal), budget, start)
        everyone = torch.arange(len(inputs), device=budget.device)
        margins = torch.full_like(everyone, 1, dtype=torch.float32)
        left = everyone[~reached(model, goal, found.examples, everyone, margins)]
        examples, queries = found.examples.clone(), found.queries + 1
        if len(left):
            rest = inputs[left.cpu()]
            again = descent.run(model, rest.clean, ByRatio(Towards(rest.targets)), budget[left], rest.clean)
            examples[left] = again.examples
            queries[left.cpu()] += again.queries
        return Candidates(examples, queries)
