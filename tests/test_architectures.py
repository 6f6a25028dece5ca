"""Every network, on small images."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from stages import architectures
from stages.architectures.base import Normalised
from stages.core import plugins
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.models import checkpoints
from stages.models.victim import Victim

NETWORKS = plugins.names("stages.architectures")
SMALL = (1, 32, 32)


def built(name: str, seed: int = 0, input_shape: tuple[int, int, int] = SMALL, classes: int = 5) -> Normalised:
    torch.manual_seed(seed)
    return architectures.build(name, input_shape, classes)


@pytest.fixture(scope="module", params=NETWORKS)
def used(request: pytest.FixtureRequest) -> nn.Module:
    """In evaluation mode, to be shown images only; its statistics are no longer those of a fresh network."""
    model = built(request.param).train()
    model(torch.rand(6, 1, 32, 32))
    return model.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_images_of_any_size_in_batches_of_two(name: str) -> None:
    for height, width in [(32, 32), (64, 48), (33, 97)]:
        model = built(name, input_shape=(1, height, width), classes=7)
        assert model.train()(torch.rand(2, 1, height, width)).shape == (2, 7)
        assert model.eval()(torch.rand(1, 1, height, width)).shape == (1, 7)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_the_largest_images(name: str) -> None:
    with torch.no_grad():
        assert built(name, input_shape=(1, 224, 224)).eval()(torch.rand(1, 1, 224, 224)).shape == (1, 5)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_finite_and_reach_the_image_and_every_weight(name: str) -> None:
    model, images = built(name).train(), torch.rand(4, 1, 32, 32, requires_grad=True)
    nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 3])).backward()
    gradients = [images.grad, *(weight.grad for weight in model.parameters())]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert images.grad is not None
    assert images.grad.flatten(1).any(1).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_each_row_is_normalised_by_the_training_clips(name: str, rng: np.random.Generator) -> None:
    model, scales = built(name).train(), np.geomspace(0.001, 0.5, 32)[:, None]
    images = torch.from_numpy((0.2 + scales * rng.random((50, 1, 32, 40))).astype(np.float32))
    model.normalise_by(images)
    seen: list[torch.Tensor] = []
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(images)
    means, spreads = seen[0].mean((0, 1, 3)), seen[0].std((0, 1, 3))
    assert means.abs().max() < 1e-3
    # Rows that hardly vary are not blown up.
    assert spreads[0] < 0.2
    torch.testing.assert_close(spreads[20:], torch.ones(12), rtol=0.05, atol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_seed_alone_decides_the_weights(name: str) -> None:
    first, second, other = (list(built(name, seed).parameters()) for seed in (0, 0, 1))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])


def test_verdicts_are_deterministic_and_do_not_depend_on_the_batch(used: nn.Module) -> None:
    model, images = used, torch.rand(6, 1, 32, 32)
    with torch.no_grad():
        whole = model(images)
        assert torch.equal(model(images), whole)
        torch.testing.assert_close(model(images[2:3]), whole[2:3], rtol=1e-4, atol=1e-4)


def test_folding_batch_norm_changes_nothing(used: nn.Module, compute: ComputeParams) -> None:
    victim, images = Victim(used, compute), torch.rand(3, 1, 32, 32)
    torch.testing.assert_close(victim.as_foolbox()(images), victim.logits(images), rtol=1e-3, atol=1e-3)


def test_weights_that_are_rounded_once_give_what_autocast_gives(used: nn.Module, compute: ComputeParams) -> None:
    victim, images = Victim(used, compute.model_copy(update={"precision": "bfloat16"})), torch.rand(3, 1, 32, 32)
    verdict = victim.logits(images)
    with torch.autocast("cpu", torch.bfloat16):
        expected = checkpoints.on_device(fuse(victim.model), victim.device).eval()(images).float()
    assert torch.equal(victim.as_foolbox()(images), expected)
    assert torch.equal(victim.logits(images), verdict)


@pytest.mark.parametrize("name", NETWORKS)
def test_images_that_are_too_small_are_an_error(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} needs images of 32 x 32 or more, they have 31 rows and 40 frames"):
        architectures.build(name, (1, 31, 40), 5)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("alexnet", 5.09),
        ("googlenet", 5.6),
        ("resnet18", 11.17),
        ("resnet34", 21.28),
        ("resnet56", 0.86),
        ("vgg16", 15.25),
    ],
)
def test_parameters_at_ten_classes(name: str, millions: float) -> None:
    with torch.device("meta"):
        model = built(name, input_shape=(1, 64, 48), classes=10)
    count = sum(weight.numel() for weight in model.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.01)


def test_resnet56_is_the_published_one() -> None:
    with torch.device("meta"):
        model = built("resnet56")
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len([layer for layer in layers if not isinstance(layer, nn.Conv2d) or layer.kernel_size == (3, 3)]) == 56
