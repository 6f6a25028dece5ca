"""Whether adversarial sounds still fool after a journey: through files, codecs, resampling, noise, a room."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.attacks.base.expectation import Journey
from stages.attacks.base.sound_domain import SoundDomain
from stages.audio import channels
from stages.core.arrays import Flags
from stages.evaluation import rates
from stages.evaluation.attacked import Attacked
from stages.models.victim import Victim
from stages.stores.adversarial import Adversarial


def survival(attacked: Attacked, seed: int) -> dict[str, dict[str, Any]]:
    """Play every adversarial sound, and every clip, through every channel.

    Returns:
        for each channel, by attack, the `survival_rate`: the share of the sounds that still reach their target; and the
        `accuracy` on the clips that the model gets right without the channel: what of the loss is the channel's own.
    """
    domain = attacked.domain
    assert isinstance(domain, SoundDomain)
    found: dict[str, dict[str, Any]] = {}
    right = attacked.inputs.eligible_only()
    for name in channels.available():
        kept = _through(name, attacked.victim, right.clean, domain, seed) == right.labels.numpy()
        found[name] = rates.rate("accuracy", kept, attacked.groups[attacked.correct])
        for attack, store in attacked.stores.items():
            survivors = _survivors(attacked, store, name, seed)
            found[name][attack] = rates.rate("survival_rate", survivors, attacked.groups[store.success])
    return found


def _survivors(attacked: Attacked, store: Adversarial, channel: str, seed: int) -> Flags:
    domain = attacked.domain
    assert isinstance(domain, SoundDomain)
    examples = domain.restored(store.adversarial[store.success])
    flags: Flags = _through(channel, attacked.victim, examples, domain, seed) == store.target[store.success]
    return flags


def _through(channel: str, victim: Victim, sounds: Tensor, domain: SoundDomain, seed: int) -> Any:
    """Predict the classes of sounds after a channel, shape (N,)."""
    predicted = [torch.zeros(0, dtype=torch.int64)]
    journey = Journey(channel, domain.audio.sample_rate, seed, "survival")
    for batch in sounds.split(victim.compute.batch_size) if len(sounds) else []:
        predicted.append(victim.predict(journey(batch)).cpu())
    return np.asarray(torch.cat(predicted))
