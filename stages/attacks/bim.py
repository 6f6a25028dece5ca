"""Basic iterative method (Kurakin et al. 2017)."""

import foolbox
from torch import Tensor

from stages.attacks import Clips, Tried
from stages.attacks._iterative import Iterative


class BIM(Iterative):
    """FGSM in small steps, from the clip or from the example of the larger budget."""

    paper = "Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World, ICLR 2017"

    def examples(self, model: foolbox.PyTorchModel, clips: Clips, budget: Tensor, start: Tensor) -> Tried:
        """The images when they were fooled, or after the last step."""
        return self.descended(model, clips, budget, start)
