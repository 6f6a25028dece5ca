"""Foolbox attacks of our own that move images into a class asked for."""

from abc import abstractmethod
from typing import Any

from foolbox import PyTorchModel, TargetedMisclassification
from foolbox.attacks.base import MinimizationAttack
from torch import Tensor

from stages.attacks.base.results import Candidates


class TargetedAttack(MinimizationAttack):
    """A search for a small perturbation, usable as any attack of Foolbox, but with targets only."""

    @abstractmethod
    def attempt(self, model: PyTorchModel, images: Tensor, targets: Tensor) -> Candidates:
        """Propose one example per clip, or the image itself or another failure where none was found.

        Args:
            model: the victim.
            images: the clean images, shape (batch, 1, height, width), in [0, 1].
            targets: the target classes, shape (batch,).
        """

    def run(  # type: ignore[override]
        self,
        model: PyTorchModel,
        inputs: Tensor,
        criterion: TargetedMisclassification,
        *,
        early_stop: float | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Return the examples of `attempt`, as Foolbox asks for them; shape of the inputs."""
        return self.attempt(model, inputs, criterion.target_classes.raw).examples
