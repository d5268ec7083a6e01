"""What a workload is: a plain NumPy function, inputs for it, and what is asked about them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bench.context import Context
    from bench.results import Measurement

Function = Callable[..., Any]
Size = Mapping[str, int]
Inputs = tuple[Any, ...]


@dataclass(frozen=True)
class Differentiation:
    """One library's derivatives under common names, for programs that any of them can run.

    `value_and_grad(f, argnums)` gives a function that returns `(value, tuple of gradients)`;
    `elementwise_grad(f, argnum)` one that returns the derivative of each result by its own element.
    """

    value_and_grad: Callable[[Function, tuple[int, ...]], Function]
    elementwise_grad: Callable[[Function, int], Function]
    repeat: Callable[[int, Function, Any], Any]
    """`repeat(count, step, state)` is `step` applied `count` times, by the library's own loop."""
    batched_jacobian: Callable[[Function, tuple[int, ...]], Function] | None = None
    """`batched_jacobian(f, argnums)`: Jacobians of a function of one item, for a batch of items
    along the first axis of every argument. None where a library has no `vmap`."""


@dataclass(frozen=True)
class Program:
    """What is computed of a workload's function: `make` combines it with a library's derivatives.

    The function that `make` returns takes the workload's inputs and returns a tuple of arrays, one
    for each name in `outputs`. A program of gradients says by `argnums` which inputs have the
    shapes of all outputs but the first, which is a scalar. `build` and `torch_build` replace the
    workload's where a program starts from another function of the same inputs.
    """

    outputs: tuple[str, ...]
    make: Callable[[Differentiation, Function], Function]
    argnums: tuple[int, ...] = ()
    needs_batching: bool = False
    build: Callable[[Mapping[str, int]], Function] | None = None
    torch_build: Callable[[ModuleType, Mapping[str, int]], Function] | None = None


@dataclass(frozen=True)
class Work:
    """The least that a program has to do, whatever its code looks like.

    `flops` counts additions and multiplications, and a division, a square root or a function value
    (exp, sin, …) as `bench.limits.FUNCTION_FLOPS` of them; `bytes` is what has to be read and
    written at least once: inputs, results, and what the way back needs of the way there where that
    is too large to be computed twice.
    """

    flops: float
    bytes: float


@dataclass(frozen=True)
class Tolerance:
    """The largest difference from the reference, relative to its largest element; and why."""

    relative: float
    reason: str


@dataclass(frozen=True)
class Workload:
    """A benchmark: everything about it that a subject or the command line needs.

    `build(size)` returns the function in plain NumPy; it is a module-level function, because peers
    that need their own namespace run the same source with `np` and `special` bound to theirs.
    `torch_build(torch, size)` is the same function for PyTorch, whose names differ, and
    `handwritten` maps a program to a builder of a version written by hand for `numba.njit`.
    """

    name: str
    description: str
    sizes: Mapping[str, Size]
    smoke: Size
    make_inputs: Callable[[Size, np.random.Generator], Inputs]
    build: Callable[[Size], Function]
    programs: Mapping[str, Program]
    tolerance: Tolerance
    default_sizes: tuple[str, ...] = ("medium",)
    torch_build: Callable[[ModuleType, Size], Function] | None = None
    jax_build: Callable[[ModuleType, Size], Function] | None = None
    """The same function for JAX, where its own loops or updates have to stand in the source. Such a
    workload cannot run on peers that take NumPy source as it is."""
    handwritten: Mapping[str, Callable[[Size], Function]] = field(default_factory=dict)
    cpp: Mapping[str, str] = field(default_factory=dict)
    """For a program the name of its C++ file in `bench/native/`, gradient written by hand."""
    reference: Mapping[str, Callable[[Size], Function]] = field(default_factory=dict)
    """For a program a version written by hand in plain NumPy, derivative included, where the
    reference backend would take minutes; it then stands in for that. Tests compare the two."""
    work: Mapping[str, Callable[[Size], Work]] = field(default_factory=dict)
    """The least work of a program, for its share of what the machine can do."""
    tiny: Size | None = None
    """The smallest size, at which a call costs little but the call itself; by default `smoke`."""
    prologue: "Callable[[Context], None] | None" = None
    measure: "Callable[[Context, str, Size], list[Measurement]] | None" = None
    """Replaces the usual measurement, for workloads that measure something else than calls."""


def gradient(names: Mapping[int, str]) -> Program:
    """The value of a scalar function and its gradient by the arguments at the given positions."""
    argnums = tuple(names)

    def make(differentiation: Differentiation, function: Function) -> Function:
        value_and_grad = differentiation.value_and_grad(function, argnums)

        def value_and_gradient(*arguments: Any) -> tuple[Any, ...]:
            value, gradients = value_and_grad(*arguments)
            return (value, *gradients)

        return value_and_gradient

    outputs = ("value", *(f"gradient of {name}" for name in names.values()))
    return Program(outputs, make, argnums)


def value_only(name: str) -> Program:
    """The function's own result, without a derivative."""

    def make(differentiation: Differentiation, function: Function) -> Function:
        def value(*arguments: Any) -> tuple[Any, ...]:
            return (function(*arguments),)

        return value

    return Program((name,), make)
