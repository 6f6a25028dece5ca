"""A front end and a network in one: waveforms in, logits out."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from stages.audio.decoding import AudioParams
from stages.core import params
from stages.models import checkpoints
from stages.representations.base import restore


class Classifier(nn.Module):
    """A trained model with all that stands between a sound and its classes; in evaluation mode."""

    def __init__(self, front_end: nn.Module, network: nn.Module, classes: tuple[str, ...], audio: AudioParams) -> None:
        """Put both together.

        Args:
            front_end: from waveforms, shape (batch, samples), to images, shape (batch, 1, height, width).
            network: from images to logits, shape (batch, classes).
            classes: names of the classes.
            audio: the form that sounds are brought to.
        """
        super().__init__()
        self.front_end, self.network = front_end, network
        self.classes, self.audio = classes, audio
        self.eval()

    def forward(self, waveforms: Tensor) -> Tensor:
        """Compute logits, shape (batch, classes), of waveforms, shape (batch, samples), float32 in [-1, 1]."""
        logits: Tensor = self.network(self.front_end(waveforms))
        return logits

    @property
    def device(self) -> torch.device:
        """The device that it computes on."""
        return next(self.parameters()).device


def load_classifier(path: Path) -> Classifier:
    """Read a model's file, which holds all that it needs; loading runs no code from it.

    Args:
        path: a `.safetensors` file that `train` or `harden` wrote.

    Raises:
        InputError: the file is missing, damaged or of something else.

    Example:
        >>> classifier = load_classifier(Path("models/dwt_tonnetz/resnet18/fold5/hardened.safetensors"))
        >>> classifier(torch.zeros(1, classifier.audio.samples)).shape
        torch.Size([1, 10])
    """
    network, spec = checkpoints.load(path, "give the path of a .safetensors file that `train` or `harden` wrote")
    audio: AudioParams = params.check(json.loads(spec.audio), AudioParams, f"{path}: audio")
    front_end = restore(spec.representation, json.loads(spec.parameters)).module(audio.samples, audio.sample_rate)
    return Classifier(front_end, network, tuple(spec.classes), audio)
