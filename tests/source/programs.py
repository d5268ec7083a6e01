"""Plain Python programs, each with the arguments that it is run on: what conversion must not
change."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

VECTOR = np.array([0.3, -0.7, 1.1, 2.0, 0.1])
PROGRAMS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []


def on(*calls: tuple[Any, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: run the function on each of these tuples of arguments."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS.extend((function, call) for call in calls)
        return function

    return add


@on((2.0,), (-3.0,))
def branch(x):
    if x > 0:
        y = x * 2
    else:
        y = -x
    return y


@on((0.5,), (1.5,), (2.5,), (3.5,))
def chain_of_elif(x):
    if x < 1:
        y = 1.0
    elif x < 2:
        y = x
    elif x < 3:
        y = x * x
    else:
        y = 0.0
    return y


@on((0.0,), (1.5,), (2.5,), (4.0,))
def early_returns(x):
    if x > 3:
        return x
    if x > 1:
        if x > 2:
            return x * 10
        x = x + 1
    return x * 100


@on((2.0,), (9.0,))
def newton(x):
    turns = 0
    y = x
    while abs(y * y - x) > 1e-9:
        y = 0.5 * (y + x / y)
        turns += 1
    return y, turns


@on((np.arange(49.0).reshape(7, 7) ** 2,))
def gauss_seidel(a):
    n, m = a.shape
    for _ in range(6):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                a[i, j] = 0.25 * (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1])
    return a


@on((1.0,), (0.1,), (2.0,))
def break_continue_else(x):
    s = 0
    for i in range(20):
        if i == 3:
            continue
        s += x * i
        if s > 30:
            break
    else:
        s = -1.0
    return s, i


@on((1.1,), (1e-18,))
def return_from_loop(x):
    for i in range(100):
        x = x * 1.5
        if x > 50:
            return x, i
    return x, -1


@on((VECTOR, 1.0), (VECTOR, 5.0))
def return_from_nested_loops(v, bound):
    for i in range(5):
        for j in range(5):
            if v[i] * v[j] > bound:
                return i, j
    return -1, -1


@on((1.2,), (7.0,))
def while_true_and_else(x):
    k = 0
    while True:
        k += 1
        if k > 3 and x > 5:
            break
        x = x + 1
    else:
        k = 100
    return x, k


@on((3.0,), (0.0,))
def while_with_else(x):
    while x > 1:
        x = x * 0.5
    else:
        x = x + 10
    return x


@on((0.5, 3.0), (2.0, 0.5), (-1.0, -2.0))
def logic(x, y):
    return x > 0 and y > 1, x > 0 or y > 1, not x > 1, 0 < x < y, x > y if y > 1 else y > x


@on((VECTOR, 2), (VECTOR, 7))
def short_circuit(v, i):
    if i < 5 and v[i] > 1.0:
        return v[i]
    return 0.0


@on((0.5,), (-0.5,))
def ternaries(x):
    return (x if x > 0 else -x) + (1.0 if x > 0.2 else 2.0 if x > 0 else 3.0)


@on((3,), (8,))
def traced_range(n):
    s = 0.0
    for i in range(1, n, 2):
        s = s + i
    for i in range(n, 0, -1):
        s = s * 0.5 + i
    return s


@on((VECTOR,), (-VECTOR,))
def rows_enumerate_zip(v):
    s = 0.0
    table = np.arange(10.0).reshape(5, 2)
    for x in v:
        if x > 0:
            s += x
    for i, (x, row) in enumerate(zip(v, table, strict=True), 1):
        s += i * x * row[1]
    for x in reversed(v):
        s = s * 0.9 + x
    for i in reversed(range(5)):
        s = s * 0.9 + v[i]
    return s


@on((VECTOR,))
def creation(v):
    total = np.zeros(5)
    table = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    pair = np.array([v[0], 2 * v[1]])
    for i in range(5):
        total[i] = table[i] * v[i]
    return total, pair, np.full(2, v[0]), np.eye(2)


@on((VECTOR, 3), (VECTOR, 1))
def traced_index(v, i):
    primes = [2, 3, 5, 7, 11]
    return v[i] * primes[i] + CONSTANTS[i]


CONSTANTS = np.array([0.5, 1.5, 2.5, 3.5, 4.5])


@on((0.5, 2.0), (-0.5, 1.0))
def builtins_and_math(x, y):
    values = math.sin(x) + math.sqrt(y) + math.pi + math.log(y, 2) + math.exp(x) + math.hypot(x, y)
    whole = int(x * 3) + math.floor(x) + round(x)
    return max(x, y), min(x, y, 0.1), sum([x, y]), abs(x), values, whole, float(y), round(x, 1)


@on((VECTOR,))
def builtins_of_arrays(v):
    return max(v), min(v), sum(v), len(v), any(v > 1), all(v > 1), sorted(v)[0]


@on((1.0,), (-1.0,))
def closures(x):
    count = 0.0

    def step(y):
        nonlocal count
        if y > 0:
            count += 1
            return y * 2
        return -y

    for _ in range(6):
        x = step(x) * 0.9
    return x, count


def helper(x, scale=2.0, *rest, bias=0.5, **named):
    if x > 0:
        return x * scale + bias + sum(rest)
    return -x + named.get("extra", 0.0)


@on((1.0,), (-1.0,))
def calls(x):
    return helper(x) + helper(x, 3.0, 1.0, 2.0, bias=x) + helper(x, extra=4.0)


@on((5,), (0,))
def recursion_on_static(n):
    def power(x, k):
        if k == 0:
            return 1.0
        return x * power(x, k - 1)

    return power(1.5, 3) + n


def power_of_module(x, k):
    if k == 0:
        return 1.0
    return x * power_of_module(x, k - 1)


@on((1.5,), (-0.5,))
def recursion_by_module(x):
    return power_of_module(x, 3) + x


@on((0.5,), (-0.5,))
def lambdas(x):
    relu = lambda z: z if z > 0 else 0.0  # noqa: E731
    pair = (lambda z: z + 1, lambda z: z * 2 if z > 0 else z)
    return relu(x), pair[0](x), pair[1](x)


@on((0.5,), (-0.5,))
def comprehensions(x):
    values = [helper(x) * k for k in range(3)]
    table = {k: (x if x > 0 else -x) * k for k in range(2)}
    return sum(v for v in values), table[1], [-y for y in values][2]


@on((0.6,), (2.4,))
def walrus(x):
    n = 0
    while (y := x * 2) < 9:
        x = x + y
        n += 1
    if (z := x - y) > 0:
        n += 10
    return x, y, z, n


@on((VECTOR, 0.2), (VECTOR, 2.0))
def targets(v, x):
    (a, b), *rest = (v[0], v[1]), v[2], v[3]
    if x > 1:
        a, b = b, a
        rest[0] = x
    return a, b, rest[0], rest[1]


@on((VECTOR, 0.2), (VECTOR, 2.0))
def updates(v, x):
    alias = v
    if x > 1:
        v[0] += x
        v *= 2.0
        v[1:3] -= 1.0
    for i in range(5):
        v[i] *= x
        v += 0.5
    return v, alias


@on((VECTOR, 0.2), (VECTOR, 2.0))
def old_values(v, x):
    before = v
    for _ in range(7):
        v = v * 0.5 + before
        if x > 1:
            x = x - before[0]
    return v, before, x


@dataclass
class Particle:
    """Something with attributes and methods."""

    position: Any
    velocity: Any
    trail: list[Any] = field(default_factory=list)
    __bounces: int = 0

    def step(self, dt):
        self.position = self.position + dt * self.velocity
        if self.position < 0:
            self.position = -self.position
            self.velocity = -0.9 * self.velocity
            self.__bounces += 1

    @property
    def bounces(self):
        return self.__bounces


class Charged(Particle):
    """One that says so."""

    def step(self, dt):
        super().step(dt)
        if self.velocity > 1:
            self.velocity = self.velocity * 0.99


@on((0.5, -2.0), (0.5, 2.0))
def methods(position, velocity):
    particle = Charged(position, velocity)
    for _ in range(20):
        particle.step(0.1)
    return particle.position, particle.velocity, particle.bounces


@on((VECTOR,))
def containers(v):
    state = {"x": v[0], "count": 0, "pair": [v[1], v[2]]}
    while state["x"] < 4:
        state["x"] = state["x"] * 1.5 + state["pair"][0] + 1
        state["pair"][1] = state["pair"][1] + 1
        state["count"] += 1
    return state["x"], state["count"], state["pair"][1]


class Slotted:
    """Attributes in slots."""

    __slots__ = ("__count", "value")

    def __init__(self, value):
        self.value = value
        self.__count = 0

    def grow(self):
        self.value = self.value * 1.5
        self.__count += 1
        return self.__count


@on((0.5,), (9.0,))
def slots(x):
    box = Slotted(x)
    n = 0
    while box.value < 5:
        n = box.grow()
    return box.value, n


TALLY = 0.0


@on((2.0,), (-2.0,))
def global_names(x):
    global TALLY
    TALLY = 0.0
    for _ in range(6):
        if x > 0:
            TALLY += x
    return TALLY


@on((2.1,), (-2.0,))
def try_and_with(x):
    y = 0.0
    with np.errstate(all="ignore"):
        if x > 0:
            y = x
        try:
            for _ in range(6):
                if y > 4:
                    break
                y += 1
        except ValueError:
            y = -1.0
        finally:
            y = y * 2
    with contextlib.suppress(KeyError):
        if y > 4:
            return y
    return x


@on((2.0,), (-2.0,))
def partials_and_decorated(x):
    def clipped(low, z):
        return low if z < low else z

    @functools.lru_cache
    def static(k):
        return 3 if k > 1 else 5

    return functools.partial(clipped, 0.0)(x) * static(2)


@on((2.0, "double"), (2.0, "negate"), (2.0, None))
def static_arguments(x, mode):
    if mode is None:
        return x
    match mode:
        case "double":
            y = x * 2
        case _:
            y = -x
    if mode == "double":
        y += 1
    return y


@on((2.0,), (0.5,))
def types_settle_in_the_first_turn(x):
    s = 0
    row = 0.0
    for i in range(7):
        s = s + x
        row = row + VECTOR * x
        last = i * x
    return s, row, last


@on((2.0,), (0.5,))
def lists_grow_in_static_loops(x):
    values = []
    for i in range(6):
        values.append(x * i)
        if x > 1:
            x = x + 1
    return values


@on((1.0,), (40.0,))
def break_from_a_list(x):
    for k in [1.0, 2.0, 3.0]:
        x = x + k
        if x > 3:
            break
    for k in range(3):
        if x > 40:
            break
        x = x * 2 + k
    return x


@on((VECTOR,))
def matrix_recurrence(v):
    state = np.eye(2)
    step = np.array([[0.9, v[0]], [-v[1], 1.1]])
    for _ in range(30):
        state = step @ state
        if state[0, 0] > 2.0:
            state = state * 0.5
    return state


@on((0.0,), (3.0,))
def deleted_names(x):
    t = x * 2
    if x > 1:
        y = t + 1
        del t
    else:
        y = t
    return y


@on((3.0,), (0.1,))
def asserts(x):
    assert x > 0, "positive"
    if x > 1:
        assert x < 10
        x = x / 2
    return x


@on((VECTOR, 3), (VECTOR, 0))
def counted_in_every_way(v, n):
    s = 0.0
    for i in reversed(range(n)):
        s = s * 0.5 + i
    for i in reversed(range(1, n, 2)):
        s = s * 0.5 + i
    for a, b in zip(range(n), v, strict=False):
        s = s + a * b
    for (i, a), b in zip(enumerate(v), v[:3], strict=False):
        s = s + i * a - b
    for a, b in zip(v, [1, 2, 3, 4, 5], strict=True):
        s = s + a * b
    for _, row in zip(range(2), CONSTANTS.reshape(5, 1), strict=False):
        s = s + row[0]
    return s


@on((0.6,), (-0.5,))
def annotations_and_nested_definitions(x):
    y: float = 0.0
    z: float
    if x > 0:
        y: float = x * 2
        z = y

        def inner(w: float = 2.0, *, extra: float = x) -> float:
            """Doc."""
            v: float = w * x
            if v > 1:
                v += extra
            return v

        y = inner() + inner(x, extra=1.0)
    else:
        z = -x

        class Local:
            factor = 3.0

            def times(self, w):
                return w * self.factor if w > 0 else -w

        y = Local().times(x)
    return y, z


@on((0.5, 1.5), (-0.5, 0.2))
def reductions_of_lists(x, y):
    values = [x, y, x * y]
    some, every = any(value > 1 for value in values), all([v < 2 for v in values[:2]] + [y < 9])
    total = sum([x, y], 10.0) + sum(np.array(values), 1.0)
    z = complex(x, y) * 2
    return some, every, total, z.real, abs(z), math.fsum([x, y]), math.trunc(x * 7)


@on((0.3,), (5.0,))
def exceptions(x):
    try:
        y = x * 2
        if y > 1:
            y = y + 1
        y = y + {}["missing"]
    except KeyError as error:
        y = y + len(error.args)
    else:
        y = 100.0
    finally:
        x = x + 1
    for k in range(3):
        try:
            if x > 2:
                continue
            x = x + k
        finally:
            x = x * 1.5
    return x, y


@on((2.05,), (0.43,))
def jumps_from_with_and_match(x):
    total = 0.0
    for k in range(12):
        with np.errstate(all="ignore"):
            if x * k > 7:
                break
        match k % 3:
            case 0:
                continue
            case 1:
                if x > 1:
                    total = total + 1
            case other:
                total = total + x * other
    while total > 3:
        if x < 0:
            return total
        total = total - 1
        for k in range(2):
            if total < k:
                return -total
    return total
