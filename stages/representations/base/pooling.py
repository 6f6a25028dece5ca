"""Pooling to the rows and frames of an image, as matrices."""

import numpy as np
import torch
from torch import Tensor

from stages.core.arrays import Array, Floats


def pooling(count: int, size: int) -> Floats:
    """Make the matrix that averages `count` values over `size` nearly equal blocks, each of at least one value.

    Block i spans floor(i count / size) to ceil((i + 1) count / size), as in PyTorch's adaptive pooling, so blocks may
    overlap, and fewer values than blocks are stretched.

    Returns:
        the matrix, shape (size, count); each of its rows sums to 1.

    Example:
        >>> pooling(6, 3) @ np.arange(6)
        array([0.5, 2.5, 4.5])
    """
    edges = np.arange(size + 1) * count
    starts, stops = edges[:-1, None] // size, -(-edges[1:, None] // size)
    places = np.arange(count)
    weights: Floats = ((starts <= places) & (places < stops)) / (stops - starts)
    return weights


def spreading(weights: Floats) -> Floats:
    """Make the matrix that spreads block values over what they were pooled from: to each value, its blocks' mean.

    Args:
        weights: matrix that pools, shape (size, count), as `pooling` makes it.

    Returns:
        the matrix, shape (count, size); each of its rows sums to 1.

    Example:
        >>> spreading(pooling(6, 3)) @ np.array([1.0, 2.0, 3.0])
        array([1., 1., 2., 2., 3., 3.])
    """
    spread: Floats = weights.T / weights.sum(axis=0)[:, None]
    return spread


def constant(values: Array) -> Tensor:
    """Turn a filter or a matrix into a tensor, float32, for a buffer."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
