"""Results against the reference: values, shapes, dtypes, NaN and infinity."""

import numpy as np
import pytest

from bench.check import check_outputs, relative_difference
from bench.errors import MismatchError
from bench.workload import Tolerance

TOLERANCE = Tolerance(1e-10, "a reason")


def test_difference_is_relative_to_the_largest_element() -> None:
    reference = np.array([1e-20, 4.0])
    assert relative_difference(reference + np.array([2.0, 0.0]), reference) == 0.5


def test_difference_from_zero_is_absolute() -> None:
    assert relative_difference(np.array([0.25, 0.0]), np.zeros(2)) == 0.25


def test_scalars_and_empty_arrays() -> None:
    assert relative_difference(np.asarray(3.0), np.asarray(2.0)) == 0.5
    assert relative_difference(np.zeros((0, 3)), np.zeros((0, 3))) == 0.0


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values_have_to_be_the_same(special: float) -> None:
    reference = np.array([1.0, special])
    assert relative_difference(reference.copy(), reference) == 0.0
    assert relative_difference(np.array([1.0, 2.0]), reference) == np.inf
    assert relative_difference(np.array([special, special]), reference) == np.inf


def test_infinities_of_both_signs_differ() -> None:
    assert relative_difference(np.array([np.inf]), np.array([-np.inf])) == np.inf


def test_the_largest_difference_of_all_outputs_is_told() -> None:
    reference = [np.ones(2), np.ones(3)]
    results = [np.ones(2), np.ones(3) + 5e-11]
    found = check_outputs(results, reference, ["value", "gradient of x"], TOLERANCE)
    assert found == pytest.approx(5e-11, rel=1e-4)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.ones(3) + 1e-9, r"gradient of x differs .* by 1.0e-09.*1e-10 is allowed \(a reason\)"),
        (np.ones(4), r"gradient of x is float64\[4\].* reference is float64\[3\]"),
        (np.ones(3, np.float32), r"gradient of x is float32\[3\]"),
        (np.array([1.0, np.nan, 1.0]), r"gradient of x differs from the reference by inf"),
    ],
)
def test_mismatch_names_the_output(result: np.ndarray, message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        check_outputs([result], [np.ones(3)], ["gradient of x"], TOLERANCE)


def test_number_of_outputs() -> None:
    with pytest.raises(MismatchError, match="1 results, where the reference has 2"):
        check_outputs([1.0], [1.0, 2.0], ["value", "gradient of x"], TOLERANCE)
