"""What every defense is: how it makes the images that a batch is trained on, and their loss; the loop is training's."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from stages.core import params, plugins
from stages.core.params import Parameters
from stages.training.batches import Batch, TrainingData
from stages.training.objectives import cross_entropy


class Defense(Parameters, ABC):
    """A defense with its parameters."""

    takes_crafted: ClassVar[bool] = True
    """True if clips of the adversarial training set are mixed in."""
    single_step: ClassVar[bool] = False
    """True if the adversaries are so weak that training may overfit them from one epoch to the next."""
    hardens: ClassVar[bool] = True
    """True if the epoch is chosen by accuracy under attack; False if by clean accuracy, as the baseline's is."""

    @property
    def steps_per_batch(self) -> int:
        """The number of times that each batch is trained on in a row."""
        return 1

    @abstractmethod
    def adversaries(self, network: nn.Module, batch: Batch, targets: Tensor, data: TrainingData) -> Tensor:
        """Make the images to train on in place of a batch's images.

        Args:
            network: the network in training; it is left as it was, but for its mode.
            batch: augmented clips.
            targets: a wrong class for each clip, shape (batch,).
            data: the training data; its seed and `compute` are used.

        Returns:
            the images, in the shape of the batch's, in [0, 1].
        """

    def loss(
        self, model: nn.Module, adversarial: Tensor, batch: Batch, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Compute the loss of a batch, a scalar, and the logits of its adversarial images.

        Args:
            model: the network in training, perhaps wrapped.
            adversarial: adversarial images, in the shape of the batch's.
            batch: the clean images and the labels.
            label_smoothing: share of each label that is spread over all classes, in [0, 1).
        """
        return cross_entropy(model, adversarial, batch, label_smoothing)


def load(name: str) -> Defense:
    """Read the defense `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.

    Example:
        >>> load("none").hardens
        False
    """
    return params.read(f"defenses.{name}", plugins.find("stages.defenses", name, Defense))


def training_eps() -> float | None:
    """Read the budget in L-infinity of the defense that params.yaml names; None where it has none.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    eps: float | None = getattr(load(params.name("harden.method")), "eps", None)
    return eps
