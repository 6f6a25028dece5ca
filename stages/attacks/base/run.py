"""One attack on one model: its clips shared out among the processes, kept shard by shard, and measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from stages.attacks.base import Attack, SearchParams
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.results import AttackResult
from stages.core.progress import Progress
from stages.models import distributed, resume
from stages.models.resume import Scratch, State
from stages.models.victim import Victim
from stages.stores.adversarial import Adversarial
from stages.stores.perturbations import NORMS

SHARD = 32
"""Clips that are attacked, and kept, together: fixed, so that neither device nor batch size changes what is found."""


@dataclass(kw_only=True)
class AttackRun:
    """An attack on the eligible clips, which goes on where a killed process left it.

    Example:
        >>> run = AttackRun(what="bim", victim=victim, inputs=inputs, attack=attack, search=search)
        >>> write_adversarial(path, run.adversarial({"attack": "bim"}))
        >>> run.done()
    """

    what: str
    """Name of the work, for progress."""
    victim: Victim
    """The model that is to be fooled."""
    inputs: AttackInputs
    """All clips, eligible or not."""
    attack: Attack
    """The attack, with its parameters as tuned."""
    search: SearchParams
    """The parameters of the search for the smallest budget."""
    stop_at_success_rate: float = 1.0
    """Share of fooled clips in a shard after which its search may end."""

    def adversarial(self, attributes: Mapping[str, Any]) -> Adversarial:
        """Attack the eligible clips, and measure the examples found.

        Args:
            attributes: attributes of the store.
        """
        # Devices may round differently: what the first process saw and chose holds.
        self.inputs, self.attack = distributed.broadcast((self.inputs, self.attack))
        return self._measured(self._found(self.inputs.eligible_only()), attributes)

    def done(self) -> None:
        """Remove the scratch of the unfinished run, once its result is written."""
        self._scratch.remove()

    @cached_property
    def _scratch(self) -> Scratch:
        """The scratch of the attack on the clips that all processes agree on."""
        chosen = self.inputs.eligible_only()
        tensors = (chosen.clean, chosen.targets, chosen.seeds, chosen.starts)
        settings = (self.attack, self.search, repr((self.stop_at_success_rate, self.victim.channels)))
        return resume.scratch(self.what, *settings, self.victim.model, *tensors)

    def _found(self, inputs: AttackInputs) -> AttackResult:
        """Find the cheapest examples, shard by shard, after those that a killed run left behind."""
        scratch = self._scratch
        kept = distributed.broadcast(scratch.read())
        found = self._taken_up(kept) if kept else AttackResult.nothing(inputs[torch.arange(0)])
        progress = Progress(self.what, len(inputs), done=len(found.cost))
        while (done := len(found.cost)) < len(inputs):
            begin = done + distributed.rank() * SHARD
            shard = inputs[torch.arange(len(inputs))[begin : begin + SHARD]]
            found = AttackResult.joined([found, *distributed.all_gather(self._attacked(shard))])
            if distributed.is_main_process():
                stored = torch.from_numpy(inputs.domain.stored(found.adversarial))
                scratch.write({**vars(found), "adversarial": stored})
                progress.add(len(found.cost) - done, note=f"{found.fooled.float().mean():.0%} fooled at some size")
        progress.close()
        return found

    def _taken_up(self, kept: State) -> AttackResult:
        """Turn what a killed run left behind, which is as small as in a store, back into what it had found."""
        return AttackResult(**{**kept, "adversarial": self.inputs.domain.restored(kept["adversarial"].numpy())})

    def _attacked(self, shard: AttackInputs) -> AttackResult:
        """Find the cheapest examples of one shard, which is empty where there are more processes than shards."""
        if not len(shard):
            return AttackResult.nothing(shard)
        # Foolbox's DDN draws where a gradient vanishes: not what it drew for other shards.
        torch.manual_seed(int(shard.seeds[0]))
        return self.attack.search(self.victim, shard, self.search, self.stop_at_success_rate)

    def _measured(self, found: AttackResult, attributes: Mapping[str, Any]) -> Adversarial:
        """Gather all clips, with the examples of those for which the stored array fools the model."""
        inputs, domain = self.inputs, self.inputs.domain
        eligible, clean = inputs.eligible.numpy(), domain.stored(inputs.clean)
        adversarial, queries = clean.copy(), np.zeros(len(inputs), np.int64)
        adversarial[eligible] = domain.stored(found.adversarial)
        queries[eligible] = found.queries.numpy()
        takes = self.victim.takes(domain.restored(adversarial), inputs.targets).numpy()
        sizes = {norm: domain.size(clean, adversarial, norm) for norm in NORMS[domain.name]}
        success = eligible & takes & np.isfinite(sizes[self.attack.priced_in])
        adversarial[~success] = clean[~success]
        return Adversarial(
            clip=inputs.clips,
            label=inputs.labels.numpy(),
            target=inputs.targets.numpy(),
            eligible=eligible,
            success=success,
            cost=np.where(success, sizes[self.attack.priced_in], np.inf).astype(np.float32),
            sizes={norm: np.where(success, size, 0).astype(np.float32) for norm, size in sizes.items()},
            queries=queries,
            clean=clean,
            adversarial=adversarial,
            attributes={**domain.facts, **attributes},
        )
