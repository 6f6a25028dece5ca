"""From stores to metrics to the page: through the stages themselves, on a small cell."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch import nn

from stages import architectures, attacks, evaluate, report, representations
from stages.architectures import resnet18
from stages.attacks.base import AttackParams
from stages.attacks.base.expectation import domain
from stages.attacks.base.inputs import AttackInputs, attack_inputs
from stages.attacks.base.prepare import cell_inputs
from stages.core import params, paths
from stages.core.arrays import Array, Floats, Integers, Strings
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.grid import MODELS, RESERVED, GridParams
from stages.core.paths import CellPaths
from stages.evaluation import harder_attacks, image_departures, results, sound_departures
from stages.evaluation.attacked import worst
from stages.evaluation.results import Metrics
from stages.evaluation.stored_attacks import StoredAttack, read_attacks
from stages.models import checkpoints
from stages.models.cell import load_cell
from stages.models.victim import Victim
from stages.reporting import comparison, figures, gallery, summary
from stages.reporting.baseline_choice import baseline_choice
from stages.reporting.formatting import format_decibels, format_number, interval, level, percent
from stages.reporting.sections import in_image, in_sound, read_sections, read_table
from stages.reporting.verdict import verdict
from stages.stores import perturbations, provenance
from stages.stores.adversarial import Adversarial, read_adversarial, write_adversarial
from stages.stores.features import Features, write_features
from stages.stores.perturbations import NORMS, ratio
from tests.attack_helpers import attacked as attacked_run
from tests.helpers import ROOT, feature_store
from tests.params_helpers import set_params

CELL = CellPaths("stft", "resnet18", 1)
IMAGE_ATTACKS = ["fgsm", "bim"]
ATTACKS = [*IMAGE_ATTACKS, "sound_ddn"]
FOLDS = [1, 2, 3, 4, 5]
EPS = 0.02
SNR = 20.0
TRAINING = {
    "baseline": {"seed": "0", "baseline": "masks", "baselines": '{"masks": 0.8125, "plain": 0.75}'},
    "hardened": {"seed": "0"},
}
"""What the files of both models tell of their training."""
LARGEST_PAGE = 15_000_000
"""Characters, with all pictures and sounds."""


def small(folder: Path) -> None:
    """Ask for little, whatever else params.yaml asks for."""
    stft = {"n_fft": 1024, "hop_length": 256, "window": "hann", "rows": 32, "frames": 32}
    stft |= {"range_db": 80.0, "reference": "peak"}
    grid = {"representation": ["stft"], "architecture": ["resnet18"], "fold": [1], "attack": ATTACKS}
    changes = {"grid": grid, "representations.stft": stft, "audio": {"sample_rate": 22_050, "duration": 0.5}}
    changes |= {"report": {"model": "hardened", "require_checks": False}, "attack.eps": EPS}
    changes |= {"seed": 0, "dataset.validation_share": 0.15, "attacks.bim.schedule": {"steps": 2}}
    changes |= {"attack.snr": SNR, "attacks.sound_ddn.steps": 8}
    set_params(folder, {**changes, "compute.workers": 1})


def of_sounds(made: Features, rng: np.random.Generator) -> Features:
    """Write a sound for each clip, a chord in noise, and make its image the clip's."""
    front_end, time = representations.load("stft"), np.arange(11_025) / 22_050
    for row, clip in enumerate(made.clips):
        chord = np.sin(2 * np.pi * rng.uniform(100, 9000, (3, 1)) * time).sum(0)
        waveform = (0.1 * chord + rng.normal(0, 0.02, len(time))).astype(np.float32)
        (paths.RAW / str(clip)).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(paths.RAW / str(clip), waveform, 22_050, format="WAV", subtype="FLOAT")
        made.features[row, 0] = front_end.image(waveform, 22_050)
    return made


def classified(compute: ComputeParams, rng: np.random.Generator, kind: str) -> tuple[Features, torch.nn.Module]:
    """Clips and an untrained model that gets most of them right, or none."""
    made = of_sounds(feature_store(rng), rng)
    torch.manual_seed(0)
    model = architectures.build("resnet18", made.shape, 3).eval()
    images = torch.from_numpy(made.features)
    with torch.no_grad():
        model.network[-1].bias -= model(images).mean(0)  # type: ignore[index]
    predicted = Victim(model, compute).predict(images).numpy()
    if kind == "none right":
        return replace(made, labels=(predicted + 1) % 3), model
    if kind == "one class":
        made = replace(made, folds=np.where(predicted == predicted[0], 1, made.folds % 4 + 2))
    return replace(made, labels=np.where(np.arange(60) % 7, predicted, (predicted + 1) % 3)), model


def attacked(inputs: AttackInputs, victim: Victim, features: Features, name: str, *, fools: bool) -> Adversarial:
    """Each eligible clip replaced by another one that the victim takes for the target."""
    predicted = victim.predict(torch.from_numpy(features.features)).numpy()
    clean, eligible, targets = inputs.clean.numpy(), inputs.eligible.numpy(), inputs.targets.numpy()
    adversarial = clean.copy()
    for row in np.flatnonzero(eligible) if fools else []:
        found = np.flatnonzero(predicted == targets[row])
        if len(found) and row % 9:
            adversarial[row] = features.features[found[0]]
    sizes: dict[str, Floats] = {norm: perturbations.size(clean, adversarial, norm) for norm in NORMS["image"]}
    success = eligible & (sizes["linf"] > 0)
    attack = attacks.load(name)
    return Adversarial(
        clip=inputs.clips,
        label=inputs.labels.numpy(),
        target=targets,
        eligible=eligible,
        success=success,
        cost=np.where(success, sizes["linf"], np.inf).astype(np.float32),
        sizes=sizes,
        queries=np.ones(len(inputs), np.int64),
        clean=clean,
        adversarial=adversarial,
        attributes={
            **provenance.of_attack(name),
            "parameters": attack.model_dump_json(),
            "domain": "image",
            "norm": attack.norm,
            **params.read("attack", AttackParams).facts,
            "tuning_clips": 4,
            "levels": 0,
            "reached": True,
            "converged": True,
        },
    )


def build(folder: Path, kind: str) -> CellPaths:
    """Write what `evaluate` reads, of one cell, into the working folder."""
    small(folder)
    rng = np.random.default_rng(0)
    compute = params.read("compute", ComputeParams)
    made, model = classified(compute, rng, kind)
    # Intervals of costs exist of so few clips only where each is a recording.
    made = replace(made, groups=made.clips)
    origin = provenance.of_features("stft")
    attributes = {"classes": list(made.classes), "silence": made.silence, **origin}
    made = replace(made, parameters=origin["parameters"], audio=origin["audio"])
    columns: dict[str, Strings | Integers] = {"labels": made.labels, "folds": made.folds}
    columns |= {"clips": made.clips, "groups": made.groups}
    write_features(paths.features("stft"), columns, made.features, (1, 32, 32), attributes)
    paths.TERMS.parent.mkdir(parents=True, exist_ok=True)
    paths.TERMS.write_text("Noise, free of any terms.\n", encoding="utf-8")
    victim = Victim(model, compute)
    inputs = attack_inputs(victim, made, np.flatnonzero(made.folds == 1), params.seed())
    for name in MODELS:
        checkpoints.write(CELL.model(name), model, checkpoints.model_spec("resnet18", made), TRAINING[name])
        CELL.history(name).parent.mkdir(parents=True, exist_ok=True)
        header = "epoch,loss,accuracy,validation_accuracy,validation_score\n"
        CELL.history(name).write_text(header + "1,1.0,0.5,0.5,0.4\n2,0.9,0.6,0.5,0.5\n", encoding="utf-8")
        for attack in IMAGE_ATTACKS:
            found = attacked(inputs, victim, made, attack, fools=kind != "none fooled")
            found = replace(found, attributes={**found.attributes, "victim": name})
            write_adversarial(CELL.attack(name, attack), found)
        attack_sounds(name, fools=kind != "none fooled")
    return CELL


def attack_sounds(model: str, *, fools: bool) -> None:
    """Attack the sounds of the cell's test clips, and write what is found, or that nothing is."""
    settings = params.read("attack", AttackParams)
    cell, threat = load_cell("stft", "resnet18", "1"), domain("sound", "stft", settings, 0)
    victim, attack = threat.victim(cell, model), attacks.load("sound_ddn")
    found = attacked_run(cell_inputs(cell, victim, cell.split.test, threat), victim, attack)
    if not fools:
        sizes = {norm: np.zeros(12, np.float32) for norm in found.sizes}
        found = replace(found, success=np.zeros(12, bool), cost=np.full(12, np.inf, np.float32), sizes=sizes)
    facts = {**settings.facts, **provenance.of_attack("sound_ddn"), **attack.facts, "victim": model}
    facts |= {"tuning_clips": 0, "classes": json.dumps(cell.features.classes)}
    write_adversarial(CELL.attack(model, "sound_ddn"), replace(found, attributes={**found.attributes, **facts}))


def tiny(input_shape: Sequence[int], classes: int) -> nn.Module:
    layers = [nn.Conv2d(input_shape[0], 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, classes))


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Few steps on a tiny network in place of ResNet-18: what is tested here is what is made of its verdicts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harder_attacks, "STEPS", 2)
        patch.setattr(harder_attacks, "FEWEST_STEPS", 8)
        patch.setattr(harder_attacks, "QUERIES", 8)
        patch.setattr(image_departures, "STEPS", 4)
        patch.setattr(image_departures, "STEPS_TOWARDS", 4)
        patch.setattr(image_departures, "NEAREST_STEPS", 8)
        patch.setattr(image_departures, "QUERIES", 8)
        patch.setattr(sound_departures, "STEPS", 8)
        patch.setattr(sound_departures, "NOISE_SNRS", np.array([40.0, 20.0, 0.0]))
        patch.setattr(resnet18, "build", tiny)
        yield


@pytest.fixture(scope="module")
def attacked_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cell before `evaluate`, some clips of which are fooled."""
    return made_in(tmp_path_factory.mktemp("attacked"), lambda folder: build(folder, "some fooled"))


@pytest.fixture(scope="module")
def reported_folder(attacked_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it in which the cell has been evaluated and reported."""
    folder = tmp_path_factory.mktemp("reported")
    shutil.copytree(attacked_folder, folder, dirs_exist_ok=True)
    return made_in(folder, lambda _: evaluate_and_report(CELL))


def made_in(folder: Path, make: Callable[[Path], object]) -> Path:
    """The folder, after something was made with it as the working folder."""
    if not (folder / "params.yaml").exists():
        shutil.copy(ROOT / "params.yaml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make(folder)
    return folder


@pytest.fixture
def cell(attacked_folder: Path, workdir: Path) -> CellPaths:
    """A cell before `evaluate`, some clips of which are fooled, in the working folder."""
    shutil.copytree(attacked_folder, workdir, dirs_exist_ok=True)
    return CELL


@pytest.fixture
def finished(reported_folder: Path, workdir: Path) -> CellPaths:
    """It and its report."""
    shutil.copytree(reported_folder, workdir, dirs_exist_ok=True)
    return CELL


@pytest.fixture
def shown(reported_folder: Path, monkeypatch: pytest.MonkeyPatch) -> CellPaths:
    """The same, but only to be read: other tests read it too."""
    monkeypatch.chdir(reported_folder)
    return CELL


def evaluate_and_report(cell: CellPaths) -> dict[str, dict[str, dict[str, float]]]:
    for victim in MODELS:
        evaluate.main(cell.representation, cell.architecture, str(cell.fold), victim)
    report.main()
    return results.read(cell.metrics_copy("hardened"))


class Page(HTMLParser):
    """Collects addresses, pictures, headings, cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def words(html: str) -> str:
    """What is read of a page, without its style and what is embedded."""
    text = re.sub(r"<style>.*?</style>|<svg.*?</svg>|data:[^\"]*", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


KINDS = {
    "none fooled": "There is no median ratio of costs",
    "none right": "A model got no clip right, so that there is none to be fooled",
    "one class": "at any size",
}


@pytest.mark.parametrize(("kind", "sentence"), KINDS.items(), ids=KINDS)
def test_every_kind_of_run_is_reported(workdir: Path, kind: str, sentence: str) -> None:
    metrics = evaluate_and_report(build(workdir, kind))
    html = paths.REPORT.read_text(encoding="utf-8")
    assert sentence in words(html)
    for file in [*Path("metrics").rglob("*.json"), *Path("metrics").rglob("*.csv"), paths.TABLE]:
        assert not re.search(r"\b(nan|inf|Infinity)\b", file.read_text(encoding="utf-8"), re.IGNORECASE), file
    assert not re.search(r"\b(nan|inf|None)\b", words(html))
    # The gallery's clip is one that the model gets right, or else it says that it is not.
    assert (", taken for class" in words(html)) == (kind == "none right")
    assert set(metrics) == {
        "adaptive",
        "check_figures",
        "checks",
        "channels",
        "clean",
        "rendered",
        "transferred",
        "untargeted",
    }
    assert set(metrics["adaptive"]) == {*ATTACKS, "worst_linf", "worst_l2", "worst_l1", "worst_snr"}
    assert set(metrics["checks"]) == {*metrics["check_figures"], "passed"}


@pytest.mark.parametrize(
    ("attack", "sentence"),
    [("sound_ddn", "No attack on images was run."), ("bim", "No targeted attack on sound was run")],
)
def test_a_grid_of_one_domain_is_reported(cell: CellPaths, workdir: Path, attack: str, sentence: str) -> None:
    set_params(workdir, {"grid.attack": [attack]})
    metrics = evaluate_and_report(cell)
    assert sentence in words(paths.REPORT.read_text(encoding="utf-8"))
    assert set(metrics["adaptive"]) == {attack} | (
        {"worst_snr"} if attack == "sound_ddn" else {"worst_linf", "worst_l2", "worst_l1"}
    )
    assert "effort_converged" in metrics["checks"]
    gains = results.read(paths.COMPARISON)["stft"]["resnet18"]["sound"]
    assert ("snr_gain" in gains) == (attack == "sound_ddn")
    assert "snr_gain_untargeted" in gains
    assert metrics["untargeted"]["image"]["robust_accuracy"] >= 0
    assert metrics["untargeted"]["sound"]["robust_accuracy"] >= 0
    assert set(metrics["channels"]["wav"]) >= {"accuracy"}


@pytest.mark.usefixtures("shown")
def test_the_page_stands_alone_and_can_be_read_by_all() -> None:
    html = paths.REPORT.read_text(encoding="utf-8")
    assert len(html) < LARGEST_PAGE
    found = Page(html)
    addresses = [value for _, each in found.tags for key in ("src", "href") if (value := each.get(key))]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "url(http" not in html
    assert len(found.all("img")) == 2 * len(IMAGE_ATTACKS) * (1 + 2 * 4)
    assert all(each["alt"] for each in found.all("img"))
    assert all(each["aria-label"] for each in found.all("audio"))
    assert len(found.all("audio")) == 36
    assert all(each.get("scope") for each in found.all("th"))
    assert {tag for tag, _ in found.tags} >= {"header", "main", "footer", "h1", "caption", "figcaption"}
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h\d", tag)]
    assert max(np.diff(levels)) == 1
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


@pytest.mark.usefixtures("shown")
def test_drawings_have_paper_of_their_own_but_not_on_the_page() -> None:
    files = list(paths.FIGURES.glob("*.svg"))
    assert len(files) == 7
    for file in files:
        drawn = Page(file.read_text(encoding="utf-8")).tags
        first = next(attributes for tag, attributes in drawn if tag in {"rect", "g", "path"})
        assert first == {"width": "100%", "height": "100%", "fill": figures.PAPER}
    assert not [each for each in Page(paths.REPORT.read_text(encoding="utf-8")).all("rect") if "fill" in each]


@pytest.mark.usefixtures("shown")
def test_the_page_and_the_card_tell_how_the_baseline_was_trained() -> None:
    told = "The baseline was trained by the recipe masks, the best of masks, plain on the validation clips (81.2 %)."
    assert told.replace(" %", "\N{NO-BREAK SPACE}%") in paths.REPORT.read_text(encoding="utf-8")
    assert told in CELL.card("baseline").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("folds", "sentence"),
    [
        ([{"masks": 0.8}], "The baseline was trained by the recipe masks; no other cheap baseline was tried."),
        (
            [{"masks": 0.8}, {"masks": 0.9}],
            "The baselines of the 2 folds were trained by the recipe masks; no other cheap baseline was tried.",
        ),
        (
            [{"masks": 0.8, "plain": 0.7}, {"masks": 0.7, "plain": 0.9}, {"masks": 0.7, "plain": 0.6}],
            "The baselines of the 3 folds were trained by the recipe masks (2) and plain (1), the best of masks, plain "
            "on the validation clips (mean 80.0 %).",
        ),
    ],
)
def test_the_baselines_of_several_folds_are_told_together(folds: list[dict[str, float]], sentence: str) -> None:
    facts = [{"baseline": max(each, key=each.__getitem__), "baselines": json.dumps(each)} for each in folds]
    assert baseline_choice(facts) == sentence


def merged(first: Metrics, second: Metrics) -> Metrics:
    """Metrics of two files, none of which is in both."""
    inner = {name: merged(first[name], second[name]) for name in first.keys() & second.keys()}
    return {**first, **second, **inner}


def test_the_summary_and_the_details_tell_every_number_once(shown: CellPaths) -> None:
    metrics = results.read(shown.metrics_copy("hardened"))
    assert merged(results.read(shown.metrics("hardened")), results.read(shown.details("hardened"))) == metrics
    summary, details = (results.read(path)["stft"]["resnet18"] for path in (paths.SUMMARY, paths.DETAILS))
    assert merged(summary, details) == metrics


def test_the_summary_holds_what_a_model_is_judged_by_and_no_more(shown: CellPaths) -> None:
    found = results.read(shown.metrics("hardened"))
    rates = {"fooling_rate", "fooling_rate_low", "fooling_rate_high", "fooling_ceiling", "eligible"}
    costs, robust = {"cost_median", "eps90"}, {"robust_accuracy", "robust_accuracy_low", "robust_accuracy_high"}
    assert set(found) == {"clean", "adaptive", "untargeted", "transferred", "checks"}
    assert set(found["adaptive"]["sound_ddn"]) <= rates | costs | {"snr_median", "snr90"}
    assert rates <= set(found["adaptive"]["bim"]) <= rates | costs
    assert robust <= set(found["untargeted"]["sound"]) <= robust | {"snr_median"}
    assert set(found["transferred"]["bim"]) == {"fooling_rate"}
    assert set(results.read(shown.metrics("baseline"))) == set(found) - {"transferred"}


def test_the_figures_agree(shown: CellPaths) -> None:
    """Of the page, the table for the README, the summary and the metrics."""
    metrics = results.read(shown.metrics_copy("hardened"))
    html, table = words(paths.REPORT.read_text(encoding="utf-8")), paths.TABLE.read_text(encoding="utf-8")
    accuracy = interval(metrics["clean"], "accuracy")
    assert accuracy in html
    assert f"→ {accuracy};\n" in table
    for untargeted in metrics["untargeted"].values():
        assert interval(untargeted, "error_rate") in html
        assert interval(untargeted, "robust_accuracy") in html
        assert f"→ {interval(untargeted, 'robust_accuracy')};\n" in table
    for attack in metrics["adaptive"].values():
        assert percent(attack["fooling_rate"]) in html
        assert interval(attack, "fooling_rate") in table
    assert format_decibels(metrics["untargeted"]["sound"]["snr_median"]) in table
    for attack in (metrics["adaptive"][name] for name in in_sound(metrics["adaptive"])):
        assert f" {level(attack['snr_median'])} " in html
        assert format_decibels(attack["snr_median"]) in table
    for attack in (metrics["adaptive"][name] for name in in_image(metrics["adaptive"])):
        assert format_number(attack["cost_median"]) in html
        ends = [format_number(attack[f"cost_median_{end}"]) for end in ("low", "high")]
        assert "\N{EN DASH}".join(ends) in html
        assert format_number(attack["cost_median"]) in table


def test_tables_of_costs_name_the_recording_of_each_clip(shown: CellPaths) -> None:
    for name in ("costs", "snrs"):
        table = read_table(shown.plots("hardened") / f"{name}.csv", "")
        assert (table["group"] == table["clip"]).all(), "here each clip is a recording"


def test_every_verdict_tells_what_its_rate_is_of(shown: CellPaths) -> None:
    """The untargeted ones come first; each names domain, budget, clips and interval."""
    found = list(verdict(read_sections(params.read("grid", GridParams))[0], EPS, SNR))
    starts = ["Robust accuracy against untargeted attacks on the image within 0.02 (L∞", "The same within the budget"]
    starts += ["Robust accuracy against untargeted attacks on the sound within an SNR of 20 dB"]
    starts += ["Targeted attacks on the sound, into one class asked for, within 20 dB"]
    starts += ["Targeted attacks on the image, into one class asked for, within 0.02 (L∞)", "At any size (L∞)"]
    starts += ["Accuracy without an attack"]
    for sentence, start in zip(found, starts, strict=True):
        assert sentence.startswith(start), shown
        assert re.search(r"% \[[\d.]+ %, [\d.]+ %\]", sentence), sentence
        assert re.search(r"\d+ clips", sentence), sentence
    assert "(L∞; paired, over the" in found[4]


def test_the_budget_of_the_training_is_told_where_it_was_measured(shown: CellPaths) -> None:
    told = read_sections(params.read("grid", GridParams))[0]
    start = "The same within the budget that the hardened model was trained at"
    assert any(each.startswith(start) for each in verdict(told, EPS, SNR)), shown
    for model in MODELS:
        del told.means[model]["untargeted"]["image"]["robust_accuracy_at_training_eps"]
    assert not any(each.startswith(start) for each in verdict(told, EPS, SNR))


def test_what_fools_one_model_is_replayed_on_the_other(shown: CellPaths) -> None:
    """Their weights are the same here."""
    replays = pd.read_csv(paths.CURVES / "transfer.csv")
    named = replays[["representation", "fold", "source", "model"]].to_numpy().tolist()
    pairs = [("resnet18_hardened", "resnet18_baseline"), ("resnet18_baseline", "resnet18_hardened")]
    assert named == [["stft", 1, *pair] for pair in pairs]
    fooled = np.any([read_adversarial(shown.attack("baseline", name), "").success for name in IMAGE_ATTACKS], axis=0)
    assert replays.clips.tolist() == [fooled.sum()] * 2
    assert replays.fooling_rate.tolist() == [1, 1]


def test_the_gallery_scales_what_was_found_without_the_model(shown: CellPaths) -> None:
    found = read_adversarial(shown.attack("baseline", "bim"), "")
    row = int(np.flatnonzero(found.success)[0])
    victim, inputs = attack_on_baseline()
    budgets = (float(found.cost[row]) / 2, float(found.cost[row]))
    images = gallery.crafted(victim, StoredAttack(found, attacks.load("ddn")), inputs, row, budgets)
    np.testing.assert_allclose(images[1], found.adversarial[row], atol=1e-6)
    np.testing.assert_allclose(images[0], (found.clean[row] + found.adversarial[row]) / 2, atol=1e-6)


def attack_on_baseline() -> tuple[Victim, AttackInputs]:
    """The victim and the test clips of the cell in the working folder."""
    cell = load_cell(CELL.representation, CELL.architecture, str(CELL.fold))
    victim = cell.victim("baseline")
    return victim, attack_inputs(victim, cell.features, cell.split.test, cell.seed)


def test_equal_runs_give_equal_bytes(finished: CellPaths) -> None:
    """About 4 s: an evaluation and the report, again."""
    written = [*Path("metrics").rglob("*"), *Path("data/report").rglob("*")]
    before = {file: file.read_bytes() for file in written if file.is_file()}
    evaluate.main(finished.representation, finished.architecture, str(finished.fold), "hardened")
    report.main()
    assert {file: file.read_bytes() for file in before} == before


def test_five_folds(finished: CellPaths, workdir: Path) -> None:
    for model in MODELS:
        metrics = results.read(finished.metrics_copy(model))
        for fold in FOLDS[1:]:
            other = CellPaths("stft", "resnet18", fold)
            metrics["clean"]["accuracy"] = 0.5 + fold / 100 if model == "hardened" else 0.6
            metrics["checks"] |= {"bounds_kept": int(fold != 3), "passed": int(fold != 3)}
            results.write(other.metrics_copy(model), metrics)
            shutil.copy(finished.facts_copy(model), other.facts_copy(model))
            shutil.copytree(finished.plots(model), other.plots(model))
            shutil.copytree(finished.attack(model, "").parent, other.attack(model, "").parent)
            other.model(model).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(finished.model(model), other.model(model))
    set_params(workdir, {"grid.fold": FOLDS})
    report.main()
    found = json.loads(paths.SUMMARY.read_text(encoding="utf-8"))["stft"]["resnet18"]
    first = results.read(finished.metrics("hardened"))["clean"]["accuracy"]
    assert found["clean"]["accuracy"] == pytest.approx((first + 0.52 + 0.53 + 0.54 + 0.55) / 5)
    assert found["clean"]["accuracy_low"] < found["clean"]["accuracy"] < found["clean"]["accuracy_high"]
    html = words(paths.REPORT.read_text(encoding="utf-8"))
    assert "5 folds" in html
    assert "The baselines of the 5 folds were trained by the recipe masks, the best of masks, plain" in html
    assert "Some checks failed, or could not be measured" in html
    compared = json.loads(paths.COMPARISON.read_text(encoding="utf-8"))["stft"]["resnet18"]
    assert compared["accuracy_drop_low"] <= compared["accuracy_drop"] <= compared["accuracy_drop_high"]
    set_params(workdir, {"report.require_checks": True})
    with pytest.raises(InputError, match=r"stft resnet18 fold 3 baseline: bounds_kept: .* must be at most 1e-06"):
        report.main()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": np.array(["other"] * 12)}, "holds other clips than the test clips"),
        ({"target": np.zeros(12, np.int64)}, "holds other targets than the test clips"),
        ({"clean": np.zeros((12, 1, 32, 32), np.float32)}, "holds other images than the test clips"),
    ],
)
def test_stores_of_something_else_are_refused(cell: CellPaths, change: dict[str, Array], message: str) -> None:
    file = cell.attack("hardened", "bim")
    write_adversarial(file, replace(read_adversarial(file, ""), **change))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"hardened/bim.h5 {message}; run `dvc repro attack@stft-resnet18-1-bim"):
        evaluate.main("stft", "resnet18", "1", "hardened")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"victim": "baseline"}, "has victim 'baseline', not 'hardened'"),
        ({"eps": 0.5}, r"has eps .*0\.5.*, not 0\.02"),
        ({"attack": "fgsm"}, "has attack 'fgsm', not 'bim'"),
        ({"configured": '{"steps": 3}'}, r"""has configured '{"steps": 3}', not '{.*"steps": """),
    ],
)
def test_stores_of_other_parameters_are_refused(cell: CellPaths, change: dict[str, object], message: str) -> None:
    file = cell.attack("hardened", "bim")
    found = read_adversarial(file, "")
    write_adversarial(file, replace(found, attributes={**found.attributes, **change}))
    with pytest.raises(InputError, match=f"{message}.*run `dvc repro attack@stft-resnet18-1-bim`"):
        evaluate.main("stft", "resnet18", "1", "hardened")
    assert not Path("metrics/stft").exists()


def test_an_attack_that_was_tuned_is_the_one_that_ran(cell: CellPaths) -> None:
    file, attack = cell.attack("baseline", "bim"), attacks.load("bim")
    stronger, found = attack.stronger(), read_adversarial(file, "")
    tuned = {"parameters": stronger.model_dump_json(), "levels": 1}
    write_adversarial(file, replace(found, attributes={**found.attributes, **tuned}))
    _, inputs = attack_on_baseline()
    read = read_attacks(cell, "baseline", ["bim"], inputs, params.read("attack", AttackParams))
    assert read["bim"].attack == stronger != attack


@pytest.mark.parametrize("content", [None, b'{"clean": ', b"\xff\xfe"])
@pytest.mark.usefixtures("workdir")
def test_metrics_that_are_missing_or_damaged(content: bytes | None) -> None:
    path = CELL.metrics("baseline")
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"metrics/stft/resnet18/fold1/baseline\.json cannot be read"):
        results.read(path)


@pytest.mark.parametrize(
    ("path", "stage"),
    [(CELL.plots("hardened") / "costs.csv", "evaluate@"), (CELL.history("hardened"), "harden@")],
)
def test_tables_that_are_missing(finished: CellPaths, path: Path, stage: str) -> None:
    assert finished == CELL
    path.unlink()
    with pytest.raises(InputError, match=rf"{path} is missing; run `dvc repro {stage}stft-resnet18-1"):
        report.main()


@pytest.mark.parametrize("name", ["curves", "figures", "plots", "timings", "training"])
def test_representations_that_are_called_as_other_folders_of_the_metrics_are_refused(workdir: Path, name: str) -> None:
    set_params(workdir, {"grid.representation": ["stft", name]})
    with pytest.raises(InputError, match=rf"grid\.representation: {name} is a folder of metrics/ already: give the"):
        params.read("grid", GridParams)


@pytest.mark.usefixtures("shown")
def test_every_folder_of_the_metrics_that_is_no_representation_is_known() -> None:
    folders = {entry.name for entry in paths.METRICS.iterdir() if entry.is_dir()}
    assert folders - {"stft"} == set(RESERVED) - {paths.TIMINGS.name}


def test_means_leave_out_what_a_fold_lacks() -> None:
    assert summary.mean([{"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"x": 3}, "b": 4}]) == {"a": {"x": 2}, "b": 3.5}


def test_intervals_of_folds_keep_the_bounds_of_what_they_are_of() -> None:
    folds = [{"rate": 1.0, "rate_low": 0.5, "rate_high": 1.0}, {"rate": 0.6, "rate_low": 0.3, "rate_high": 0.9}]
    assert summary.mean(folds)["rate_high"] == 1
    assert summary.mean([{"eps90": 1.5, "eps90_low": 1.0}, {"eps90": 1.3, "eps90_low": 1.0}])["eps90_high"] > 1.5
    ratios = [{"snr_median": 30.0, "snr_median_low": 20.0}, {"snr_median": -1.0, "snr_median_low": -9.0}]
    assert summary.mean(ratios)["snr_median_low"] < -1


def test_folds_that_agree_do_not_make_a_rate_certain() -> None:
    folds = [{"rate": 0.0, "rate_low": 0.0, "rate_high": high} for high in (0.1, 0.2)]
    assert summary.mean(folds) == {"rate": 0.0, "rate_low": 0.0, "rate_high": pytest.approx(0.15)}


def costs_of(clips: str, **attacks: list[float]) -> pd.DataFrame:
    """Costs of clips named by letters, each its own recording; infinite ones are empty."""
    return pd.DataFrame({"clip": list(clips), "group": list(clips), **attacks})


FIRST, SECOND = "abcdefghijkl", "mnopqrstuvwx"
NONE = costs_of("")
NAN = np.nan
BUDGETS = {"bim": EPS, "jsma": EPS / 2, "worst_snr": ratio(SNR)}


def compare(before: pd.DataFrame, after: pd.DataFrame, *more: tuple[pd.DataFrame, pd.DataFrame]) -> Metrics:
    """The comparison of one fold after another, without sounds."""
    folds = [dict(zip(MODELS, pair, strict=True)) for pair in ((before, after), *more)]
    return comparison.compare(folds, [dict.fromkeys(MODELS, NONE)] * len(folds), BUDGETS)


def test_ratios_are_of_clips_that_both_models_get_right() -> None:
    """Of b and c twice and four times; d withstands both, and a and e are of one model."""
    found = compare(
        costs_of("abcd", bim=[0.001, 0.01, 0.03, NAN]),
        costs_of("bcde", bim=[0.02, 0.12, NAN, 9.0]),
    )
    assert found["clips"] == 3
    assert found["bim"]["cost_ratio"] == pytest.approx(2)
    assert found["bim"]["fooling_drop"] == pytest.approx(1 / 3 - 1 / 3)
    assert "eps90_ratio" not in found["bim"], "more than a tenth withstand"


def test_rates_are_compared_within_the_budget_of_each_norm() -> None:
    """Within 0.02 both move the clip before hardening; the budget of `jsma` is half of that."""
    before, after = (costs_of("a", bim=[cost], jsma=[cost]) for cost in (0.8 * EPS, 2 * EPS))
    found = compare(before, after)
    assert (found["bim"]["fooling_drop"], found["jsma"]["fooling_drop"]) == (1, 0)


def test_a_clip_that_one_model_alone_withstands_counts() -> None:
    """A ratio of 4, one without limit, and one of 0, of which only the first can be told."""
    before, after = costs_of("abc", bim=[0.1, 0.1, NAN]), costs_of("abc", bim=[0.4, NAN, 0.1])
    assert compare(before, after)["bim"]["cost_ratio"] == pytest.approx(4)
    assert "cost_ratio" not in compare(before.iloc[1:2], after.iloc[1:2])["bim"]
    assert "cost_ratio" not in compare(before.iloc[2:], after.iloc[2:])["bim"]


def test_clips_of_all_folds_are_compared_together_by_recording() -> None:
    costs = np.linspace(0.01, 0.1, 12).tolist()
    folds = [
        (costs_of(clips, bim=costs), costs_of(clips, bim=[2 * cost for cost in costs])) for clips in (FIRST, SECOND)
    ]
    found = compare(*folds[0], folds[1])
    assert found["clips"] == 24
    assert found["bim"]["eps90_ratio"] == pytest.approx(2)
    assert found["bim"]["cost_ratio_low"] == found["bim"]["cost_ratio_high"] == pytest.approx(2)
    one = [(before.assign(group="street"), after.assign(group="street")) for before, after in folds]
    assert "cost_ratio_low" not in compare(*one[0], one[1])["bim"]


def sound_gains(before: pd.DataFrame, after: pd.DataFrame) -> Metrics:
    images, sounds = dict.fromkeys(MODELS, NONE), {"baseline": before, "hardened": after}
    return comparison.compare([images], [sounds], BUDGETS)


def test_gains_of_sounds_are_their_ratios_in_decibels() -> None:
    before = costs_of("abc", worst_snr=[40.0, 50.0, NAN], untargeted=[60.0, 60.0, 60.0])
    after = costs_of("bcd", worst_snr=[30.0, NAN, 60.0], untargeted=[50.0, 40.0, NAN])
    found = sound_gains(before, after)
    assert found["sound"] == {
        "clips": 2,
        "snr_gain": pytest.approx(20),
        "snr_gain_untargeted": pytest.approx(10),
    }
    assert found["worst_snr"] == {"fooling_drop": 0, "cost_ratio": pytest.approx(10)}
    assert "untargeted" not in found


def test_sounds_at_the_budget_count_as_fooled() -> None:
    found = sound_gains(costs_of("ab", worst_snr=[SNR, 30.0]), costs_of("ab", worst_snr=[SNR - 0.1, 10.0]))
    assert found["worst_snr"]["fooling_drop"] == 1


def test_the_accuracy_lost_is_the_mean_over_folds() -> None:
    before, after = ([{"clean": {"accuracy": value}} for value in values] for values in ([0.9, 0.9], [0.8, 0.9]))
    found = comparison.accuracy_drop(before, after)
    assert found["accuracy_drop"] == pytest.approx(0.05)
    # Student's t with 1 degree of freedom: 12.706.
    assert found["accuracy_drop_high"] == pytest.approx(0.05 + 12.7062 * 0.05, rel=1e-4)
    assert comparison.accuracy_drop(before, before) == {"accuracy_drop": 0}


PROBE = """<script>
window.addEventListener("load", async () => {
  const pictures = [...document.images].map(each => each.naturalWidth > 0);
  const player = document.querySelector("audio");
  let played = "no";
  try { await player.play(); played = player.duration > 0.4 ? "yes" : "short"; }
  catch (error) { played = String(error); }
  const wide = document.documentElement.scrollWidth > window.innerWidth;
  document.title = `pictures ${pictures.filter(Boolean).length}/${pictures.length} played ${played} wide ${wide}`;
});
</script></body>"""


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.usefixtures("shown")
def test_a_browser_shows_and_plays_it(width: int, tmp_path: Path) -> None:
    html = paths.REPORT.read_text(encoding="utf-8").replace("</body>", PROBE)
    probe = tmp_path / "probe.html"
    probe.write_text(html.replace("style-src", "script-src 'unsafe-inline'; style-src"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=20000", f"--window-size={width},900", "--dump-dom"]
    done = subprocess.run(
        ["chromium", *options, f"--user-data-dir={probe.parent / 'browser'}", probe.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    pictures = 2 * len(IMAGE_ATTACKS) * (1 + 2 * 4)
    assert f"<title>pictures {pictures}/{pictures} played yes wide false</title>" in done.stdout
    assert "CONSOLE" not in done.stderr


def test_the_gallery_shows_a_clip_that_was_attacked(shown: CellPaths) -> None:
    found = read_adversarial(shown.attack("baseline", "bim"), "")
    eligible = np.arange(12) == 2
    sizes: dict[str, Floats] = {norm: np.zeros(12, np.float32) for norm in NORMS["image"]}
    none = replace(found, success=np.zeros(12, bool), eligible=eligible, sizes=sizes)
    assert gallery.typical({"bim": none}, attack_on_baseline()[1]) == 2


def test_a_gallery_without_attacks_shows_a_clip_that_the_model_gets_right(shown: CellPaths) -> None:
    victim, inputs = attack_on_baseline()
    row = gallery.typical({}, inputs)
    assert inputs.eligible[row], shown
    assert gallery.build(victim, {}, inputs, row, ("a", "b", "c"), EPS).contact_sheet()


def test_the_worst_case_takes_the_cheapest_example_of_every_clip(shown: CellPaths) -> None:
    found = {name: read_adversarial(shown.attack("baseline", name), "") for name in IMAGE_ATTACKS}
    none = replace(found["bim"], success=np.zeros(12, bool))
    np.testing.assert_array_equal(
        worst({"bim": found["bim"], "fgsm": none}, "linf", 12),
        np.where(found["bim"].success, found["bim"].sizes["linf"], np.inf),
    )
