"""Products with bias and relu by a stand-in for cuBLASLt that decodes its structures."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codegen.cuda import library, products_lt
from codegen.cuda.products_lt import LtProducts, alignment
from codegen.cuda.routines import CudaRoutines
from codegen.loops.nodes import Buffer, Call, View
from tests.cuda.host_libraries import ARRAYS, BLAS, STREAM, cuda_routines, on_device
from tests.cuda.host_products import NOT_SUPPORTED, HostProducts, Told
from tests.cuda.host_routines import HostRoutines
from tests.helpers import Array
from tracer.errors import BackendError

DTYPES = ("f4", "f8", "f2")
TELLS = {"f4": (68, 0), "f8": (70, 1), "f2": (68, 0)}
"""What sums and factors are computed in, as the library numbers it: float32, float64."""
SHAPES = (((4, 3), (3, 5)), ((1, 3), (3, 2)), ((2, 4, 3), (2, 3, 5)), ((2, 4, 3), (3, 5)))


def numbers(dtype: str, *shape: int) -> Array:
    """Whole numbers, of which sums are exact."""
    return np.random.default_rng([7, *shape]).integers(-3, 4, shape).astype(dtype)


def aligned(array: Array) -> Array:
    """The array, of whatever layout, at an address as memory pools give them."""
    whole = array if array.base is None or array.flags.c_contiguous else array.base
    octets = np.empty(whole.nbytes + 256, np.uint8)
    start = -octets.ctypes.data % 256
    place = octets[start : start + whole.nbytes].view(whole.dtype).reshape(whole.shape)
    place[...] = whole
    return on_device(place if whole is array else place.swapaxes(-1, -2))


def library_call(result: Array, relu: bool) -> Call:
    view = View(Buffer("c", result.dtype, result.shape, "output"))
    return Call("matmul", (view,), (), {"relu": True} if relu else {})


class Machine:
    """The routines, and the stand-ins under them."""

    def __init__(self) -> None:
        self.host = HostRoutines()
        self.routines: CudaRoutines = cuda_routines(self.host)
        assert self.routines.products is not None
        self.lt: HostProducts = self.routines.products.library

    def multiply(self, left: Array, right: Array, bias: Array | None, relu: bool) -> Array:
        """relu(left @ right + bias), into memory of NaN."""
        due = left @ right
        result = aligned(np.full(due.shape, np.nan, due.dtype))
        operands = [left, right] if bias is None else [left, right, bias]
        given = [aligned(operand) for operand in operands]
        library.run_call(library_call(result, relu), [result], given, ARRAYS, self.routines)
        return np.asarray(result)


def expected(left: Array, right: Array, bias: Array | None, relu: bool) -> Array:
    due = left @ right if bias is None else left @ right + bias
    return np.maximum(due, 0) if relu else due


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("has_bias", "relu"), [(True, False), (False, True), (True, True)])
def test_one_call_does_all(dtype: str, has_bias: bool, relu: bool) -> None:
    for first, second in SHAPES:
        machine = Machine()
        left, right = numbers(dtype, *first), numbers(dtype, *second)
        bias = numbers(dtype, second[-1]) if has_bias else None
        for flipped in (left, np.ascontiguousarray(left.swapaxes(-1, -2)).swapaxes(-1, -2)):
            found = machine.multiply(flipped, right, bias, relu)
            np.testing.assert_array_equal(found, expected(left, right, bias, relu))
        told = Told(4 * has_bias + 2 * relu, *TELLS[dtype])
        assert set(machine.lt.asked) == {told}
        # The first call of each plan with relu looks what becomes of NaN.
        assert len(machine.lt.asked) == 2 + (machine.lt.plans if relu else 0)


def test_a_bias_belongs_to_columns_of_the_product() -> None:
    left, right = np.zeros((2, 3)), np.zeros((3, 4))
    found = Machine().multiply(left, right, np.arange(4.0), False)
    np.testing.assert_array_equal(found, [[0, 1, 2, 3], [0, 1, 2, 3]])


@pytest.mark.parametrize("keeps_nan", [True, False])
def test_nan_stays(keeps_nan: bool) -> None:
    """Where the library's relu loses it, NumPy's is taken after the product with its bias."""
    machine = Machine()
    machine.lt.keeps_nan = keeps_nan
    left, right, bias = numbers("f4", 3, 3), numbers("f4", 3, 4), numbers("f4", 4)
    left[1] = np.nan
    for _ in range(2):
        found = machine.multiply(left, right, bias, True)
        np.testing.assert_array_equal(found, expected(left, right, bias, True))
    epilogues = [told.epilogue for told in machine.lt.asked]
    assert epilogues == ([6, 6, 6] if keeps_nan else [6, 4, 4])


def test_relu_alone_that_loses_nan_is_not_asked_for() -> None:
    machine = Machine()
    machine.lt.keeps_nan = False
    left, right = numbers("f4", 3, 3), numbers("f4", 3, 4)
    left[2] = np.nan
    for _ in range(2):
        found = machine.multiply(left, right, None, True)
        np.testing.assert_array_equal(found, expected(left, right, None, True))
    assert [told.epilogue for told in machine.lt.asked] == [2]
    assert machine.host.asked == ["gemm"] * 3


def test_in_a_graph_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that is first met while a graph is captured leaves relu to the caller."""
    machine = Machine()
    left, right, bias = numbers("f4", 3, 3), numbers("f4", 3, 4), numbers("f4", 4)
    monkeypatch.setattr(STREAM, "is_capturing", lambda: True)
    found = machine.multiply(left, right, bias, True)
    np.testing.assert_array_equal(found, expected(left, right, bias, True))
    assert [told.epilogue for told in machine.lt.asked] == [4]
    monkeypatch.setattr(STREAM, "is_capturing", lambda: False)
    machine.multiply(left, right, bias, True)
    assert [told.epilogue for told in machine.lt.asked] == [4, 6, 6]
    monkeypatch.setattr(STREAM, "is_capturing", lambda: True)
    machine.multiply(left, right, bias, True)
    assert [told.epilogue for told in machine.lt.asked][3:] == [6]


@pytest.mark.parametrize("refuses", [{4}, {6}, {4, 6}], ids=str)
def test_what_the_library_has_no_algorithm_for(refuses: set[int]) -> None:
    machine = Machine()
    machine.lt.refuses = refuses
    left, right, bias = numbers("f8", 3, 3), numbers("f8", 3, 4), numbers("f8", 4)
    for relu in (False, True):
        for _ in range(2):
            found = machine.multiply(left, right, bias, relu)
            np.testing.assert_array_equal(found, expected(left, right, bias, relu))
    assert refuses.isdisjoint(told.epilogue for told in machine.lt.asked)
    assert machine.lt.plans == 2


def test_a_product_that_fails_is_gemms() -> None:
    machine = Machine()
    machine.lt.fails = NOT_SUPPORTED
    left, right, bias = numbers("f8", 3, 3), numbers("f8", 3, 4), numbers("f8", 4)
    for _ in range(2):
        found = machine.multiply(left, right, bias, False)
        np.testing.assert_array_equal(found, expected(left, right, bias, False))
    assert machine.host.asked == ["gemm", "gemm"]
    assert machine.lt.plans == 1


def test_without_the_library() -> None:
    machine = Machine()
    machine.routines.products = None
    left, right, bias = numbers("f8", 3, 3), numbers("f8", 3, 4), numbers("f8", 4)
    left[0] = np.nan
    found = machine.multiply(left, right, bias, True)
    np.testing.assert_array_equal(found, expected(left, right, bias, True))
    assert machine.host.asked == ["gemm"]


def test_nothing_to_add_up() -> None:
    found = Machine().multiply(np.ones((2, 0)), np.ones((0, 3)), np.array([-1.0, 0.0, 2.0]), True)
    np.testing.assert_array_equal(found, [[0, 0, 2], [0, 0, 2]])


def test_plans_are_kept_for_what_they_are_made_for() -> None:
    machine = Machine()
    left, right = numbers("f4", 4, 3), numbers("f4", 3, 5)
    memory = on_device(np.zeros(64, "f4"))
    start = -memory.data.ptr // 4 % 64 % 16
    for count, first in ((1, start), (1, start), (2, start + 1), (3, start + 2), (3, start + 2)):
        bias = memory[first : first + 5]
        bias[...] = first
        result = on_device(np.empty((4, 5), "f4"))
        call = library_call(result, False)
        operands = [on_device(left), on_device(right), bias]
        library.run_call(call, [result], operands, ARRAYS, machine.routines)
        np.testing.assert_array_equal(np.asarray(result), left @ right + np.float32(first))
        # Memory of the others may be anywhere.
        assert len({shape.alignments[3] for shape in machine.routines.products.plans}) == count


@pytest.mark.parametrize("relu", [False, True])
def test_rows_beyond_what_the_library_counts(relu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of the rows, or of the sums; anything else that is too large is said."""
    monkeypatch.setattr(library, "MOST", 5)
    bias = numbers("f8", 4)
    for rows, depth in ((12, 3), (3, 12), (7, 6)):
        left, right = numbers("f8", rows, depth), numbers("f8", depth, 4)
        for row in (None, bias):
            machine = Machine()
            found = machine.multiply(left, right, row, relu)
            np.testing.assert_array_equal(found, expected(left, right, row, relu))
    wide = on_device(numbers("f8", 3, 12))  # rows are farther apart than the library counts
    assert library.layout_of(wide[:, :4], ()) is None
    for shapes in (((2, 3), (3, 6)), ((6, 2, 2), (6, 2, 2)), ((1, 6, 2), (2, 2))):
        operands = [numbers("f8", *shape) for shape in shapes]
        with pytest.raises(BackendError, match="counts with 32 bits: a product of"):
            Machine().multiply(*operands, None, False)


def test_alignments() -> None:
    assert [alignment(place) for place in (0, 1, 12, 96, 256, 4096, 3 * 512)] == [
        *(0, 1, 4, 32, 256, 256, 256)
    ]


def test_which_library_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one with the structures that are known, and none where there is none."""

    def loaded(version: int) -> Any:
        return lambda path: SimpleNamespace(cublasLtGetVersion=lambda: version)

    found = SimpleNamespace(load_nvidia_dynamic_lib=lambda name: SimpleNamespace(abs_path=name))
    monkeypatch.setattr(products_lt.importlib, "import_module", lambda name: found)
    monkeypatch.setattr(products_lt.ctypes, "CDLL", loaded(140_000))
    assert products_lt.find_library() is None

    def missing(name: str) -> Any:
        raise RuntimeError(f"no {name}")

    monkeypatch.setattr(found, "load_nvidia_dynamic_lib", missing)
    assert products_lt.find_library() is None


def test_a_call_is_told_by_name() -> None:
    result = np.empty((2, 2))
    for relu, has_bias in itertools.product((False, True), (False, True)):
        call = library_call(result, relu)
        row = View(Buffer("b", result.dtype, (2,), "input"))
        operand = View(Buffer("a", result.dtype, (2, 2), "input"))
        operands = (operand, operand, row) if has_bias else (operand, operand)
        call = Call(call.kernel, call.results, operands, call.params)
        parts = [name for name, there in (("bias", has_bias), ("relu", relu)) if there]
        due = f"cuBLASLt matmul with {' and '.join(parts)}" if parts else "cuBLAS gemm"
        assert library.describe_call(call) == due
        assert library.allows_capture(call)


def test_the_stand_in_refuses_other_sizes() -> None:
    products = LtProducts(ARRAYS, HostProducts(HostRoutines(), BLAS))
    plan = products_lt.Plan()
    products._ask("MatmulDescInit_internal", plan.desc, products_lt._size(plan.desc), 68, 0)
    with pytest.raises(products_lt.LtError, match="status 7"):
        products._describe(plan, products_lt.EPILOGUE, products_lt.ctypes.c_uint64(4))
