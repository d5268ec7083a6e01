"""Kernels: matrix products by BLAS where they are large and of floating numbers, else by loops; and
Python functions, called back.
"""

from __future__ import annotations

from codegen.loops.errors import UnsupportedProgramError
from codegen.loops.nodes import (
    Call,
    Declare,
    Expression,
    Literal,
    Load,
    Loop,
    Operation,
    Reduce,
    Statement,
    Store,
    Variable,
    View,
)
from codegen.loops.operations import DType
from codegen.loops.sizes import Size, is_size
from codegen.render.llvm_emit import INT64, Emitter, element_type, real_literal, require_dtype
from codegen.render.llvm_product import ProductWriter
from kernels.callback import NOT_FINISHED
from kernels.matmul import BLAS_DTYPES

BLAS_FROM = 24**3
PREFIX = {"f4": "s", "f8": "d", "c8": "c", "c16": "z"}


class KernelWriter(ProductWriter):
    """Writes calls of kernels."""

    products = 0

    def call(self, call: Call) -> None:
        """A matrix product, or a Python function."""
        if call.kernel == "callback":
            self.call_back(call)
            return
        if call.kernel == "product":
            self.product(call)
            return
        if call.kernel != "matmul":
            raise UnsupportedProgramError(f"the llvm backend has no kernel {call.kernel}")
        result, (left, right) = call.results[0], call.operands
        dtype = result.buffer.dtype
        require_dtype(dtype)
        rows, depth = left.shape if len(left.shape) == 2 else (1, left.shape[0])
        columns = right.shape[1] if len(right.shape) == 2 else 1
        large = rows * depth * columns >= BLAS_FROM and min(rows, columns) > 1
        if dtype in BLAS_DTYPES and large:
            self.blas(result, left, right, (rows, columns, depth))
        else:
            self.products += 1
            self.block(product_loops(f"_matmul{self.products}", result, left, right))

    def call_back(self, call: Call) -> None:
        """`kernels.callback.call_back` with a table of addresses: status, results, operands."""
        pointers = []
        for view in (*call.results, *call.operands):
            require_dtype(view.buffer.dtype)
            pointers.append(self.address(view.buffer, self.forms.flat(view.buffer, view.indices)))
        self.line(f"store i64 {NOT_FINISHED}, ptr {pointers[0]}")
        table = self.hoisted(0, f"alloca [{len(pointers)} x ptr]")
        for position, pointer in enumerate(pointers):
            place = self.write(f"getelementptr ptr, ptr {table}, i64 {position}")
            self.line(f"store ptr {pointer}, ptr {place}")
        handle = call.params["handle"]
        assert isinstance(handle, int), "the program has been checked"
        self.declare("void @tracer_kernels_call_back(i64, ptr)")
        self.line(f"call void @tracer_kernels_call_back(i64 {handle:d}, ptr {table})")

    def blas(self, result: View, left: View, right: View, sizes: tuple[int, int, int]) -> None:
        """`gemm`, which counts columns first: so the operands change places."""
        rows, columns, depth = sizes
        pointers = [
            self.address(view.buffer, self.forms.flat(view.buffer, view.indices))
            for view in (left, right, result)
        ]
        flipped = [is_flipped(view) for view in (left, right, result)]
        if flipped[2]:
            first, second, m, n = 0, 1, rows, columns
            flags = [not flipped[0], not flipped[1]]
        else:
            first, second, m, n = 1, 0, columns, rows
            flags = [flipped[1], flipped[0]]
        # A leading dimension is the row length in memory.
        lengths = [
            view.buffer.shape[-1] if len(view.buffer.shape) - len(view.indices) == 2 else 1
            for view in (left, right, result)
        ]
        dtype = result.buffer.dtype
        one, zero = constant(self, dtype, 1), constant(self, dtype, 0)
        arguments = [
            *(character(self, "T" if flag else "N") for flag in flags),
            *(self.int_pointer(size) for size in (m, n, depth)),
            one,
            *(pointers[first], self.int_pointer(lengths[first])),
            *(pointers[second], self.int_pointer(lengths[second])),
            zero,
            *(pointers[2], self.int_pointer(lengths[2])),
        ]
        symbol = f"@tracer_blas_{PREFIX[dtype.str[1:]]}gemm"
        self.declare(f"void {symbol}({', '.join(['ptr'] * 13)})")
        self.line(f"call void {symbol}({', '.join(f'ptr {text}' for text in arguments)})")


    def int_pointer(self, value: int | Size) -> str:
        """A pointer to an int32: the table's entry is one of twice its length, lower half first."""
        if is_size(value):
            return self.entry_place(value)
        return constant(self, None, int(value))


def is_flipped(view: View) -> bool:
    """Whether a matrix is read with its axes exchanged."""
    return view.axes == (1, 0)


def character(emitter: Emitter, letter: str) -> str:
    """A pointer to a letter."""
    name = f"@letter_{letter}"
    emitter.out.constants[name] = f"{name} = private constant i8 {ord(letter)}"
    return name


def constant(emitter: Emitter, dtype: DType | None, value: int) -> str:
    """A pointer to a number: an int32 where no dtype is given."""
    if dtype is None:
        name, text = f"@int_{value}", f"i32 {value}"
    elif dtype.kind == "c":
        kind = element_type(dtype)
        number = real_literal(float(value), dtype.type(0).real.dtype)
        zero = real_literal(0.0, dtype.type(0).real.dtype)
        name = f"@number_{dtype.name}_{value}"
        text = f"{{ {kind}, {kind} }} {{ {kind} {number}, {kind} {zero} }}"
    else:
        name = f"@number_{dtype.name}_{value}"
        text = f"{element_type(dtype)} {real_literal(float(value), dtype)}"
    emitter.out.constants[name] = f"{name} = private constant {text}"
    return name


def product_loops(prefix: str, result: View, left: View, right: View) -> list[Statement]:
    """The product as loops: sums of products, and zeros where there is nothing to sum."""
    dtype = result.buffer.dtype
    row, column, inner = (Variable(f"{prefix}_{letter}", INT64) for letter in "ijk")
    left_indices = (row, inner) if len(left.shape) == 2 else (inner,)
    right_indices = (inner, column) if len(right.shape) == 2 else (inner,)
    result_indices: tuple[Expression, ...] = ()
    if len(left.shape) == 2:
        result_indices += (row,)
    if len(right.shape) == 2:
        result_indices += (column,)
    total = Variable(f"{prefix}_s", dtype)
    zero = {"b": False, "f": 0.0, "c": 0j}.get(dtype.kind, 0)
    product = Operation(
        "multiply", (element(left, left_indices), element(right, right_indices)), dtype
    )
    summed: tuple[Statement, ...] = (
        Declare(total.name, Literal(zero, dtype)),
        counting(inner, left.shape[-1], (Reduce(total.name, "add", product),), "reduce"),
        Store(result.buffer, positions(result, result_indices), total),
    )
    if len(right.shape) == 2:
        summed = (counting(column, right.shape[1], summed, "parallel"),)
    if len(left.shape) == 2:
        summed = (counting(row, left.shape[0], summed, "parallel"),)
    return list(summed)


def counting(index: Variable, extent: int, body: tuple[Statement, ...], kind: str) -> Statement:
    """A loop from 0."""
    return Loop(index.name, Literal(0, INT64), Literal(extent, INT64), body, kind)


def element(view: View, indices: tuple[Expression, ...]) -> Load:
    """One element of a view."""
    return Load(view.buffer, positions(view, indices))


def positions(view: View, indices: tuple[Expression, ...]) -> tuple[Expression, ...]:
    """The buffer's indices for indices of a view."""
    if view.axes is not None:
        places = dict(zip(view.axes, indices, strict=True))
        indices = tuple(places[axis] for axis in range(len(indices)))
    return (*view.indices, *indices)
