"""Attacks that themselves look for a small perturbation."""

from abc import ABC, abstractmethod

import foolbox
import torch
from torch import Tensor

from stages.attacks import Attack, Clips, Found, SearchParams, Tried
from stages.prediction import Victim

OVERSHOOTS = (1.0, 1.02, 1.1)
"""Multiples of the perturbation, tried in turn: gradients of low precision may end a little short of the boundary."""

HALVINGS = 7
"""Of the interval in which the smallest multiple that fools is sought: to 1 % of the perturbation."""


class MinimumNorm(Attack, ABC):
    """An attack that itself looks for a small perturbation."""

    @abstractmethod
    def examples(self, model: foolbox.PyTorchModel, clips: Clips) -> Tried:
        """One example a clip, the clean one or silence where none was found, as Foolbox returns it.

        Args:
            model: the victim; one that decides in float32 for a black-box attack.
            clips: on the device.
        """

    def search(self, victim: Victim, clips: Clips, search: SearchParams, enough: float = 1.0) -> Found:
        """One run, then the smallest multiple of each perturbation that fools the victim, by bisection."""
        found = Found.nothing(clips)
        model = victim.exposed() if self.knowledge == "white box" else victim.deciding()
        for part in torch.arange(len(clips)).split(victim.compute.batch_size):
            chosen = clips[part]
            tried = self.examples(model, chosen.to(victim.device))
            found.queries[part] += tried.passes
            self._shorten(victim, chosen, tried.examples.detach().cpu(), found, part)
        return found

    def _shorten(self, victim: Victim, clips: Clips, raw: Tensor, found: Found, rows: Tensor) -> None:
        """Judge multiples of the perturbations and keep the cheapest; silence and clean clips are failures."""
        changed = ~_is_silence(raw) & ~_is_silence(raw - clips.images)
        upper = torch.full_like(found.cost[rows], torch.inf)
        for overshoot in OVERSHOOTS:
            open_ = torch.nonzero(changed & upper.isinf()).flatten()
            fooled = self._try(victim, clips, raw, torch.full_like(upper, overshoot), open_, found, rows)
            upper[open_[fooled]] = overshoot
        open_ = torch.nonzero(upper.isfinite()).flatten()
        lower = torch.zeros_like(upper)
        for _ in range(HALVINGS):
            middle = (lower + upper) / 2
            fooled = self._try(victim, clips, raw, middle, open_, found, rows)
            upper[open_[fooled]], lower[open_[~fooled]] = middle[open_[fooled]], middle[open_[~fooled]]

    def _try(
        self, victim: Victim, clips: Clips, raw: Tensor, scale: Tensor, open_: Tensor, found: Found, rows: Tensor
    ) -> Tensor:
        """Which of the open clips a multiple of their perturbation fools."""
        if not len(open_):
            return torch.zeros(0, dtype=torch.bool)
        chosen = clips[open_]
        delta = scale[open_].reshape(-1, 1, 1, 1) * (raw[open_] - chosen.images)
        examples = (chosen.images + delta).clamp(0, 1)
        cost = self.judged(victim, chosen, examples)
        found.keep_better(rows[open_], examples, cost)
        found.queries[rows[open_]] += 1
        return cost.isfinite()


def _is_silence(images: Tensor) -> Tensor:
    """Foolbox marks failure with an image of zeros, which the victim may well take for the target."""
    return images.flatten(1).abs().amax(1) == 0
