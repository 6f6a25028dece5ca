"""params.yaml, read and validated: an unknown key, a wrong type or a value out of range is one clear error.

This file knows no stage's parameters: a parameter class lives beside the noun that it configures, and a stage asks
for the sections that it uses.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.core.errors import InputError

FILE = Path("params.yaml")

P = TypeVar("P", bound="Parameters")


def _refuse_truth_values(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not a truth value")
    return value


Number = Annotated[float, BeforeValidator(_refuse_truth_values)]
"""A float that YAML may have written as text (`1e-5`), but not a truth value."""

Count = Annotated[int, BeforeValidator(_refuse_truth_values)]
"""An int, but not a truth value, which pydantic would take for 0 or 1."""

Seed = Annotated[Count, Field(ge=0)]

ValidationShare = Annotated[Number, Field(gt=0, lt=0.5)]
"""Share of the training folds' clips that is held out, on which everything is chosen."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
"""The name of a dataset, representation, architecture, attack or defense: that of its file."""


class Parameters(BaseModel):
    """Base of every parameter class: frozen; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _document() -> dict[str, Any]:
    try:
        changed = FILE.stat().st_mtime_ns
    except FileNotFoundError:
        raise InputError(f"{FILE} not found: run the stages from the root of the repository") from None
    return _parsed(FILE.absolute(), changed)


@lru_cache(maxsize=1)
def _parsed(file: Path, _changed: int) -> dict[str, Any]:
    # ruamel.yaml is the parser DVC uses: PyYAML reads the `1e-05` that `dvc exp run -S` writes as text.
    try:
        values = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise InputError(f"{file} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{file} must be a mapping of sections, it is a {type(values).__name__}")
    return values


def sections() -> tuple[str, ...]:
    """List the top-level keys of params.yaml."""
    return tuple(_document())


def value(section: str) -> Any:
    """Look up the unvalidated value at a dotted key, such as `attacks.bim`.

    Raises:
        InputError: the key is missing.
    """
    found: Any = _document()
    for depth, key in enumerate(parts := section.split(".")):
        if not isinstance(found, dict) or key not in found:
            where = ".".join(parts[: depth + 1])
            raise InputError(f"{FILE}: {where}: missing key" + _choices(found))
        found = found[key]
    return found


def read(section: str, schema: type[P]) -> P:
    """Validate one section of params.yaml.

    Args:
        section: dotted key, such as `train` or `attacks.bim`.
        schema: the class that the section configures.

    Raises:
        InputError: the section is wrong; the message names each wrong key, the rule and the value found.

    Example:
        >>> read("attack", AttackParams).eps
        0.02
    """
    found: P = validate(section, schema)
    return found


def seed() -> int:
    """Read `seed`; raises as `read` does."""
    return int(validate("seed", Seed))


def number(key: str) -> float:
    """Read one number at a dotted key; raises as `read` does."""
    return float(validate(key, Number))


def validation_share() -> float:
    """Read `dataset.validation_share`; raise as `read` does."""
    return float(validate("dataset.validation_share", ValidationShare))


def name(key: str) -> str:
    """Read one name at a dotted key; raises as `read` does."""
    return str(validate(key, Name))


def validate(section: str, schema: Any) -> Any:
    """Validate the value at a dotted key by any type that pydantic knows; raises as `read` does."""
    return check(value(section), schema, f"{FILE}: {section}")


def check(values: Any, schema: Any, where: str) -> Any:
    """Validate values that come from `where`, which errors name, by any type that pydantic knows.

    Raises:
        InputError: the values are wrong; the message names each wrong key, the rule and the value found.
    """
    try:
        return TypeAdapter(schema).validate_python(values)
    except ValidationError as error:
        problems = [_problem(where, schema, detail) for detail in error.errors()]
        raise InputError("\n".join(problems)) from None


def _problem(where: str, schema: Any, detail: ErrorDetails) -> str:
    key = ".".join([where, *map(str, detail["loc"])])
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key" + _choices(_fields(schema, detail["loc"][:-1]))
        case "missing":
            return f"{key}: missing key"
        case _:
            return f"{key}: {detail['msg'].removeprefix('Value error, ')}; found {detail['input']!r}"


def _fields(schema: Any, path: tuple[int | str, ...]) -> object:
    """Find the fields of the class at a path of keys below a schema, a class or a mapping to one, or None."""
    for key in path:
        field = getattr(schema, "model_fields", {}).get(key)
        schema = field.annotation if field else next(reversed(get_args(schema)), None)
    return getattr(schema, "model_fields", None)


def _choices(keys: object) -> str:
    return f"; the keys here are: {', '.join(sorted(keys))}" if isinstance(keys, dict) and keys else ""
