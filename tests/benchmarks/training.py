"""How fast training is: `python -m tests.benchmarks.training`, in less than 3 minutes.

It prints clips per second of the trainer, of a plain PyTorch loop (float32, channels first, a DataLoader) in the same
run, and the share of the matrix product's FLOP/s that a training step reaches. The last line is the ratio of the first
two.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from stages import architectures
from stages.core import device, plugins
from stages.core.compute import ComputeParams
from stages.core.device import pick_device
from stages.training.augment import AugmentParams
from stages.training.batches import RecipeParams, TrainingData
from stages.training.objectives import CrossEntropy
from stages.training.trainer import Trainer

SHAPE, CLASSES, BATCH_SIZE = (1, 64, 64), 10, 16
COMPUTE = ComputeParams(device="auto", devices=1, nodes=1, precision="auto", workers=0, batch_size=64)
AUGMENTATION = AugmentParams(p_waveform_augment=0.0, time_shift=1.0, time_mask=0.1, band_mask=0.1, mixup=0, noise=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=192, help="clips of an epoch, at least 32")
    parser.add_argument("--epochs", type=int, default=2, help="of each loop; the fastest counts")
    parser.add_argument("--all", action="store_true", help="clips per second of every architecture too")
    options = parser.parse_args()
    precision = "bfloat16" if device.uses_bfloat16(COMPUTE) else "float32"
    print(f"{pick_device(COMPUTE).type}, {precision}, {torch.get_num_threads()} threads")
    images = torch.rand(options.clips, *SHAPE)
    labels = torch.arange(options.clips) % CLASSES
    for name in plugins.names(architectures.__name__) if options.all else ():
        print(f"{name}: {ours(name, images, labels, options.epochs):.1f} clips/s")
    fast = ours("resnet56", images, labels, options.epochs)
    slow = plain("resnet56", images, labels, options.epochs)
    step, product = flops_of_step("resnet56") * fast, flops_of_product()
    print(f"resnet56 here: {fast:.1f} clips/s; plain PyTorch: {slow:.1f} clips/s")
    print(f"step: {step / 1e9:.1f} GFLOP/s; matrix product: {product / 1e9:.1f} GFLOP/s; share {step / product:.2f}")
    print(f"training ratio {fast / slow:.2f}")


def ours(name: str, images: Tensor, labels: Tensor, epochs: int) -> float:
    """Clips per second of the project's trainer, in its fastest epoch."""
    recipe = RecipeParams(
        epochs=epochs, batch_size=BATCH_SIZE, learning_rate=1e-4, weight_decay=0.05, label_smoothing=0.1
    )
    names = [str(index) for index in range(CLASSES)]
    clips = [str(index) for index in range(len(images))]
    data = TrainingData(
        images, images[:, :0], labels, clips, names, torch.zeros(SHAPE[1]), recipe, AUGMENTATION, 0, COMPUTE
    )
    trainer = Trainer(architectures.build(name, SHAPE, CLASSES), data, CrossEntropy(0.1))
    fastest = min(seconds(partial(trainer.train_epoch, epoch)) for epoch in range(1, epochs + 1))
    return data.steps * data.batch_size / fastest


def plain(name: str, images: Tensor, labels: Tensor, epochs: int) -> float:
    """Clips per second of a loop as tutorials have it, in its fastest epoch."""
    device = pick_device(COMPUTE)
    model = architectures.build(name, SHAPE, CLASSES).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    loader = DataLoader(TensorDataset(images, labels), batch_size=BATCH_SIZE, shuffle=True, drop_last=True)

    def epoch() -> None:
        for some, right in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(some.to(device)), right.to(device), label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            loss.item()

    return len(loader) * BATCH_SIZE / min(seconds(epoch) for _ in range(epochs))


def flops_of_step(name: str) -> float:
    """Floating point operations of a training step, forward and backward, for each clip."""
    model = architectures.build(name, SHAPE, CLASSES).train()
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(2, *SHAPE)).sum().backward()
    return float(counter.get_total_flops()) / 2


def flops_of_product(size: int = 2048) -> float:
    """Floating point operations a second of a matrix product in the precision that training uses."""
    low = device.uses_bfloat16(COMPUTE)
    matrix = torch.rand(size, size, dtype=torch.bfloat16 if low else torch.float32, device=pick_device(COMPUTE))

    def products() -> None:
        for _ in range(5):
            product = matrix @ matrix
        float(product[0, 0])

    return 5 * 2 * size**3 / min(seconds(products) for _ in range(4))


def seconds(work: Callable[[], object]) -> float:
    """Time that the work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
