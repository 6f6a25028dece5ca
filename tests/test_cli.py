"""What a stage prints, and how it exits."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.core.progress import Progress, track
from tests.helpers import ROOT


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        f"from stages.core import cli\nfrom stages.core.errors import InputError\n{code}"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)


def test_bad_input_is_one_line_and_exit_1(tmp_path: Path) -> None:
    done = run(tmp_path, "def main(): raise InputError('eps is wrong')\ncli.run(main)")
    assert (done.returncode, done.stderr) == (1, "error: eps is wrong\n")


def test_wrong_words_show_the_usage(tmp_path: Path) -> None:
    done = run(tmp_path, "def main(fold): pass\ncli.run(main, 'fold')")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m")
    assert "the following arguments are required: fold" in done.stderr


VERBS = ("download", "features", "train", "craft", "harden", "attack", "evaluate", "report", "check")


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_what_the_stage_is_for_and_its_words(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [verb, "--help"])
    monkeypatch.delitem(sys.modules, f"stages.{verb}", raising=False)
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module(f"stages.{verb}", run_name="__main__", alter_sys=True)
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: python -m stages.{verb} [-h]")
    assert (f"Stage `{verb}`: " in printed) == (verb != "check")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_there_is_not_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "def main(model): pass\nsys.argv[1:] = ['harden']\ncli.run(main, 'model')")
    assert done.returncode == 2
    assert "argument model: invalid choice: 'harden' (choose from" in done.stderr


def test_seconds_are_written_beside_the_metrics(tmp_path: Path) -> None:
    code = "def main(fold): pass\nsys.argv[1:] = ['5']\ncli.run(main, 'fold')"
    assert run(tmp_path, code).returncode == 0
    (file,) = (tmp_path / "metrics/timings").iterdir()
    assert json.loads(file.read_text(encoding="utf-8"))["seconds"] >= 0


def test_success_is_exit_0(tmp_path: Path) -> None:
    assert run(tmp_path, "def main(): pass\ncli.run(main)").returncode == 0


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_stage_does_not_look_finished(tmp_path: Path, sent: signal.Signals, status: int) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import pathlib, time\nfrom stages.core import cli, files\n"
        "def main():\n with files.replacing(pathlib.Path('a')) as partial:\n"
        "  partial.write_text('half'); pathlib.Path('ready').touch(); time.sleep(60)\n"
        "cli.run(main)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "ready").exists():
        time.sleep(0.02)
    os.kill(child.pid, sent)
    assert child.wait(10) == status
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 5))
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
    assert list(track(range(10), what="work", total=10)) == list(range(10))
    lines = capsys.readouterr().err.splitlines()
    assert 3 <= len(lines) <= 5
    assert lines[-1].startswith("work: 10/10 clips, 0.2 clips/s, 50 s elapsed, 0 s left")


def test_nothing_done_says_nothing_of_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    Progress("work", 0).add(0)
    assert capsys.readouterr().err == "work: 0/0 clips, 0 clips/s, 0 s elapsed\n"


def test_work_done_before_is_no_part_of_the_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 20.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    Progress("work", 10, "epoch", done=6).add(2)
    assert capsys.readouterr().err == "work: 8/10 epochs, 0.1 epochs/s, 20 s elapsed, 20 s left\n"
