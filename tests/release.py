"""A check before a release: README's numbers of the default run are those that its files hold.

`python -m tests.release` says what differs. It is no test: whoever runs the pipeline has other metrics than the
committed ones.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.helpers import ROOT


def main() -> int:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    problems = [*missing_table(readme), *missing_diff(readme)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


def missing_table(readme: str) -> Iterator[str]:
    """Lines of metrics/report.md that README lacks."""
    for line in (ROOT / "metrics/report.md").read_text(encoding="utf-8").splitlines():
        if line.strip() and " ".join(line.split()) not in readme:
            yield f"README.md lacks, of metrics/report.md: {line}"


def missing_diff(readme: str) -> Iterator[str]:
    """Rows of `dvc metrics diff` in README whose numbers are not those of both models' metrics."""
    rows = re.findall(r"\| metrics/summary.json \| (\S+) \| (\S+) \| (\S+) \|", readme)
    if not rows:
        yield "README.md shows no rows of `dvc metrics diff baseline hardened`"
    for name, *shown in rows:
        for model, value in zip(("baseline", "hardened"), shown, strict=True):
            if (found := number(name, model)) != value:
                yield f"README.md: {name} of the {model} model is {value}, metrics/ has {found}"


def number(name: str, model: str) -> str:
    """A metric of the default cell as `dvc metrics diff` prints it."""
    representation, architecture, *keys = name.split(".")
    (file,) = sorted(Path(ROOT / "metrics" / representation / architecture).glob(f"fold*/{model}.json"))
    found = json.loads(file.read_text(encoding="utf-8"))
    for key in keys:
        if key not in found:
            return "-"
        found = found[key]
    return str(round(found, 5))


if __name__ == "__main__":
    sys.exit(main())
