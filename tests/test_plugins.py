"""Files found by their names: what stands in them."""

import sys
from types import ModuleType

import pytest

from stages.core import plugins
from stages.core.errors import InputError
from stages.core.params import Parameters

NAME = "stages.attacks.bim"


def define(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Put a module in the place of that of `bim`."""
    module = ModuleType(NAME)
    vars(module)["Parameters"] = Parameters
    exec(source, vars(module))  # noqa: S102 - it is the test's own
    monkeypatch.setitem(sys.modules, NAME, module)


def test_private_classes_and_imported_ones_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, "class _Half(Parameters): pass\nclass Whole(_Half): pass")
    assert plugins.find("stages.attacks", "bim", Parameters).__name__ == "Whole"


@pytest.mark.parametrize(
    ("source", "found"),
    [("class _Half(Parameters): pass", "none"), ("class A(Parameters): pass\nclass B(A): pass", "A, B")],
)
def test_no_class_and_several_are_errors(monkeypatch: pytest.MonkeyPatch, source: str, found: str) -> None:
    define(monkeypatch, source)
    message = f"stages.attacks.bim must define one public class that extends Parameters; found {found}"
    with pytest.raises(InputError, match=message):
        plugins.find("stages.attacks", "bim", Parameters)


def test_an_unknown_name_is_told_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"unknown name 'bimm' among the attacks; there are: apgd, bim, boundary, cw"):
        plugins.module("stages.attacks", "bimm")
