"""Small loop programs, written by hand, that the tests of the loop language and renderers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from codegen.loops.build import cast, index, integer, literal, loop, operation
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Check,
    Declare,
    ErrorMessage,
    Expression,
    If,
    Let,
    Load,
    Loop,
    Program,
    Reduce,
    Reserve,
    Store,
    Update,
    Variable,
    View,
    While,
)

FLOAT = np.dtype(np.float64)
SINGLE = np.dtype(np.float32)
INT = np.dtype(np.int64)

Array = np.ndarray[Any, np.dtype[Any]]
i, j, k = index("i"), index("j"), index("k")


def real(value: float) -> Expression:
    """A float64 literal."""
    return literal(value, FLOAT)


def scalar(name: str, dtype: np.dtype[Any] = FLOAT) -> Variable:
    """A float64 scalar of the program."""
    return Variable(name, dtype)


def buffer(name: str, shape: tuple[int, ...], role: str, dtype: Any = FLOAT) -> Buffer:
    """A buffer that is not a constant."""
    return Buffer(name, np.dtype(dtype), shape, role)


def constant(name: str, value: Array) -> Buffer:
    """A constant buffer."""
    return Buffer(name, value.dtype, value.shape, "constant", value)


def softmax() -> Program:
    """Rows of a 5×7 matrix: a maximum, a sum, a quotient; the exponentials in workspace."""
    x, y = buffer("x", (5, 7), "input"), buffer("y", (5, 7), "output")
    w = buffer("w", (7,), "workspace")
    shifted = operation("exp", operation("subtract", Load(x, (i, j)), scalar("top")))
    body = loop(
        "i",
        5,
        Declare("top", real(-np.inf)),
        loop("j", 7, Reduce("top", "maximum", Load(x, (i, j))), kind="reduce"),
        Declare("total", real(0.0)),
        loop(
            "j",
            7,
            Let("e", shifted),
            Store(w, (j,), scalar("e")),
            Reduce("total", "add", scalar("e")),
            kind="reduce",
        ),
        loop("j", 7, Store(y, (i, j), operation("divide", Load(w, (j,)), scalar("total")))),
        kind="serial",
    )
    return Program("softmax", (x,), (y,), (), (w,), (body,))


def affine() -> Program:
    """relu(x @ weights.T + bias), a kernel call on transposed constants, and the batch of it."""
    rng = np.random.default_rng(0)
    x, y = buffer("x", (2, 3, 4), "input"), buffer("y", (2, 3, 5), "output")
    weights = constant("weights", rng.normal(size=(5, 4)))
    bias = constant("bias", rng.normal(size=5))
    w = buffer("w", (2, 3, 5), "workspace")
    total = operation("add", Load(w, (i, j, k)), Load(bias, (k,)))
    body = (
        loop("i", 2, Call("matmul", (View(w, (i,)),), (View(x, (i,)), View(weights, (), (1, 0))))),
        loop(
            "i",
            2,
            loop(
                "j",
                3,
                loop("k", 5, Store(y, (i, j, k), operation("maximum", total, real(0.0)))),
            ),
        ),
    )
    return Program("affine", (x,), (y,), (weights, bias), (w,), body)


def scatter() -> Program:
    """y = zeros(6); y[places] += values, with places checked."""
    places, values = buffer("places", (8,), "input", INT), buffer("values", (8,), "input")
    y = buffer("y", (6,), "output")
    inside = operation(
        "logical_and",
        operation("greater_equal", scalar("place", INT), integer(0)),
        operation("less", scalar("place", INT), integer(6)),
    )
    body = (
        loop("i", 6, Store(y, (i,), real(0.0))),
        loop(
            "i",
            8,
            Let("place", Load(places, (i,))),
            Check(inside, 0, (scalar("place", INT), i)),
            Update(y, (scalar("place", INT),), "add", Load(values, (i,))),
            kind="serial",
        ),
    )
    message = ErrorMessage("IndexError", "index {0} at position {1} is out of bounds", "user.py:3")
    return Program("scatter", (places, values), (y,), (), (), body, (message,))


def newton() -> Program:
    """The square root of each x by Newton's method until it stands still; NaN for negative x."""
    x, y = buffer("x", (6,), "input"), buffer("y", (6,), "output")
    steps = buffer("steps", (6,), "output", INT)
    value = Load(x, (i,))
    better = operation(
        "multiply",
        real(0.5),
        operation("add", scalar("root"), operation("divide", value, scalar("root"))),
    )
    iterate = While(
        (
            Let("next", better),
            Let(
                "change",
                operation("absolute", operation("subtract", scalar("next"), scalar("root"))),
            ),
        ),
        operation("greater", scalar("change"), operation("multiply", real(1e-14), scalar("root"))),
        (
            Assign("root", better),
            Assign("count", operation("add", scalar("count", INT), integer(1))),
        ),
    )
    body = loop(
        "i",
        6,
        Declare("count", integer(0)),
        Declare("root", operation("maximum", value, real(1.0))),
        If(
            operation("less", value, real(0.0)),
            (Assign("root", real(np.nan)),),
            (iterate,),
        ),
        Store(y, (i,), scalar("root")),
        Store(steps, (i,), scalar("count", INT)),
    )
    return Program("newton", (x,), (y, steps), (), (), (body,))


def padded() -> Program:
    """x shifted by two with zeros before it: the load in the branch not taken is out of range."""
    x, y = buffer("x", (6,), "input"), buffer("y", (9,), "output")
    source = operation("subtract", i, integer(2))
    inside = operation(
        "logical_and",
        operation("greater_equal", i, integer(2)),
        operation("less", i, integer(8)),
    )
    body = loop("i", 9, Store(y, (i,), operation("select", inside, Load(x, (source,)), real(0.0))))
    return Program("padded", (x,), (y,), (), (), (body,))


def prefix() -> Program:
    """Running sums from both ends, in float32, the backward one by a loop in reverse."""
    x = buffer("x", (7,), "input", SINGLE)
    forward = buffer("forward", (7,), "output", SINGLE)
    backward = buffer("backward", (7,), "output", SINGLE)
    zero = literal(0.0, SINGLE)

    def run(name: str, target: Buffer) -> tuple[Assign, Store]:
        total = scalar(name, SINGLE)
        return (
            Assign(name, operation("add", total, Load(x, (i,)))),
            Store(target, (i,), total),
        )

    body = (
        Declare("up", zero),
        loop("i", 7, *run("up", forward), kind="serial"),
        Declare("down", zero),
        Loop("i", integer(0), integer(7), run("down", backward), "serial", reverse=True),
    )
    return Program("prefix", (x,), (forward, backward), (), (), body)


def statistics() -> Program:
    """Sum, product, maximum, minimum of a matrix, and whether any and all are positive."""
    x = buffer("x", (6, 9), "input")
    y = buffer("y", (4,), "output")
    flags = buffer("flags", (2,), "output", np.bool_)
    value = Load(x, (i, j))
    positive = operation("greater", value, real(0.0))
    names = {"add": 0.0, "multiply": 1.0, "maximum": -np.inf, "minimum": np.inf}
    declared = [Declare(f"by_{name}", real(first)) for name, first in names.items()]
    declared += [
        Declare("any", literal(False, np.dtype(np.bool_))),
        Declare("all", literal(True, np.dtype(np.bool_))),
    ]
    reduced = [Reduce(f"by_{name}", name, value) for name in names]
    reduced += [Reduce("any", "logical_or", positive), Reduce("all", "logical_and", positive)]
    stored = [
        Store(y, (integer(position),), scalar(f"by_{name}")) for position, name in enumerate(names)
    ]
    stored += [
        Store(flags, (integer(position),), scalar(name, np.dtype(np.bool_)))
        for position, name in enumerate(("any", "all"))
    ]
    nest = loop("i", 6, loop("j", 9, *reduced, kind="reduce"), kind="reduce")
    return Program("statistics", (x,), (y, flags), (), (), (*declared, nest, *stored))


def collatz() -> Program:
    """The Collatz sequence of n on growing tapes, then back: its sum, its length, odd members."""
    n, y = buffer("n", (), "input", INT), buffer("y", (3,), "output", INT)
    values = buffer("values", (-1, 2), "workspace", INT)
    odd = buffer("odd", (-1,), "workspace", np.bool_)
    count, value = scalar("count", INT), scalar("value", INT)
    more = operation("add", count, integer(1))
    is_odd = operation("equal", operation("remainder", value, integer(2)), integer(1))
    tripled = operation("add", operation("multiply", integer(3), value), integer(1))
    halved = operation("floor_divide", value, integer(2))
    forward = While(
        (),
        operation("greater", value, integer(1)),
        (
            Reserve(values, more),
            Reserve(odd, more),
            Store(values, (count, integer(1)), value),
            Store(odd, (count,), is_odd),
            Assign("value", operation("select", is_odd, tripled, halved)),
            Assign("count", more),
        ),
    )
    backward = Loop(
        "i",
        integer(0),
        count,
        (
            Assign("total", operation("add", scalar("total", INT), Load(values, (i, integer(1))))),
            If(
                Load(odd, (i,)),
                (Assign("odds", operation("add", scalar("odds", INT), integer(1))),),
            ),
        ),
        "serial",
        reverse=True,
    )
    stores = [
        Store(y, (integer(place),), scalar(name, INT))
        for place, name in enumerate(("total", "count", "odds"))
    ]
    declared = (Declare("count", integer(0)), Declare("value", Load(n, ())))
    sums = (Declare("total", integer(0)), Declare("odds", integer(0)))
    body = (*declared, forward, *sums, backward, *stores)
    return Program("collatz", (n,), (y,), (), (values, odd), body)


def mixed() -> Program:
    """Scalars (0-d), empty arrays, index values as numbers, and names that Python reserves."""
    x = buffer("lambda", (), "input")
    y = buffer("np", (3, 4), "output")
    empty = buffer("empty", (0, 3), "output")
    number = cast(operation("add", operation("multiply", i, integer(10)), j), FLOAT)
    body = (
        Let("range", operation("sqrt", Load(x, ()))),
        loop("i", 3, loop("j", 4, Store(y, (i, j), operation("add", number, scalar("range"))))),
        loop("i", 0, loop("j", 3, Store(empty, (i, j), real(1.0)))),
    )
    return Program("mixed", (x,), (y, empty), (), (), body)


def matrix_reduction(name: str, dtype: type, first: complex) -> Program:
    """y[()] = reduction of a 40×25 matrix, beginning with `first`, in two nested loops."""
    kind = np.dtype(dtype)
    x = Buffer("x", kind, (40, 25), "input")
    y = Buffer("y", kind, (), "output")
    start = cast(real(first.real), kind) if kind.kind != "f" else literal(first, kind)
    nest = loop(
        "i", 40, loop("j", 25, Reduce("s", name, Load(x, (i, j))), kind="reduce"), kind="reduce"
    )
    body = (Declare("s", start), nest, Store(y, (), scalar("s", kind)))
    return Program(name, (x,), (y,), (), (), body)


RNG = np.random.default_rng(2)
PROGRAMS: dict[str, tuple[Callable[[], Program], list[Array]]] = {
    "softmax": (softmax, [RNG.normal(size=(5, 7))]),
    "affine": (affine, [RNG.normal(size=(2, 3, 4))]),
    "scatter": (scatter, [np.array([0, 5, 5, 1, 0, 0, 2, 5]), RNG.normal(size=8)]),
    "newton": (newton, [np.array([0.25, 2.0, 1.0, -1.0, 100.0, 1e-3])]),
    "padded": (padded, [RNG.normal(size=6)]),
    "prefix": (prefix, [RNG.normal(size=7).astype(np.float32)]),
    "statistics": (statistics, [RNG.normal(size=(6, 9))]),
    "collatz": (collatz, [np.array(27)]),
    "mixed": (mixed, [np.array(2.25)]),
}
"""Each program, with inputs."""
