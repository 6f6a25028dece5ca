"""Attack a model on the waveform with Foolbox: `PYTHONPATH=. python docs/examples/foolbox_waveform.py MODEL SOUND`."""

import sys
from pathlib import Path

import torch
from foolbox import PyTorchModel
from foolbox.attacks import L2ProjectedGradientDescentAttack

from stages.audio.decoding import load
from stages.inference.classifier import load_classifier

classifier = load_classifier(Path(sys.argv[1]))
classes = classifier.classes
model = PyTorchModel(classifier, bounds=(-1, 1))  # moves it to the GPU, where there is one
clip = torch.from_numpy(load(Path(sys.argv[2]), classifier.audio))[None].clamp(-1, 1).to(model.device)
level = float(clip.norm())
attack = L2ProjectedGradientDescentAttack(steps=50, random_start=False)  # noise of that level may fool by itself
_, found, _ = attack(model, clip, model(clip).argmax(1), epsilons=level / 10)  # 20 dB
example = (found * 32768).round().clamp(-32768, 32767) / 32768
before, after = (classes[model(sound).argmax()] for sound in (clip, example))
sys.stdout.write(f"{before} -> {after}, {20 * torch.log10(level / (example - clip).norm()):.1f} dB\n")
