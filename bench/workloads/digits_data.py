"""The handwritten digits that scikit-learn carries: 1797 images of 8 × 8 pixels, split once."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bench.workloads.packaged_data import read_table

Array = np.ndarray[Any, Any]

PIXELS = 64
CLASSES = 10
TEST_ROWS = 360
"""A fifth of the images, chosen by a fixed seed, is kept for the test."""
SPLIT_SEED = 0


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 values in [0, 1], and the digit that each one shows."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array


@cache
def load_digits() -> Digits:
    """The images, shuffled and split; `BenchError` where scikit-learn is missing."""
    table = read_table(("digits.csv.gz",), "load_digits")
    table = table[np.random.default_rng(SPLIT_SEED).permutation(len(table))]
    images, labels = table[:, :-1] / 16.0, table[:, -1].astype(np.int64)
    return Digits(
        images[TEST_ROWS:], labels[TEST_ROWS:], images[:TEST_ROWS], labels[:TEST_ROWS]
    )  # fmt: skip


def one_hot(labels: Array) -> Array:
    """A row of zeros with a one at the label's place, for each label."""
    return np.eye(CLASSES)[labels]


def batch(rows: int) -> tuple[Array, Array]:
    """The first training images and their labels, one-hot; repeated where there are too few."""
    digits = load_digits()
    chosen = np.arange(rows) % len(digits.train_labels)
    return digits.train_images[chosen], one_hot(digits.train_labels[chosen])
