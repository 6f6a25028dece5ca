"""Basic iterative method (Kurakin et al. 2017)."""

import foolbox
from torch import Tensor

from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.linf import Iterative
from stages.attacks.base.results import Candidates


class BIM(Iterative):
    """FGSM in small steps, from the clip or from the example of the larger budget."""

    paper = "Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World, ICLR 2017"

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Descend from `start`; each image ends where it fools the model, or after the last step."""
        return self.descend(model, inputs, budget, start)
