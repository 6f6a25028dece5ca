"""Every attack on sounds keeps the contract; costs are those that can be worked out by hand."""

import csv
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stages import attacks
from stages.attacks.base import Attack, SearchParams, domain_of, run
from stages.attacks.base.expectation import ExpectedVictim
from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.goals import AwayFrom, ByMargin, Towards
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.sound_domain import LEAD, heard, shown, sound_size
from stages.attacks.sound_files import SoundFiles, read_table
from stages.attacks.sound_masked import Masked
from stages.attacks.sound_universal import SoundUniversal
from stages.audio.masking import Masking
from stages.core import paths, plugins
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.models.victim import Victim
from stages.stores.perturbations import Norm, ratio
from tests.attack_helpers import attacked, network, settings_of
from tests.helpers import ROOT
from tests.sound_helpers import AUDIO, DOMAIN, Deaf, Tilt, directly, sounds, towards, victim

SEARCH = SearchParams(start=ratio(30), smallest=0.001, factor=4.0, tolerance=0.1)
NAMES = [name for name in plugins.names("stages.attacks") if domain_of(name) == "sound"]
CRAFTED = [name for name in NAMES if name != "sound_files"]
QUICK: dict[str, dict[str, float]] = {
    "sound_square": {"queries": 40},
    "sound_universal": {"steps": 12, "batch_size": 4},
    "sound_cw": {"steps": 80, "stepsize": 0.02},
    "sound_ddn": {"steps": 40},
    "sound_linf": {"steps": 10},
    "sound_pgd": {"steps": 10},
    "sound_masked": {"steps": 6},
}
"""Shorter runs than params.yaml asks for."""


@pytest.fixture(scope="module")
def configured() -> dict[str, Attack]:
    """Every attack on sounds as params.yaml has it."""
    with chdir(ROOT):
        return {name: attacks.load(name) for name in NAMES}


@pytest.fixture
def attack(
    request: pytest.FixtureRequest, configured: dict[str, Attack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Attack:
    """One of them, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return configured[request.param].model_copy(update=QUICK.get(request.param, {}))


every_attack = pytest.mark.parametrize("attack", CRAFTED, indirect=True)


def started(attack: Attack, model: Victim, inputs: AttackInputs, rng: np.random.Generator) -> AttackInputs:
    """Let an attack learn from training clips, if it does."""
    if not attack.needs_starting_points:
        return inputs
    clips = sounds(rng, 12)
    return inputs.starting_from(attack.starting_points(model, clips, model.predict(clips).cpu()))


@every_attack
def test_examples_are_16_bit_measured_and_judged_as_a_file_is(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    model = victim(compute)
    inputs = started(attack, model, towards(model, sounds(rng)), rng)
    inputs = replace(inputs, eligible=torch.arange(len(inputs)) > 0)
    found = attacked(inputs, model, attack)
    assert found.clean.dtype == found.adversarial.dtype == np.int16
    assert found.clean.shape == (len(inputs), AUDIO.samples)
    assert found.attributes["domain"] == "sound"
    assert found.success.any()
    assert not found.success[0]
    delta = found.adversarial.astype(float) - found.clean
    ratios = np.sqrt((delta**2).mean(1) / (found.clean.astype(float) ** 2).mean(1))
    np.testing.assert_allclose(found.cost[found.success], ratios[found.success], rtol=1e-5)
    assert np.isinf(found.cost[~found.success]).all()
    np.testing.assert_array_equal(found.adversarial[~found.success], found.clean[~found.success])
    # As by a WAV file: samples / 32768, through the front end and the network alone.
    waveforms = torch.from_numpy(found.adversarial / np.float32(32768))
    with torch.no_grad():
        verdict = network()(DOMAIN.representation.module(AUDIO.samples, AUDIO.sample_rate)(waveforms)).argmax(1)
    np.testing.assert_array_equal(verdict.numpy()[found.success], found.target[found.success])


@every_attack
def test_the_batch_size_changes_no_result(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    models = [victim(compute.model_copy(update={"batch_size": size})) for size in (2, 64)]
    inputs = towards(models[0], sounds(rng, 6))
    inputs = started(attack, models[0], inputs, rng)
    few, many = (attack.search(model, inputs, SEARCH) for model in models)
    assert few.fooled.any()
    assert torch.equal(few.fooled, many.fooled)
    # The phase of a bin that is next to nothing is rounding, and the masked descent gives every bin its full step.
    rtol = 1.0 if attack.norm == "masking" else 0.05
    torch.testing.assert_close(few.cost.median(), many.cost.median(), rtol=rtol, atol=1e-5)


@every_attack
def test_a_model_that_ignores_its_input_is_not_fooled(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    model, clips = directly(Deaf(), compute), sounds(rng, 4)
    inputs = started(attack, model, towards(model, clips, target=1), rng)
    found = attack.search(model, inputs, SEARCH)
    assert not found.fooled.any()
    assert torch.equal(found.adversarial, inputs.clean)


@every_attack
def test_a_silent_clip_has_no_ratio_and_counts_as_not_fooled(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    model = victim(compute)
    clips = torch.cat([torch.full_like(sounds(rng, 1), 0.5), sounds(rng, 3)])
    inputs = started(attack, model, towards(model, clips), rng)
    found = attacked(inputs, model, attack)
    assert not found.success[(found.clean == 0).all(1)].any()
    assert all(np.isfinite(sizes).all() for sizes in found.sizes.values())


@every_attack
def test_the_cost_of_a_linear_model(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    model = directly(Tilt(), compute)
    clips = sounds(rng, 6)
    inputs = started(attack, model, towards(model, clips, target=1), rng)
    found = attack.search(model, inputs, SEARCH)
    # Every sample counts alike: the least root mean square is what the mean lacks, and the lead that is asked for.
    waveforms = heard(inputs.clean)
    lacks = 0.05 + LEAD / 200 - (waveforms * Tilt().signs).mean(1)
    least = lacks / waveforms.square().mean(1).sqrt()
    within = least < 0.5
    measured = torch.from_numpy(DOMAIN.size(DOMAIN.stored(inputs.clean), DOMAIN.stored(found.adversarial), "snr"))
    assert within.any()
    assert (measured[found.fooled] >= 0.99 * least[found.fooled]).all()
    if attack.access == "white_box" and attack.norm != "masking":
        assert found.fooled[within].all()
        assert (measured[within] <= 1.3 * least[within]).all()


@every_attack
def test_where_no_clip_is_eligible_nothing_is_found(
    attack: Attack, rng: np.random.Generator, compute: ComputeParams
) -> None:
    model = victim(compute)
    inputs = started(attack, model, towards(model, sounds(rng, 3)), rng)
    found = attacked(replace(inputs, eligible=torch.zeros(len(inputs), dtype=torch.bool)), model, attack)
    assert not found.success.any()


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_says_what_it_is(name: str, configured: dict[str, Attack]) -> None:
    attack = configured[name]
    assert name.startswith("sound_")
    assert attack.domain == "sound"
    assert attack.norm in {"snr", "peak", "masking"}
    assert attack.facts["norm"] == "snr"
    assert attack.paper
    assert 0 < attack.first_budget(settings_of()) <= 1


with_budget = pytest.mark.parametrize(
    "attack",
    [name for name in CRAFTED if issubclass(plugins.find("stages.attacks", name, Attack), FixedBudget)],
    indirect=True,
)


@with_budget
def test_a_budget_is_kept_after_rounding(attack: Attack, rng: np.random.Generator, compute: ComputeParams) -> None:
    assert isinstance(attack, FixedBudget)
    model = victim(compute)
    inputs = started(attack, model, towards(model, sounds(rng)), rng)
    budgets = torch.from_numpy(rng.uniform(0.02, 0.5, len(inputs)).astype(np.float32))
    radius = DOMAIN.radius(inputs.clean, budgets, attack.norm)
    tried = attack.examples(model.as_foolbox(), inputs, radius, inputs.clean).examples
    sizes = DOMAIN.size(DOMAIN.stored(inputs.clean), DOMAIN.stored(tried), attack.norm)
    # Of a masking threshold far below a 16-bit step rounding keeps nothing.
    assert (sizes <= budgets.numpy() * 1.002).all() or attack.norm == "masking"


@given(st.floats(0.01, 0.9), st.integers(0, 100), st.sampled_from(["snr", "peak"]))
def test_rounding_stays_within_the_budget(budget: float, seed: int, norm: Norm) -> None:
    rng = np.random.default_rng(seed)
    clean = sounds(rng, 2)
    radius = DOMAIN.radius(clean, torch.full((2,), budget), norm)
    delta = torch.from_numpy(rng.normal(0, 1, clean.shape).astype(np.float32))
    scale = delta.abs().amax() if norm == "peak" else delta.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    examples = clean + radius * delta / scale
    sizes = DOMAIN.size(DOMAIN.stored(clean), DOMAIN.stored(examples), norm)
    # What rounding adds is known in the mean alone.
    assert (sizes <= budget * 1.002).all()


def test_every_16_bit_sample_is_stored_as_it_is() -> None:
    samples = np.arange(-32768, 32768, dtype=np.int16).reshape(2, -1)
    np.testing.assert_array_equal(DOMAIN.stored(DOMAIN.restored(samples)), samples)
    assert DOMAIN.stored(shown(torch.tensor([[2.0, -2.0]]))).tolist() == [[32767, -32768]]


def test_sizes_of_sounds() -> None:
    clean = np.array([[0.5, -0.5, 0.5, -0.5], [0.0, 0.0, 0.0, 0.0]])
    changed = clean + np.array([[0.05, 0.05, 0.0, 0.0], [0.1, 0.0, 0.0, 0.0]])
    assert sound_size(clean, changed, "snr", 8000).tolist() == [pytest.approx(0.1 / 2**0.5), np.inf]
    assert sound_size(clean, changed, "peak", 8000).tolist() == [pytest.approx(0.1), np.inf]
    assert sound_size(clean, clean, "snr", 8000).tolist() == [0, 0]
    masking = sound_size(clean, changed, "masking", 8000)
    assert np.isfinite(masking).all()
    np.testing.assert_allclose(sound_size(clean, 2 * changed - clean, "masking", 8000), 2 * masking, rtol=1e-5)


def test_what_is_cut_off_stays_below_the_threshold(rng: np.random.Generator) -> None:
    clips = sounds(rng, 3)
    masking = Masking(AUDIO.sample_rate)
    ball = Masked(masking, masking.thresholds(heard(clips).numpy()))
    radius = torch.tensor([0.5, 1.0, 10.0]).reshape(-1, 1, 1, 1)
    delta = torch.from_numpy(rng.normal(0, 0.1, clips.shape).astype(np.float32))
    kept = ball.project(delta, radius)
    excess = masking.excess(heard(clips).numpy(), kept.flatten(1).numpy())
    assert (excess <= radius.flatten().numpy() * 1.001).all()
    assert (excess > 0.2 * radius.flatten().numpy()).all()
    faint = 1e-6 * delta
    torch.testing.assert_close(ball.project(faint, radius), faint, rtol=1e-3, atol=1e-10)


def test_goals_by_their_margin() -> None:
    logits, rows = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 5.0]]), torch.arange(2)
    goal = ByMargin(Towards(torch.tensor([1, 1])))
    assert goal.margin(logits, rows).tolist() == [-2, -3]
    assert goal.losses(logits, rows).tolist() == [2, 3]
    assert ByMargin(AwayFrom(torch.tensor([0, 1]))).margin(logits, rows).tolist() == [-2, 3]


def test_a_killed_run_goes_on_to_the_same_bytes(
    rng: np.random.Generator,
    compute: ComputeParams,
    configured: dict[str, Attack],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "SHARD", 3)
    model, attack = victim(compute), configured["sound_ddn"].model_copy(update={"steps": 8})
    inputs = towards(model, sounds(rng))
    whole, search, tried = attacked(inputs, model, attack), type(attack).search, [0]

    def killed(*arguments: object) -> object:
        tried[0] += 1
        if tried[0] == 2:
            raise KeyboardInterrupt
        return search(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(attack), "search", killed)
    with pytest.raises(KeyboardInterrupt):
        attacked(inputs, model, attack)
    again = attacked(inputs, model, attack)
    assert tried[0] == 1 + -(-len(inputs) // 3)
    for name in ("adversarial", "cost", "queries", "success"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


@pytest.mark.parametrize("name", ["sound_ddn", "sound_pgd"])
def test_what_is_expected_to_pass_channels_passes_them(
    name: str, rng: np.random.Generator, compute: ComputeParams, configured: dict[str, Attack]
) -> None:
    names = ("quieter", "shift", "noise")
    expected = ExpectedVictim(network(), compute, DOMAIN.front_end(), LEAD, names, AUDIO.sample_rate, 0)
    plain, attack = victim(compute), configured[name].model_copy(update=QUICK[name])
    inputs = towards(plain, sounds(rng, 6))
    found, easy = (attack.search(model, inputs, SEARCH) for model in (expected, plain))
    assert found.fooled.any()
    for journey in (*expected.judged, torch.nn.Identity()):
        heard_there = journey(found.adversarial[found.fooled])
        assert plain.takes(heard_there, inputs.targets[found.fooled]).all()
    both = found.fooled & easy.fooled
    assert found.cost[both].median() >= easy.cost[both].median()


def test_gradients_are_means_over_channels(rng: np.random.Generator, compute: ComputeParams) -> None:
    expected = ExpectedVictim(network(), compute, DOMAIN.front_end(), LEAD, ("quieter", "louder"), AUDIO.sample_rate, 0)
    clips = sounds(rng, 3)
    played = [clips, *(journey(clips) for journey in expected.seen)]
    means = torch.stack([victim(compute).logits(each) for each in played]).mean(0)
    torch.testing.assert_close(expected.as_foolbox_float32()(clips).detach(), means)
    torch.testing.assert_close(expected.as_foolbox()(clips).detach(), means, rtol=1e-3, atol=1e-4)


def test_one_perturbation_serves_all_clips(
    rng: np.random.Generator, compute: ComputeParams, configured: dict[str, Attack]
) -> None:
    attack = configured["sound_universal"].model_copy(update=QUICK["sound_universal"])
    assert isinstance(attack, SoundUniversal)
    model = directly(Tilt(), compute)
    inputs = started(attack, model, towards(model, sounds(rng, 6), target=1), rng)
    found = attack.search(model, inputs, SEARCH)
    delta = (found.adversarial - inputs.clean)[found.fooled].flatten(1)
    assert len(delta) > 1
    similar = torch.corrcoef(delta)
    assert similar.min() > 0.99


def made_elsewhere(folder: Path, examples: Tensor, clips: list[str], rate: int = AUDIO.sample_rate) -> SoundFiles:
    """Write examples as files with a table, and the attack that takes them."""
    for clip in clips:
        (paths.RAW / clip).parent.mkdir(parents=True, exist_ok=True)
        (paths.RAW / clip).touch()
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["clip", "file"])
        for number, (clip, samples) in enumerate(zip(clips, DOMAIN.stored(examples), strict=True)):
            soundfile.write(folder / f"{number}.wav", samples, rate, subtype="PCM_16")
            rows.writerow([clip, f"{number}.wav"])
    return SoundFiles(table=str(folder / "table.csv"), schedule={})


def test_files_made_elsewhere_are_judged_as_they_are(
    rng: np.random.Generator,
    compute: ComputeParams,
    tmp_path: Path,
    configured: dict[str, Attack],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    model = victim(compute)
    inputs = towards(model, sounds(rng, 6))
    found = configured["sound_ddn"].model_copy(update={"steps": 20}).search(model, inputs, SEARCH)
    # The last clip has no file.
    files = made_elsewhere(tmp_path, found.adversarial[:-1], [str(clip) for clip in inputs.clips[:-1]])
    again = files.search(model, inputs, SEARCH)
    assert again.fooled.tolist() == [*found.fooled[:-1].tolist(), False]
    torch.testing.assert_close(again.cost[:-1], found.cost[:-1])
    assert torch.equal(again.adversarial[:-1], found.adversarial[:-1])
    assert again.queries.tolist() == [1] * (len(inputs) - 1) + [0]


def test_a_table_of_clips_that_there_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("clip,file\ndog.wav,1.wav\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"names clips that are not in data/raw: dog\.wav"):
        read_table(tmp_path / "table.csv")


def test_files_of_another_form_are_refused(
    rng: np.random.Generator, compute: ComputeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = victim(compute)
    inputs = towards(model, sounds(rng, 6))
    files = made_elsewhere(tmp_path, inputs.clean[:1], [str(inputs.clips[0])], rate=16_000)
    with pytest.raises(InputError, match=r"0\.wav has 2000 samples at 16000 Hz; an adversarial sound must have those"):
        files.search(model, inputs, SEARCH)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "table.csv cannot be read as a table: .*No such file"),
        ("clip,sound\na,b\n", "table.csv lacks the column file; it has clip, sound"),
        ("clip,file\na,1.wav\na,2.wav\n", "table.csv names a clip more than once: a"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"attacks\.sound_files\.table: .*{message}"):
        read_table(tmp_path / "table.csv")
