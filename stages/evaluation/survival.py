"""Whether adversarial sounds still fool after a journey: through files, codecs, resampling, noise, a room."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.attacks.base.sound_domain import SoundDomain, heard, shown
from stages.audio import channels
from stages.core import seeding
from stages.core.arrays import Flags
from stages.evaluation import rates
from stages.evaluation.attacked import Attacked
from stages.models.victim import Victim
from stages.stores.adversarial import Adversarial


def survival(attacked: Attacked, seed: int) -> dict[str, dict[str, Any]]:
    """Play every adversarial sound, and every clip, through every channel.

    Returns:
        for each channel `survival`, by attack the share of the sounds that still reach their target, and the `accuracy`
        on the clips themselves that the model gets right without the channel: what of the loss is the channel's own.
    """
    domain = attacked.domain
    assert isinstance(domain, SoundDomain)
    found: dict[str, dict[str, Any]] = {}
    right = attacked.inputs.eligible_only()
    for name in channels.available():
        kept = _through(name, attacked.victim, right.clean, domain, seed) == right.labels.numpy()
        found[name] = rates.rate("accuracy", kept)
        for attack, store in attacked.stores.items():
            found[name][attack] = rates.rate("survival_rate", _survivors(attacked, store, name, seed))
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
    for batch in sounds.split(victim.compute.batch_size) if len(sounds) else []:
        # Drawn anew for each batch: a clip then gets the same in any.
        draw = seeding.generator(seed, "channel", channel)
        played = channels.CHANNELS[channel](heard(batch), domain.audio.sample_rate, draw)
        predicted.append(victim.predict(shown(played)).cpu())
    return np.asarray(torch.cat(predicted))
