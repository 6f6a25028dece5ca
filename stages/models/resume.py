"""Work that was killed goes on from its last epoch or shard: the scratch that it leaves, and takes up again.

DVC owns none of it: it deletes what it owns before a stage runs. The name of a scratch file is a hash of everything
that the weights come from, so that a changed parameter, clip or line of code never takes up another run's.
"""

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from stages.core import files
from stages.core.params import Parameters
from stages.core.progress import log
from stages.models import distributed

FOLDER_VARIABLE = "SOUNDPROOF_SCRATCH"
"""Environment variable that names another folder than .scratch, such as one that outlives `dvc exp run --temp`."""

CODE = Path(__file__).parents[1]

State = dict[str, Any]
"""State of a run: tensors, numbers and texts, in dictionaries and lists."""

Ingredient = Tensor | nn.Module | Parameters | str | int
"""A thing that a result may come from."""


class Scratch:
    """The state of an unfinished run, on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> State | None:
        """Read the state that a run left behind, or None if there is none; reading runs no code from the file."""
        if not self.path.exists():
            return None
        try:
            state: State = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError, OSError, ValueError, LookupError, TypeError) as error:
            log(f"{self.path} is damaged ({error}): it starts anew")
            return None
        return state

    def write(self, state: State) -> None:
        """Write a state in place of the last one, whole or not at all."""
        # Runs that share a folder may do the same work at once: they write the same, and the last one holds.
        with files.replacing(self.path, writer=f".{os.getpid()}") as partial, partial.open("wb") as file:
            torch.save(state, file)

    def remove(self) -> None:
        """Remove the state of the run, once its result is written."""
        if distributed.is_main_process():
            files.remove(self.path)


def scratch(name: str, *made_from: Ingredient) -> Scratch:
    """Open the scratch of a run; whoever writes the run's result removes it.

    Args:
        name: name of the run, for people.
        made_from: everything that the result comes from, but for the code: parameters, clips, the model at the start.
    """
    return Scratch(Path(os.environ.get(FOLDER_VARIABLE, ".scratch")) / f"{name}-{cache_key(*made_from)}.pt")


def cache_key(*made_from: Ingredient) -> str:
    """Hash what a result comes from, the code of the stages and the version of PyTorch included."""
    digest = blake2b(torch.__version__.encode(), digest_size=16)
    for path in sorted(CODE.rglob("*.py")):
        digest.update(path.read_bytes())
    for part in made_from:
        digest.update(b"\0")
        for piece in _pieces(part):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(part: Ingredient) -> Iterator[bytes]:
    match part:
        case nn.Module():
            for name, tensor in part.state_dict().items():
                yield name.encode()
                yield from _pieces(tensor)
        case Tensor():
            yield repr((part.shape, part.dtype)).encode()
            yield part.detach().cpu().contiguous().numpy().tobytes()
        case _:
            yield repr(part).encode()
