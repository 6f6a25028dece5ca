"""A trained model outside of the pipeline: predictions of files, and programs that run without this project."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from stages import architectures
from stages.audio import decoding
from stages.audio.decoding import AudioParams
from stages.core import params, plugins
from stages.core.errors import InputError
from stages.inference import export
from stages.inference.classifier import load_classifier
from stages.inference.prediction import predict, predict_all, sound_files
from stages.models import checkpoints
from stages.models.checkpoints import ModelSpec
from tests.helpers import ROOT

RATE = 8000
AUDIO = {"sample_rate": RATE, "duration": 0.5}
SOUND = AudioParams(**AUDIO)
CLASSES = ["bark", "rain", "größe"]
MEL: dict[str, Any] = {
    "n_fft": 256,
    "hop_length": 64,
    "window": "hann",
    "rows": 32,
    "frames": 32,
    "range_db": 80.0,
    "reference": "peak",
}


def write_model(path: Path, representation: str = "mel", parameters: Mapping[str, Any] = MEL, rows: int = 32) -> Path:
    torch.manual_seed(0)
    shape = (1, rows, 32)
    spec = ModelSpec("resnet18", CLASSES, list(shape), representation, json.dumps(parameters), json.dumps(AUDIO))
    network = architectures.build("resnet18", shape, len(CLASSES)).eval()
    network.normalise_by(torch.rand(20, *shape))
    checkpoints.write(path, network, spec, {"seed": "0"})
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "hardened.safetensors")


def noise(seconds: float, channels: int = 1) -> np.ndarray[Any, np.dtype[np.float64]]:
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * RATE), channels))


def run(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """In a folder without params.yaml."""
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def test_a_file_is_classified_as_its_front_end_and_network_do(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(0.4), RATE)
    classifier = load_classifier(model)
    found = predict(classifier, tmp_path / "a.wav")
    network, spec = checkpoints.load(model, "")
    mel = plugins.find("stages.representations", "mel", object).model_validate(MEL)  # type: ignore[attr-defined]
    image = mel.image(decoding.load(tmp_path / "a.wav", SOUND), RATE)
    with torch.no_grad():
        probabilities = network(torch.from_numpy(image)[None, None]).softmax(1)[0]
    assert found.windows == 1
    assert dict(found.ranking) == pytest.approx(dict(zip(CLASSES, probabilities.tolist(), strict=True)), abs=1e-6)
    assert found.probability == max(share for _, share in found.ranking)
    assert (found.label, spec.classes) == (found.ranking[0][0], CLASSES)


def test_long_files_are_cut_into_windows_whose_probabilities_are_averaged(model: Path, tmp_path: Path) -> None:
    sound = noise(1.3) * np.linspace(0, 1, round(1.3 * RATE))[:, None]
    soundfile.write(tmp_path / "long.wav", sound, RATE)
    windows = decoding.windows(tmp_path / "long.wav", SOUND)
    assert windows.shape == (3, RATE // 2)
    np.testing.assert_allclose(windows[0], sound[: RATE // 2, 0], atol=2**-15)
    np.testing.assert_allclose(windows[-1], sound[-RATE // 2 :, 0], atol=2**-15)
    classifier = load_classifier(model)
    with torch.no_grad():
        each = classifier(torch.from_numpy(windows)).softmax(1)
    found = predict(classifier, tmp_path / "long.wav")
    assert found.windows == 3
    assert dict(found.ranking) == pytest.approx(dict(zip(CLASSES, each.mean(0).tolist(), strict=True)), abs=1e-6)


@pytest.mark.parametrize(("seconds", "windows"), [(0.1, 1), (0.5, 1), (0.54, 1), (0.56, 2), (1.04, 2), (1.06, 3)])
def test_a_rest_shorter_than_a_tenth_is_no_window(tmp_path: Path, seconds: float, windows: int) -> None:
    soundfile.write(tmp_path / "a.wav", noise(seconds), RATE)
    assert len(decoding.windows(tmp_path / "a.wav", SOUND)) == windows


def test_files_of_any_rate_and_channels(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", noise(3, channels=2), 44_100)
    assert predict(load_classifier(model), tmp_path / "a.flac").windows == 1


@pytest.mark.slow
def test_files_and_folders_are_predicted_where_there_are_no_parameters(model: Path, tmp_path: Path) -> None:
    (tmp_path / "sounds/deep").mkdir(parents=True)
    for name in ("a.wav", "deep/b.wav"):
        soundfile.write(tmp_path / "sounds" / name, noise(0.5), RATE)
    (tmp_path / "sounds/notes.txt").write_text("no sound by its name", encoding="utf-8")
    done = run(tmp_path, "stages.predict", model, "sounds")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["sounds/a.wav", "sounds/deep/b.wav"]
    assert sorted(lines[0].split()[1::2]) == sorted(CLASSES)
    assert not (tmp_path / "metrics").exists()


@pytest.mark.slow
def test_what_is_no_sound_is_named_and_the_others_answered(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(0.5), RATE)
    (tmp_path / "b.wav").write_text("nothing", encoding="utf-8")
    done = run(tmp_path, "stages.predict", model, "b.wav", "a.wav", "--json", "--top", "2")
    assert done.returncode == 1
    assert done.stderr.startswith("error: b.wav cannot be read as sound")
    (found,) = json.loads(done.stdout)
    assert found["file"] == "a.wav"
    assert found["class"] in CLASSES
    assert len(found["runners_up"]) == 1
    assert found["probability"] > found["runners_up"][0]["probability"]


@pytest.mark.slow
def test_predictions_as_a_table_for_programs(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(0.5), RATE)
    (row,) = csv.DictReader(io.StringIO(run(tmp_path, "stages.predict", model, "a.wav", "--csv").stdout))
    assert list(row) == ["file", "windows", *(f"{name}_{n}" for n in (1, 2, 3) for name in ("class", "probability"))]
    assert sum(float(row[f"probability_{n}"]) for n in (1, 2, 3)) == pytest.approx(1)


def test_the_errors_of_several_files_stand_beside_the_predictions(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(0.5), RATE)
    (tmp_path / "empty.wav").touch()
    found, errors = predict_all(load_classifier(model), [tmp_path / "empty.wav", tmp_path / "a.wav"])
    assert [each.file.name for each in found] == ["a.wav"]
    assert len(errors) == 1
    assert "empty.wav" in str(errors[0])


def test_paths_that_lead_to_no_sound(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.wav does not exist"):
        sound_files([tmp_path / "nothing.wav"])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"holds no sound files.*\.flac"):
        sound_files([tmp_path])
    assert sound_files([tmp_path / "notes.txt"]) == [tmp_path / "notes.txt"]


def test_files_that_hold_no_model(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.safetensors is missing; give the path of a \.safetensors file"):
        load_classifier(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes(model.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"a\.safetensors is damaged"):
        load_classifier(tmp_path / "a.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "b.safetensors")
    with pytest.raises(InputError, match=r"b\.safetensors does not say its architecture, audio, classes, input_shape"):
        load_classifier(tmp_path / "b.safetensors")


def test_a_model_file_whose_weights_or_parameters_do_not_fit(model: Path, tmp_path: Path) -> None:
    facts = checkpoints.metadata(model)
    save_file({"weight": torch.zeros(3)}, tmp_path / "a.safetensors", facts)
    with pytest.raises(InputError, match=r"a\.safetensors holds the weights of another resnet18 \(Missing key"):
        load_classifier(tmp_path / "a.safetensors")
    save_file(load_file(model), tmp_path / "b.safetensors", facts | {"parameters": json.dumps(MEL | {"rows": 1})})
    with pytest.raises(InputError, match=r"parameters of mel\.rows: .* greater than or equal to 16; found 1"):
        load_classifier(tmp_path / "b.safetensors")


@pytest.mark.slow
@pytest.mark.usefixtures("workdir")
def test_every_representation_becomes_a_program_that_runs_without_this_package(tmp_path: Path) -> None:
    waveforms = torch.from_numpy(noise(0.5, channels=3).T.astype(np.float32)).contiguous()
    expected = {}
    for name in plugins.names("stages.representations"):
        classifier = load_classifier(small_model(tmp_path, name))
        export.write_program(classifier, tmp_path / f"{name}.pt2")
        with torch.no_grad():
            expected[name] = classifier(waveforms)
    save_file(expected | {"waveforms": waveforms}, tmp_path / "expected.safetensors")
    script = """
import pathlib, torch, safetensors.torch
told = safetensors.torch.load_file("expected.safetensors")
for path in sorted(pathlib.Path().glob("*.pt2")):
    program = torch.export.load(path).module()
    for count in (1, 3):
        error = (program(told["waveforms"][:count]) - told[path.stem][:count]).abs().max()
        assert error < 1e-4, (path, error)
    print(path.stem)
"""
    command = [sys.executable, "-I", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == sorted(expected)


def small_model(folder: Path, representation: str) -> Path:
    """A model of a representation as params.yaml has it, on few rows and frames."""
    parameters = params.value(f"representations.{representation}")
    base = parameters.get("base", parameters)
    base.update({"rows": 32, "frames": 32} | ({"fmin": 100.0} if "fmin" in base else {}))
    rows = 32 + 19 * ("chromagram" in parameters)
    return write_model(folder / f"{representation}.safetensors", representation, parameters, rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mel", "dwt_tonnetz"])
@pytest.mark.usefixtures("workdir")
def test_a_model_becomes_a_file_of_onnx(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    classifier = load_classifier(small_model(tmp_path, name))
    export.write_onnx(classifier, tmp_path / "model.onnx")
    waveforms = noise(0.5, channels=3).T.astype(np.float32)
    (found,) = runtime.InferenceSession(tmp_path / "model.onnx").run(None, {"waveforms": waveforms})
    with torch.no_grad():
        np.testing.assert_allclose(found, classifier(torch.from_numpy(waveforms)), atol=1e-3)


def test_onnx_without_its_packages_is_an_error(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"needs the packages onnx and onnxscript: run `pip install onnx onnxscript`"):
        export.write_onnx(load_classifier(model), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_an_operator_that_onnx_lacks_is_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise torch.onnx.errors.OnnxExporterError("long") from ValueError("No ONNX function found for aten.pad\nmore")

    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(InputError, match=r"lacks an operator: No ONNX function found for aten\.pad$"):
        export.write_onnx(load_classifier(model), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_program_is_written_beside_the_model(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(model.read_bytes())
    done = run(tmp_path, "stages.export", copy.name)
    assert (done.returncode, done.stdout) == (0, "mine.pt2\n")
    assert (tmp_path / "mine.pt2").stat().st_size > copy.stat().st_size
