"""Sums and orders without a derivative: segments, columns, running sums, sorting."""

from types import ModuleType
from typing import Any

import numpy as np

import tracer.numpy as tnp
from bench.gpu.case import Case, simple_workload
from bench.workload import Function, Inputs, Size, Tolerance, Work, value_only

VECTOR_SIZES = {
    "toy": {"n": 48},
    "tiny": {"n": 8_192},
    "medium": {"n": 2**20},
    "large": {"n": 2**26},
}
SEGMENT_SIZES = {
    "toy": {"n": 48, "segments": 5},
    "tiny": {"n": 8_192, "segments": 64},
    "medium": {"n": 2**20, "segments": 4_096},
    "large": {"n": 2**26, "segments": 65_536},
}
MATRIX_SIZES = {
    "toy": {"rows": 9, "columns": 5},
    "tiny": {"rows": 64, "columns": 128},
    "medium": {"rows": 1_024, "columns": 1_024},
    "large": {"rows": 65_536, "columns": 1_024},
}
IN_ANOTHER_ORDER = Tolerance(1e-11, "sums in another order")


def build_segment_sums(size: Size) -> Function:
    segments = size["segments"]

    def segment_sums(values: Any, index: Any) -> Any:
        totals = tnp.zeros(segments, values.dtype)
        np.add.at(totals, index, values)
        return totals

    return segment_sums


def jax_segment_sums(jax: ModuleType, size: Size) -> Function:
    segments = size["segments"]

    def segment_sums(values: Any, index: Any) -> Any:
        return jax.ops.segment_sum(values, index, segments)

    return segment_sums


def torch_segment_sums(torch: ModuleType, size: Size) -> Function:
    segments = size["segments"]

    def segment_sums(values: Any, index: Any) -> Any:
        return values.new_zeros(segments).index_add(0, index, values)

    return segment_sums


def segment_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    values = rng.random(size["n"], dtype=np.float32)
    return values, rng.integers(0, size["segments"], size["n"])


def segment_work(size: Size, itemsize: int) -> Work:
    """Reads values and their segments' numbers of 64 bits."""
    return Work(size["n"], size["n"] * (itemsize + 8.0) + itemsize * size["segments"])


def build_column_sums(size: Size) -> Function:
    def column_sums(x: Any) -> Any:
        return np.sum(x, axis=0)

    return column_sums


def torch_column_sums(torch: ModuleType, size: Size) -> Function:
    def column_sums(x: Any) -> Any:
        return torch.sum(x, 0)

    return column_sums


def matrix_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    return (rng.random((size["rows"], size["columns"]), dtype=np.float32),)


def column_work(size: Size, itemsize: int) -> Work:
    """Reads the matrix, writes a row."""
    elements = size["rows"] * size["columns"]
    return Work(elements, itemsize * (elements + float(size["columns"])))


def build_cumsum(size: Size) -> Function:
    def cumsum(x: Any) -> Any:
        return np.cumsum(x)

    return cumsum


def torch_cumsum(torch: ModuleType, size: Size) -> Function:
    def cumsum(x: Any) -> Any:
        return torch.cumsum(x, 0)

    return cumsum


def build_sort(size: Size) -> Function:
    def sort(x: Any) -> Any:
        return np.sort(x)

    return sort


def torch_sort(torch: ModuleType, size: Size) -> Function:
    def sort(x: Any) -> Any:
        return torch.sort(x).values

    return sort


def vector_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    return (rng.standard_normal(size["n"], dtype=np.float32),)


def vector_work(size: Size, itemsize: int) -> Work:
    """Reads a vector, writes one."""
    return Work(size["n"], 2.0 * itemsize * size["n"])


CASES = (
    Case(
        name="segment-sums",
        title="segment sums (scatter-add)",
        workload=simple_workload(
            "segment-sums",
            "sums of values by the numbers of their segments",
            make_inputs=segment_inputs,
            build=build_segment_sums,
            jax_build=jax_segment_sums,
            torch_build=torch_segment_sums,
            program=value_only("sums"),
            tolerance=IN_ANOTHER_ORDER,
            toy=SEGMENT_SIZES["toy"],
        ),
        program_name="program",
        sizes=SEGMENT_SIZES,
        work=segment_work,
        tolerance=Tolerance(2e-5, "a thousand terms, added one by one"),
        plain=True,
    ),
    Case(
        name="column-sums",
        title="column sums",
        workload=simple_workload(
            "column-sums",
            "the sum of each column of a matrix",
            make_inputs=matrix_inputs,
            build=build_column_sums,
            torch_build=torch_column_sums,
            program=value_only("sums"),
            tolerance=IN_ANOTHER_ORDER,
            toy=MATRIX_SIZES["toy"],
        ),
        program_name="program",
        sizes=MATRIX_SIZES,
        work=column_work,
        tolerance=Tolerance(2e-5, "partial sums of some hundred terms, added one by one"),
        plain=True,
    ),
    Case(
        name="cumsum",
        title="running sum",
        workload=simple_workload(
            "cumsum",
            "the running sum of a vector",
            make_inputs=vector_inputs,
            build=build_cumsum,
            torch_build=torch_cumsum,
            program=value_only("sums"),
            tolerance=IN_ANOTHER_ORDER,
            toy=VECTOR_SIZES["toy"],
        ),
        program_name="program",
        sizes=VECTOR_SIZES,
        work=vector_work,
        tolerance=Tolerance(1e-4, "each result has the errors of those before it"),
        plain=True,
    ),
    Case(
        name="sort",
        title="sort",
        workload=simple_workload(
            "sort",
            "a vector in ascending order",
            make_inputs=vector_inputs,
            build=build_sort,
            torch_build=torch_sort,
            program=value_only("sorted"),
            tolerance=Tolerance(0.0, "nothing is rounded"),
            toy=VECTOR_SIZES["toy"],
        ),
        program_name="program",
        sizes=VECTOR_SIZES,
        work=vector_work,
        tolerance=Tolerance(0.0, "nothing is rounded"),
        memory_bound=False,
        plain=True,
    ),
)
