"""The examples of docs/examples: Soundproof's models under the attacks of other libraries, as a user runs them."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.helpers import ROOT
from tests.test_inference import CLASSES, RATE, noise, write_model

EXAMPLES = ROOT / "docs/examples"


def run(example: str, folder: Path) -> tuple[str, str, float]:
    """The classes before and after, and the SNR in dB, that an example prints for a tiny model and some noise."""
    write_model(folder / "model.safetensors")
    soundfile.write(folder / "sound.wav", noise(0.5), RATE)
    command = [sys.executable, str(EXAMPLES / example), "model.safetensors", "sound.wav"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = re.fullmatch(r"(\S+) -> (\S+), (\S+) dB\n", done.stdout)
    assert told, done.stdout
    before, after, decibels = told.groups()
    assert {before, after} <= {*CLASSES}
    return before, after, float(decibels)


@pytest.mark.slow
def test_foolbox_fools_a_model_on_the_waveform(tmp_path: Path) -> None:
    before, after, decibels = run("foolbox_waveform.py", tmp_path)
    assert before != after
    assert decibels > 19.8


@pytest.mark.slow
def test_art_fools_a_model_on_the_waveform(tmp_path: Path) -> None:
    pytest.importorskip("art.estimators")  # `art` alone is also the name of another package
    before, after, decibels = run("art_waveform.py", tmp_path)
    assert before != after
    assert decibels > 19.8


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_at_most_20_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    docstring, *_ = ast.parse(text).body
    assert docstring.end_lineno
    assert len([*filter(str.strip, text.splitlines()[docstring.end_lineno :])]) <= 20
