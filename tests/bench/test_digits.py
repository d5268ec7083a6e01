"""The main job in full: it has to learn the digits."""

import numpy as np
import pytest

from bench.context import Context
from bench.display import PlainDisplay
from bench.results import Report
from bench.subjects import TracerSubject
from bench.timing import Effort
from bench.workloads import digits
from bench.workloads.digits_data import TEST_ROWS, batch, load_digits
from bench.workloads.packaged_data import read_table


def test_split_keeps_every_image_once() -> None:
    data = load_digits()
    assert len(data.test_labels) == TEST_ROWS
    assert len(data.train_labels) + TEST_ROWS == 1797
    assert data.train_images.shape[1] == 64
    assert 0.0 <= data.train_images.min() <= data.train_images.max() <= 1.0


def test_the_files_hold_what_the_loaders_give() -> None:
    files, loader = ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"), "load_diabetes"
    read = read_table(files, loader, scaled=False)
    assert read.shape == (442, 11)
    np.testing.assert_array_equal(read, read_table(("elsewhere.csv.gz",), loader, scaled=False))
    digits = read_table(("digits.csv.gz",), "load_digits")
    np.testing.assert_array_equal(digits, read_table(("elsewhere.csv.gz",), "load_digits"))


def test_batches_are_one_hot_and_go_on_beyond_the_data() -> None:
    images, labels = batch(2_000)
    assert images.shape == (2_000, 64)
    np.testing.assert_array_equal(labels.sum(axis=1), 1.0)
    np.testing.assert_array_equal(images[0], images[1797 - TEST_ROWS])


def test_training_reaches_the_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("now", {}, {}, {})
    context = Context(
        (TracerSubject("llvm"),), Effort(seconds=0.0), False, False, PlainDisplay(), report
    )  # fmt: skip
    digits.train(context)
    facts = {fact.name: fact.value for fact in report.facts}
    assert facts["test accuracy"] >= 0.97
    shown = capsys.readouterr().out
    assert "epoch  25  loss 0.0" in shown
    assert f"test accuracy {facts['test accuracy']:.2%} after 25 epochs" in shown


def test_the_last_compiling_backend_trains() -> None:
    subjects = tuple(TracerSubject(name) for name in ("numpy", "numba", "eager"))
    context = Context(
        subjects, Effort(), False, False, PlainDisplay(), Report("now", {}, {}, {})
    )  # fmt: skip
    assert digits.training_backend(context) == "numba"
