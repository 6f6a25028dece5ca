"""Figures of checks that look at the model itself: its logits, its gradients, its arithmetic."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.attacks.base.inputs import AttackInputs
from stages.attacks.ddn import DDN
from stages.models.victim import Victim, logit_margin

SUBSAMPLE = 8
"""Number of clips that gradients and low precision are looked at on."""
LIVE_SHARE = 0.1
"""Share of the bins that must have a gradient."""
SLOPES_OF = 4
"""Number of clips whose slopes are measured."""
STEPS = {"image": 1e-3, "sound": 1e-6}
"""Root mean square of the step by which slopes are measured, in what attacks change, by domain.

An image is stepped so far that one quantised in 256 steps shows it; a sound's quiet bins bend soon.
"""
STEPS_IN_BOTH = 50
"""Number of steps of the attack that is made in low precision and in float32."""


def of_model(victim: Victim, images: Tensor) -> dict[str, float]:
    """Measure the logits of test clips, shape (N, 1, height, width)."""
    logits, again = victim.logits(images), victim.logits(images)
    return {
        "forward_deterministic": float((logits - again).abs().max()),
        "logits_not_saturated": saturated(logits),
    }


def saturated(logits: Tensor) -> float:
    """Compute the share of clips whose largest probability is 1 in float32; 1 if the logits are probabilities."""
    if bool((logits >= 0).all()) and torch.allclose(logits.sum(1), torch.ones_like(logits[:, 0]), atol=1e-4):
        return 1.0
    return float((logits.float().softmax(1).amax(1) == 1).float().mean())


def of_gradients(victim: Victim, inputs: AttackInputs) -> dict[str, float]:
    """Compute the share of clips whose gradient is finite, and not zero in enough of what an attack may change."""
    chosen = inputs.subsample(SUBSAMPLE).to(victim.device)
    leaf = chosen.clean.requires_grad_()
    loss = functional.cross_entropy(victim.model(leaf), chosen.targets, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, leaf)
    flat = gradient.flatten(1)
    share = LIVE_SHARE * float(inputs.domain.free(inputs.clean).mean())
    alive = flat.isfinite().all(1) & ((flat != 0).float().mean(1) >= share)
    return {"gradients_alive": float(alive.float().mean()), "gradients_match": mismatch(victim, inputs)}


def mismatch(victim: Victim, inputs: AttackInputs) -> float:
    """Compare slopes of the margin by gradients with those by finite differences, in float64.

    Along the gradient, and along random directions, a smooth model's margin rises as the gradient says. Where a part of
    the model passes no gradient, or the input is quantised, it does not.

    Returns:
        the median, over clips and directions, of the difference as a share of the larger slope.
    """
    chosen = inputs.subsample(SLOPES_OF).to(victim.device)
    model = deepcopy(victim.model).double()
    clean, free = chosen.clean.double(), inputs.domain.free(chosen.clean).double()
    leaf = clean.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(logit_margin(model(leaf), chosen.targets).sum(), leaf)
    draws = [torch.randn(clean.shape[1:], generator=each) for each in chosen.generators()]
    directions = (gradient, free * gradient.abs().mean() * torch.stack(draws).to(clean).sign())
    found = [_difference(model, chosen, clean, gradient, direction) for direction in directions]
    return float(torch.cat(found).median())


def _difference(model: nn.Module, inputs: AttackInputs, clean: Tensor, gradient: Tensor, direction: Tensor) -> Tensor:
    """Compute the relative difference of both slopes along a direction, shape (batch,)."""
    length = direction.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    step = STEPS[inputs.domain.name] * direction / length.clamp(min=torch.finfo(length.dtype).tiny)
    with torch.no_grad():
        ends = [logit_margin(model(clean + side * step), inputs.targets) for side in (1, -1)]
    measured, told = (ends[0] - ends[1]) / 2, (gradient * step).sum(dim=(1, 2, 3))
    return (measured - told).abs() / torch.maximum(measured.abs(), told.abs()).clamp(min=1e-12)


def of_precision(victim: Victim, inputs: AttackInputs) -> dict[str, float]:
    """Compute the share of images on which an attack in float32 is cheaper by 5 % than the same in low precision."""
    chosen, compute = inputs.subsample(SUBSAMPLE), victim.compute.model_copy(update={"precision": "float32"})
    exact = Victim(victim.network, compute, victim.front_end, victim.lead)
    low, high = (DDN.of_steps(STEPS_IN_BOTH).costs(each, chosen) for each in (victim, exact))
    return {"low_precision_harmless": float((high < low / 1.05).float().mean())}
