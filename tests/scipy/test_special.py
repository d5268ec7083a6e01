"""`tracer.scipy.special` against mpmath and SciPy: values, derivatives, dtypes, dispatch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import tracer
import tracer.scipy.special as special
from tests.helpers import BACKENDS, FAST, assert_near
from tests.scipy.special_cases import CASES, Case

COUNT = 12  # points a region
BY_NAME = {case.name: case for case in CASES}


def function_of(case: Case) -> Callable[..., Any]:
    """The function under test; of Lambert's W the real part."""
    found = getattr(special, case.name)
    return (lambda x: tracer.numpy.real(found(x))) if case.name == "lambertw" else found


def worst(found: Any, exact: np.ndarray, scale: Any = None) -> float:
    """The largest error, relative or in units of `scale` where that is larger."""
    size = np.abs(exact) if scale is None else np.maximum(np.abs(exact), scale)
    size = np.maximum(size, 1e-290)
    return float(np.max(np.abs(np.asarray(found) - exact) / size))


def scale_of(case: Case, arguments: list[np.ndarray]) -> np.ndarray | None:
    if case.scale is None:
        return None
    return np.array([case.scale(*map(float, row)) for row in zip(*arguments, strict=True)])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_compiled_values_are_exact(case: Case) -> None:
    arguments = case.points(COUNT)
    exact = case.values(arguments)
    found = tracer.jit(function_of(case), backend=FAST)(*arguments)
    assert worst(found, exact, scale_of(case, arguments)) <= case.relative


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_modes_give_exact_derivatives(case: Case) -> None:
    arguments = [argument[::3] for argument in case.points(COUNT)]
    function = function_of(case)
    size = scale_of(case, arguments)
    reverse = tracer.jit(
        tracer.grad(lambda *xs: tracer.numpy.sum(function(*xs)), argnums=case.smooth),
        backend=FAST,
    )(*arguments)
    for place, found in zip(case.smooth, reverse, strict=True):
        exact = case.slopes(arguments, place)
        assert worst(found, exact, size) <= case.slope, place
        tangents = tuple(
            np.ones_like(x) if k == place else np.zeros_like(x) for k, x in enumerate(arguments)
        )
        _, pushed = tracer.jvp(function, tuple(arguments), tangents)
        assert worst(pushed, exact, size) <= case.slope, place


REAL = [case.name for case in CASES if case.name not in ("lambertw", "zeta")]


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", REAL)
def test_scipy_itself_finds_ours(name: str, dtype: type) -> None:
    """`scipy.special.f` of traced arrays: SciPy's value, shape and dtype, and a derivative."""
    theirs = getattr(scipy.special, name)
    limit = 20 if dtype is np.float32 else np.inf  # single precision has less range
    arguments = [
        np.clip(x[:4], -limit, limit).astype(dtype).reshape(2, 2) for x in BY_NAME[name].points(4)
    ]
    expected = theirs(*arguments)
    for backend in ("numpy", FAST):
        found = tracer.jit(lambda *xs: theirs(*xs), backend=backend)(*arguments)
        assert found.dtype == expected.dtype == dtype
        tolerance = 1e-11 if dtype is np.float64 else 2e-5
        assert_near(found, expected, tolerance, backend)
    gradient = tracer.grad(lambda x: theirs(*arguments[:-1], x).sum())(arguments[-1])
    assert gradient.dtype == dtype
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", REAL)
def test_whole_numbers_and_plain_arrays_are_as_in_scipy(name: str) -> None:
    theirs, ours = getattr(scipy.special, name), getattr(special, name)
    arguments = [np.array([1, 2, 3])] * len(BY_NAME[name].ranges[0])
    with np.errstate(all="ignore"):
        expected = theirs(*arguments)
        np.testing.assert_array_equal(ours(*arguments), expected)
        found = tracer.jit(ours, backend=FAST)(*arguments)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["gammainc", "betainc", "iv", "erfcx", "j0", "gammaincinv"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_programs_on_every_backend(name: str, backend: str) -> None:
    arguments = {
        "gammainc": (np.array([0.5, 2.0, 30.0]), np.array([1.0, 1.5, 33.0])),
        "gammaincinv": (np.array([0.5, 2.0, 30.0]), np.array([0.1, 0.5, 0.9])),
        "betainc": (np.array([0.5, 2.0]), np.array([1.5, 20.0]), np.array([0.7, 0.2])),
        "iv": (np.array([0.5, 2.5]), np.array([1.0, 50.0])),
        "erfcx": (np.array([-1.0, 0.5, 20.0]),),
        "j0": (np.array([0.5, 7.0, 30.0]),),
    }[name]
    function = getattr(special, name)
    found = tracer.jit(function, backend=backend)(*arguments)
    np.testing.assert_allclose(found, getattr(scipy.special, name)(*arguments), rtol=2e-13)
    if backend == "numba" and name not in ("erfcx", "j0"):
        return  # the slow compiler sees the longest derivative once, in tests/primitives
    gradient = tracer.grad(lambda *xs: function(*xs).sum(), argnums=tuple(range(len(arguments))))
    compiled = tracer.jit(gradient, backend=backend)(*arguments)
    for one, other in zip(compiled, gradient(*arguments), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gammaincinv", ((0.5, 9.0), (0.1, 0.9))),
        ("gammainccinv", ((0.5, 9.0), (0.1, 0.9))),
        ("betaincinv", ((0.5, 9.0), (0.5, 9.0), (0.1, 0.9))),
        ("stdtrit", ((1.5, 9.0), (0.1, 0.4))),
        ("erfcinv", ((0.1, 1.9),)),
        ("ndtri", ((0.05, 0.45),)),
        ("erfinv", ((-0.9, 0.9),)),
    ],
)
def test_inverses(name: str, arguments: tuple[tuple[float, float], ...]) -> None:
    """SciPy's values, and derivatives of every argument against numerical ones."""
    rng = np.random.default_rng(5)
    points = tuple(rng.uniform(low, high, 20) for low, high in arguments)
    function = getattr(special, name)
    found = tracer.jit(function, backend=FAST)(*points)
    np.testing.assert_allclose(found, getattr(scipy.special, name)(*points), rtol=1e-12)
    tracer.check_grads(function, points, order=1)


def test_derivatives_of_any_order_in_a_parameter() -> None:
    """∂²P/∂a² and ∂²P/∂a∂x, against differences of the first derivative."""
    first = tracer.grad(special.gammainc)
    second = tracer.hessian(lambda p: special.gammainc(p[0], p[1]))(np.array([2.0, 1.5]))
    step = 1e-5
    along_a = (first(2.0 + step, 1.5) - first(2.0 - step, 1.5)) / (2 * step)
    along_x = (first(2.0, 1.5 + step) - first(2.0, 1.5 - step)) / (2 * step)
    np.testing.assert_allclose(second[0], [along_a, along_x], rtol=1e-8)
    np.testing.assert_allclose(second, second.T, rtol=1e-12)


def _whole(name: str, place: int, *arguments: float) -> Any:
    return pytest.param(name, place, arguments, id=f"{name}{arguments}")


@pytest.mark.parametrize(
    ("name", "place", "arguments"),
    [
        _whole("gammaincc", 0, 2.0, 5.0),
        _whole("gammaincc", 0, 10.0, 14.0),
        _whole("betainc", 0, 3.0, 2.0, 0.6),
        _whole("betainc", 1, 2.0, 1.0, 0.3),
        _whole("iv", 0, 0.5, 60.0),
        _whole("hyp1f1", 0, -2.0, 1.5, 3.0),
    ],
)
def test_derivatives_where_a_series_ends(name: str, place: int, arguments: Any) -> None:
    """At whole parameters, where a fraction or series is finite and its derivative is not."""
    case = BY_NAME[name]
    columns = [np.array([value]) for value in arguments]
    found = tracer.jit(tracer.grad(getattr(special, name), argnums=place))(*arguments)
    exact = case.slopes(columns, place)[0]
    np.testing.assert_allclose(found, exact, rtol=case.slope)


ENDS = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e3, -1e3, np.inf, -np.inf, np.nan])
PAIRS = [x.reshape(-1) for x in np.meshgrid(ENDS[:9], ENDS[:9])]


@pytest.mark.parametrize("name", [n for n in REAL if len(BY_NAME[n].ranges[0]) == 1])
def test_ends_of_the_range(name: str) -> None:
    """Infinities, NaN and poles are SciPy's."""
    function = getattr(special, name)
    with np.errstate(all="ignore"):
        expected = getattr(scipy.special, name)(ENDS)
        found = tracer.jit(function, backend=FAST)(ENDS)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["xlogy", "xlog1py", "rel_entr", "kl_div", "gammainc", "huber"])
def test_ends_of_two_ranges(name: str) -> None:
    function = getattr(special, name)
    with np.errstate(all="ignore"):
        expected = getattr(scipy.special, name)(*PAIRS)
        found = tracer.jit(function, backend=FAST)(*PAIRS)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["gammainc", "erfcx", "i0", "hyp1f1", "betaln"])
def test_batched(name: str) -> None:
    arguments = [x[:6].reshape(2, 3) for x in BY_NAME[name].points(6)]
    found = tracer.vmap(getattr(special, name))(*arguments)
    np.testing.assert_allclose(found, getattr(scipy.special, name)(*arguments), rtol=1e-13)
