"""Attack a model on the waveform with ART: `PYTHONPATH=. python docs/examples/art_waveform.py MODEL SOUND`."""

import sys
from pathlib import Path

import numpy as np
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from torch.nn import CrossEntropyLoss

from stages.audio.decoding import load
from stages.inference.classifier import load_classifier

classifier = load_classifier(Path(sys.argv[1]))
shape, classes = (classifier.audio.samples,), classifier.classes
model = PyTorchClassifier(classifier, CrossEntropyLoss(), shape, len(classes), clip_values=(-1, 1))
clip = load(Path(sys.argv[2]), classifier.audio)[None].clip(-1, 1)
level = float(np.linalg.norm(clip))
attack = ProjectedGradientDescent(model, norm=2, eps=level / 10, eps_step=level / 400, max_iter=50, verbose=False)
example = (attack.generate(clip) * 32768).round().clip(-32768, 32767) / np.float32(32768)
before, after = (classes[model.predict(sound).argmax()] for sound in (clip, example))
sys.stdout.write(f"{before} -> {after}, {20 * np.log10(level / np.linalg.norm(example - clip)):.1f} dB\n")
