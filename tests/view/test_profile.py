"""Profiles: every kernel of every kind of program is there, with its lines and costs, and what is
measured computes the same.
"""

from __future__ import annotations

import functools
import math
from xml.etree import ElementTree

import numpy as np
import pytest

import tracer
from tracer import backend, tree
from tracer.__main__ import main
from tracer.errors import BackendError, CallbackError, NotAnArrayError
from tracer.view import Kernel, Limits, Profile, machine_limits, profile
from tracer.view.profile import duration
from tracer.view.profile_page import grouped
from tracer.view.roofline import points_of

LIMITS = Limits(5e10, 1e11, {2**14: 1e11, 2**18: 8e10, 2**22: 5e10, 2**26: 1e10})
RANDOM = np.random.default_rng(0)
X, W, B = RANDOM.normal(size=(1000, 64)), RANDOM.normal(size=(64, 64)), RANDOM.normal(size=64)


def network(w, b, x):
    hidden = np.tanh(x @ w + b)
    return (hidden * hidden).sum()


def two_lines(x):
    mean = x.sum() / x.size
    return np.exp(x - mean)


def train(w, x):
    def step(_, w):
        return w - 1e-3 * tracer.grad(lambda w: np.tanh(x @ w).sum())(w)

    return tracer.fori_loop(0, 7, step, w)


def newton(x):
    return tracer.while_loop(
        lambda c: abs(c * c - x).max() > 1e-9, lambda c: (c + x / c) / 2, np.ones_like(x)
    )


def taped(x):
    return tracer.while_loop(lambda c: c.sum() < 100.0, lambda c: c * np.exp(0.1 * c), x).sum()


def branched(x):
    return tracer.cond(x.sum() > 0, lambda x: np.sin(x) @ W, lambda x: x @ W + 1, x)


def long(x):
    return functools.reduce(lambda x, k: np.sin(x[::-1]) + x * x.sum() / (k + 1), range(300), x)


def recurrence(x):
    return tracer.scan(lambda c, row: (np.tanh(W @ c + row), c.sum()), B, x)


doubled = tracer.primitive(
    lambda x: 2 * x, out=tracer.array_type(64), vjp=lambda args, out, ct: (2 * ct,)
)
CASES = {
    "elementwise": (lambda x: np.sin(x) * x, (X,)),
    "two kernels": (two_lines, (X,)),
    "network": (network, (W, B, X)),
    "gradient": (tracer.grad(network, (0, 1)), (W, B, X)),
    "float32": (network, tuple(part.astype(np.float32) for part in (W, B, X))),
    "complex": (lambda x: np.exp(1j * x) @ W, (X,)),
    "numbers": (lambda a, b: np.sin(a) * b, (2.0, 3.0)),
    "nothing to do": (lambda x: x, (X,)),
    "no elements": (lambda x: np.exp(x) + 1, (np.zeros((0, 3)),)),
    "integers": (lambda x: x * x + 1, (np.arange(10),)),
    "counted loop": (train, (W, X)),
    "while": (newton, (abs(X) + 1,)),
    "tape": (tracer.grad(taped), (abs(B),)),
    "branch": (branched, (X,)),
    "sections": (long, (B,)),
    "scan": (tracer.grad(lambda x: recurrence(x)[1].sum()), (X,)),
    "routines": (lambda a, b: np.linalg.solve(a, b), (W, B)),
    "order": (lambda x: np.sort(x, axis=0), (X,)),
    "pytree": (lambda p: {"s": p["a"][0] + p["a"][1]}, ({"a": (X, X)},)),
    "callback": (lambda x: doubled(np.sin(x)).sum(), (B,)),
    "strided": (lambda x: x.sum(0), (X[::2, ::2],)),
}


def kernels_of(f, args):
    return profile(f, *args, seconds=0.0, calls=2, limits=LIMITS)


@pytest.mark.parametrize("name", CASES)
def test_what_is_measured_computes_the_same(name):
    f, args = CASES[name]
    function = tracer.jit(f, parallel=False, backend="llvm")
    graph = function.trace(*args).graph
    inputs = [np.asarray(leaf) for leaf in tree.leaves(args)]
    outputs = backend.profile(graph, inputs, 0.0, 2).outputs
    for one, other in zip(outputs, tree.leaves(function(*args)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", CASES)
def test_kernels_are_parts_of_the_whole(name):
    f, args = CASES[name]
    found = kernels_of(f, args)
    assert isinstance(found, Profile)
    assert found.calls >= 2
    assert [kernel.number for kernel in found.kernels] == [*range(1, len(found.kernels) + 1)]
    assert all(kernel.seconds >= 0 and kernel.visits >= 0 for kernel in found.kernels)
    assert sum(kernel.share for kernel in found.kernels) <= 1 + 1e-9
    assert found.seconds >= max((kernel.seconds for kernel in found.kernels), default=0.0)
    assert all(kernel.bound in ("compute", "memory") for kernel in found.kernels if kernel.exact)
    assert all(math.isnan(k.gflops) for k in found.kernels if not k.exact)


@pytest.mark.parametrize("name", ["elementwise", "two kernels", "network", "gradient", "numbers"])
def test_operations_are_those_of_cost(name):
    f, args = CASES[name]
    found = kernels_of(f, args)
    cost = tracer.jit(f, backend="llvm").lower(*args).compile().cost()
    assert all(kernel.exact for kernel in found.kernels)
    assert sum(kernel.flops for kernel in found.kernels) == cost["flops"]
    if all(kernel.visits == 1 for kernel in found.kernels):
        assert sum(kernel.bytes for kernel in found.kernels) == cost["bytes"]


def test_costs_of_one_loop():
    (kernel,) = kernels_of(lambda x: np.sin(x) * x + 1, (X,)).kernels
    assert (kernel.flops, kernel.bytes, kernel.visits) == (3 * X.size, 16 * X.size, 1)
    assert (kernel.width, kernel.bound) == (8, "memory")
    assert kernel.limit == 16 * X.size / LIMITS.bandwidth(16 * X.size)
    assert kernel.name == "loop over 1000×64: sin, multiply, add"
    (single,) = kernels_of(lambda x: np.sin(x), (X.astype(np.float32),)).kernels
    assert (single.width, single.bytes) == (4, 8 * X.size)


def test_a_matrix_product_is_bound_by_computing():
    product = next(k for k in kernels_of(np.matmul, (W, W)).kernels if "product" in k.name)
    assert product.name == "matrix product 64×64×64"
    assert (product.flops, product.bytes) == (2 * 64**3, 3 * 64 * 64 * 8)
    assert product.bound == "compute"
    assert product.limit == 2 * 64**3 / LIMITS.flops64


def test_the_users_lines():
    first, second = kernels_of(two_lines, (X,)).kernels
    assert [line.text for line in first.lines] == ["mean = x.sum() / x.size"]
    assert "return np.exp(x - mean)" in [line.text for line in second.lines]
    assert {line.function for line in (*first.lines, *second.lines)} == {"two_lines"}
    assert all(line.place.startswith("test_profile.py:") for line in second.lines)
    assert "reduce_sum" in [node.primitive.name for node in first.nodes]
    assert "exp" in [node.primitive.name for node in second.nodes]


def test_the_parts_of_a_loop_are_kernels():
    kernels = kernels_of(train, (W, X)).kernels
    products = [kernel for kernel in kernels if "product" in kernel.name]
    assert {kernel.visits % 7 for kernel in products} == {0}
    assert sum(kernel.flops for kernel in products) == 7 * 2 * 2 * X.size * 64
    assert all("tracer.grad" in line.text for kernel in products for line in kernel.lines)


def test_a_loop_of_small_parts_is_one_kernel():
    kernels = kernels_of(taped, (abs(B[:4]),)).kernels
    loops = [kernel for kernel in kernels if kernel.name.startswith("loop while")]
    assert len(loops) == 1
    assert (loops[0].visits, loops[0].exact) == (1, False)
    assert any("tracer.while_loop" in line.text for line in loops[0].lines)


def test_only_the_branch_that_is_taken_runs():
    visits = [kernel.visits for kernel in kernels_of(branched, (abs(X),)).kernels]
    assert 0 in visits
    assert 1 in visits


def test_the_table():
    found = kernels_of(two_lines, (X,))
    text = str(found)
    assert text.startswith(f"two_lines: {duration(found.seconds)}, the least of ")
    assert "the rest of the call" in text
    assert "mean = x.sum() / x.size" in text
    assert repr(found) == "<Profile of two_lines: 2 kernels>"


@pytest.mark.parametrize("name", CASES)
def test_the_page_is_whole(name):
    f, args = CASES[name]
    found = kernels_of(f, args)
    page = found.html()
    assert page.startswith("<!DOCTYPE html>")
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    for part in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + part.partition("</svg>")[0] + "</svg>")
    assert page.count('class="point"') == len(points_of(found.kernels))
    assert page.count('class="mark"') == len(found.kernels)
    assert found._repr_html_() in page
    ordered = [kernel for group in grouped(found.kernels) for kernel in group.kernels]
    assert sorted(kernel.number for kernel in ordered) == [k.number for k in found.kernels]


def test_points_lie_under_the_roof_where_the_machine_allows_no_more():
    (kernel,) = kernels_of(lambda x: np.sin(x), (X,)).kernels
    assert isinstance(kernel, Kernel)
    ((_, intensity, flops),) = points_of([kernel])
    assert intensity == 1 / 16
    assert flops == pytest.approx(kernel.gflops * 1e9, rel=1e-12)


def test_jitted_functions_are_profiled_with_what_they_are_jitted_with():
    f = tracer.jit(lambda x, power: x**power, static_argnums=1)
    found = f.profile(X, 3, seconds=0.0, calls=1, limits=LIMITS)
    assert [kernel.flops > 0 for kernel in found.kernels] == [True]
    named = tracer.jit(lambda *, x: np.sin(x)).profile(x=X, seconds=0.0, calls=1, limits=LIMITS)
    assert len(named.kernels) == 1
    inside = tracer.profile(lambda x: tracer.grad(two_lines_sum)(x), X, limits=LIMITS)
    assert inside.kernels


def two_lines_sum(x):
    return two_lines(x).sum()


def test_errors_are_those_of_a_call():
    with pytest.raises(BackendError, match="is compiled by numpy"):
        tracer.jit(network, backend="numpy").profile(W, B, X)
    with pytest.raises(NotAnArrayError, match="profile takes a function"):
        profile(3.0, X)
    with pytest.raises(BackendError, match=r"saved as \.html, \.txt"):
        kernels_of(np.sin, (X,)).save("profile.svg")

    def refuse(x):
        raise ValueError("refused")

    refused = tracer.primitive(refuse, out=tracer.array_type(64), vjp=lambda a, o, ct: (ct,))
    with pytest.raises(ValueError, match="refused") as caught:
        profile(lambda x: refused(x), B, limits=LIMITS)
    assert isinstance(caught.value.__cause__, CallbackError)


def test_the_limits_of_this_machine():
    found = machine_limits()
    assert found == machine_limits()
    assert found.flops64 > 0
    assert found.flops32 > 0
    assert len(found.bandwidths) == 4
    assert all(value > 0 for value in found.bandwidths.values())
    assert found.bandwidth(1) == found.bandwidths[min(found.bandwidths)]
    assert found.bandwidth(1e15) == found.bandwidths[max(found.bandwidths)]


def test_the_command(tmp_path, capsys):
    file = tmp_path / "model.py"
    file.write_text("import numpy as np\n\ndef wave(x):\n    return np.sin(x) * x\n")
    words = ["profile", f"{file}:wave", "--args", "np.ones(100)"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "loop over 100: sin, multiply" in out
    assert "model.py:4" in out
    assert main([*words, "-o", str(tmp_path / "wave.html")]) == 0
    assert "roofline" in (tmp_path / "wave.html").read_text()
    assert main([*words, "-o", str(tmp_path / "wave.gif")]) == 2
    assert "saved as .html" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 µs"), (7.8e-8, "78 ns"), (0.0, "0 ns")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
