"""Jacobian-based saliency map attack (Papernot et al. 2016), in both directions (Wiyatno and Xu 2018)."""

from typing import Annotated, ClassVar, Literal

import foolbox
import torch
from foolbox import PyTorchModel
from foolbox.distances import l0
from pydantic import Field
from torch import Tensor

from stages.attacks.base import Access
from stages.attacks.base.gradients import logit_gradients, probability_gradients
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.attacks.base.targeted import TargetedAttack
from stages.core.params import Count, Number
from stages.models.victim import exact_logits
from stages.stores.perturbations import Norm

Rule = Literal["single", "pair"]


class JSMA(MinimumNorm):
    """The change of the most salient bins, a few at a time, until the victim is fooled; then all changes shrink alike.

    The attack keeps the number of changed bins small. Its cost is in L1, the norm nearest to that: the shrinking finds,
    clip by clip, the smallest change of a bin with which the bins chosen still fool.
    """

    norm: ClassVar[Norm] = "l1"
    access: ClassVar[Access] = "white_box"
    paper = "Papernot et al.: The Limitations of Deep Learning in Adversarial Settings, EuroS&P 2016"

    rule: Rule
    theta: Annotated[Number, Field(gt=0, le=1)]
    bins_per_step: Annotated[Count, Field(ge=1, le=10000)]
    steps: Annotated[Count, Field(ge=1, le=100000)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Run `SaliencyMapAttack` on the clips."""
        attack = SaliencyMapAttack(rule=self.rule, theta=self.theta, bins_per_step=self.bins_per_step, steps=self.steps)
        return attack.attempt(model, inputs.clean, inputs.targets)


class SaliencyMapAttack(TargetedAttack):
    """The saliency map attack, in L0; a clip leaves the batch when it fools the model, or when no bin is salient.

    A bin, or pair of bins, is salient if changing it, up or down, raises the target's output and lowers the sum of the
    others; the saliency is the product of both slopes. A bin that was raised is not lowered again, nor the other way
    round. Single bins are chosen by the slopes of the softmax, which take one pass backward; pairs by those of the
    logits, which take two: of the softmax, whose slopes sum to zero, the best pair would be the two best bins.
    """

    distance = l0

    def __init__(self, *, rule: Rule, theta: float, bins_per_step: int, steps: int) -> None:
        """Set the parameters.

        Args:
            rule: `single` takes the bins one by one, `pair` two together, so that one may make up for the other.
            theta: change of a bin per step; a bin stops at the bounds.
            bins_per_step: bins or pairs changed between two looks at the model; the paper's is 1.
            steps: largest number of looks at the model.
        """
        self.theta, self.bins_per_step, self.steps = theta, bins_per_step, steps
        self.slopes, self.choose, self.cost = RULES[rule]

    def attempt(self, model: PyTorchModel, images: Tensor, targets: Tensor) -> Candidates:
        """Change salient bins of each image until the model first takes it for its target, or until the last step."""
        examples, moved = images.clone(), torch.zeros_like(images)
        queries = torch.zeros(len(images), dtype=torch.int64)
        active = torch.arange(len(images), device=images.device)
        for _ in range(self.steps):
            claimed, towards, others = self.slopes(model, examples[active], targets[active])
            fooled = claimed.clone()
            if claimed.any():
                fooled[claimed] = exact_logits(model, examples[active[claimed]]).argmax(1) == targets[active[claimed]]
            queries[active.cpu()] += self.cost
            change = self._change(examples[active], moved[active], towards, others)
            going = ~fooled & change.flatten(1).any(1)
            active, change = active[going], change[going]
            if not len(active):
                break
            examples[active] = (examples[active] + self.theta * change).clamp(0, 1)
            moved[active] = torch.where(change == 0, moved[active], change)
        return Candidates(examples, queries)

    def _change(self, images: Tensor, moved: Tensor, towards: Tensor, others: Tensor) -> Tensor:
        """Choose the direction in which each bin is changed, 0 for most; shape of the images."""
        can_rise, can_fall = (images < 1) & (moved >= 0), (images > 0) & (moved <= 0)
        maps = [values.flatten(1) for values in (towards, others, can_rise, can_fall)]
        return self.choose(maps[0], maps[1], maps[2], maps[3], self.bins_per_step).reshape(images.shape)


def most_salient_bins(towards: Tensor, others: Tensor, can_rise: Tensor, can_fall: Tensor, count: int) -> Tensor:
    """Choose the bins with the greatest saliency, one by one, and their directions.

    Args:
        towards: slopes of the target's output, shape (batch, bins).
        others: slopes of the sum of the other outputs.
        can_rise: mask of the bins that may be raised.
        can_fall: mask of the bins that may be lowered.
        count: number of bins.

    Returns:
        1, -1 or 0, shape (batch, bins).
    """
    direction = towards.sign()
    allowed = torch.where(direction > 0, can_rise, can_fall)
    saliency = (-towards * others).clamp(min=0) * allowed
    best = saliency.topk(min(count, saliency.shape[1]), dim=1)
    chosen = torch.zeros_like(saliency).scatter(1, best.indices, (best.values > 0).to(saliency))
    return chosen * direction


def most_salient_pairs(towards: Tensor, others: Tensor, can_rise: Tensor, can_fall: Tensor, count: int) -> Tensor:
    """Choose the pairs of bins with the greatest saliency, each bin in one pair; else as `most_salient_bins`.

    The saliency of a pair grows with both of the slopes of either bin, so none of its bins is surpassed in both by
    two others: only such bins are paired.
    """
    change = torch.zeros_like(towards)
    for row in range(len(towards)):
        up, down = towards[row].clone(), others[row].clone()
        free_up, free_down = can_rise[row].clone(), can_fall[row].clone()
        for _ in range(count):
            rising, falling = _best_pair(up, -down, free_up), _best_pair(-up, down, free_down)
            direction, (saliency, pair) = max(((1.0, rising), (-1.0, falling)), key=lambda each: each[1][0])
            if saliency <= 0:
                break
            change[row, pair] = direction
            free_up[pair] = free_down[pair] = False
    return change


def _best_pair(gain: Tensor, loss: Tensor, free: Tensor) -> tuple[float, Tensor]:
    """Find the greatest product, over pairs of free bins, of summed gains and losses, both positive; and the pair."""
    bins = torch.nonzero(free).flatten()
    first = _unsurpassed(gain[bins], loss[bins])
    rest = bins[~first]
    bins = torch.cat([bins[first], rest[_unsurpassed(gain[rest], loss[rest])]])
    if len(bins) < 2:
        return 0.0, bins
    gains, losses = (values[bins, None] + values[None, bins] for values in (gain, loss))
    products = (gains.clamp(min=0) * losses.clamp(min=0)).fill_diagonal_(0)
    best = products.argmax()
    return float(products.max()), bins[torch.stack([best // len(bins), best % len(bins)])]


def _unsurpassed(gain: Tensor, loss: Tensor) -> Tensor:
    """Find the bins that no other bin matches in both gain and loss, one of equals: shape (bins,), bool."""
    order = gain.argsort(descending=True, stable=True)
    highest = torch.cat([loss.new_full((1,), -torch.inf), loss[order].cummax(0).values[:-1]]) if len(order) else loss
    found = torch.zeros(len(gain), dtype=torch.bool, device=gain.device)
    found[order] = loss[order] > highest
    return found


RULES = {
    "single": (probability_gradients, most_salient_bins, 1),
    "pair": (logit_gradients, most_salient_pairs, 2),
}
"""For each rule the slopes that are looked at, the choice of bins by them, and the queries that a look takes."""
