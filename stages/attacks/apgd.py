"""Auto-PGD with a target (Croce and Hein 2020)."""

import foolbox
import torch
from torch import Tensor

from stages.attacks.base.auto_pgd import AutoPGD
from stages.attacks.base.goals import ByMargin, ByRatio, Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.linf import FromOneStep
from stages.attacks.base.results import Candidates
from stages.models.victim import exact_logits, logit_margin


class APGD(FromOneStep):
    """Steps that are halved where they stop to help: on the margin from the example of the larger budget, if there is.

    Where that fails, the same on the ratio of logits (DLR) from the clip itself.
    """

    paper = "Croce, Hein: Reliable Evaluation with an Ensemble of Parameter-Free Attacks, ICML 2020"

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Descend by one loss, then by the other where the first fails."""
        descent = AutoPGD(self.steps)
        found = descent.run(model, inputs.clean, ByMargin(Towards(inputs.targets)), budget, start)
        margins = logit_margin(exact_logits(model, found.examples), inputs.targets)
        left = torch.nonzero(margins <= 0).flatten()
        examples, queries = found.examples.clone(), found.queries + 1
        if len(left):
            rest = inputs[left.cpu()]
            again = descent.run(model, rest.clean, ByRatio(Towards(rest.targets)), budget[left], rest.clean)
            examples[left] = again.examples
            queries[left.cpu()] += again.queries
        return Candidates(examples, queries)
