"""Runs a stage and writes down which keys of params.yaml and which files of the project it reads.

`python -m tests.reads OUT stages.train stft resnet18 5` runs `python -m stages.train stft resnet18 5`.
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

FOLDERS = ("data", "models", "metrics")


def main(out: Path, module: str, words: list[str]) -> None:
    keys: set[str] = set()
    files: set[str] = set()
    _record_files(files)
    _record_keys(keys)
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        out.write_text(json.dumps({"keys": sorted(keys), "files": sorted(files)}), encoding="utf-8")


def _record_files(files: set[str]) -> None:
    """Note what Python opens, and what HDF5 and safetensors open without it."""
    import h5py  # noqa: PLC0415 - a stage imports it too, and only some do
    import safetensors  # noqa: PLC0415

    def note(path: object) -> None:
        if isinstance(path, str | Path) and (place := _inside(Path(path))):
            files.add(place)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[1] is not None and not set("wxa+") & set(arguments[1]):
            note(arguments[0])

    sys.addaudithook(audit)
    opened, safe = h5py.File.__init__, safetensors.safe_open

    def open_hdf5(self: Any, name: object, mode: str = "r", *args: Any, **kwargs: Any) -> None:
        if mode == "r":
            note(name)
        opened(self, name, mode, *args, **kwargs)

    def open_safely(name: object, *args: Any, **kwargs: Any) -> Any:
        note(name)
        return safe(name, *args, **kwargs)

    setattr(h5py.File, "__init__", open_hdf5)  # noqa: B010 - in the place of a method
    setattr(safetensors, "safe_open", open_safely)  # noqa: B010 - in the place of a class


def _inside(path: Path) -> str | None:
    """The path below the working folder, if it is an artifact that is not being written."""
    path = path.absolute()
    if not path.is_relative_to(Path.cwd()) or ".partial" in str(path):
        return None
    place = path.relative_to(Path.cwd())
    return place.as_posix() if place.parts and place.parts[0] in FOLDERS else None


def _record_keys(keys: set[str]) -> None:
    from stages.core import params  # noqa: PLC0415 - after the hook

    value = params.value

    def noted(section: str) -> Any:
        keys.add(section)
        return value(section)

    params.value = noted


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
