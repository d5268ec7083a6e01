"""What reading Python source needs to know about traced arrays: one object, given from outside.

Nothing else in this package knows what a tracer is, so that it can be tested with a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

Leaves = list[Any]


class Host(Protocol):
    """Everything about traced arrays that turned Python control flow asks for.

    *Traced* is any array inside a trace. *Abstract* is a traced array without a concrete value:
    only then does an `if` or a loop become a part of the graph; in all other cases Python's own
    semantics run.
    """

    def is_traced(self, value: Any) -> bool:
        """Whether `value` is a traced array."""

    def is_abstract(self, value: Any) -> bool:
        """Whether `value` is a traced array whose value nobody knows yet."""

    def is_tracing(self) -> bool:
        """Whether a trace without values is open: else no abstract array can be met."""

    def dtype_and_shape(self, value: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """The type of a traced or concrete array, or of a Python number."""

    def copy(self, tracer: Any) -> Any:
        """Another traced array with the value that `tracer` has now."""

    def assign(self, tracer: Any, value: Any) -> None:
        """Let `tracer`, the object itself, have the value that the traced array `value` has now."""

    def same_value(self, first: Any, second: Any) -> bool:
        """Whether two traced arrays are one and the same value of the graph."""

    def is_number(self, tracer: Any) -> bool:
        """Whether a traced array is weak: a Python number, which takes the dtype of what it
        meets."""

    def make_number(self, tracer: Any) -> None:
        """Make a traced array weak, as Python's own numbers are."""

    def cast(self, value: Any, dtype: Any) -> Any:
        """`value`, traced or not, as a traced array of that dtype."""

    def fill(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        """A traced array of zeros."""

    def as_traced(self, value: Any) -> Any:
        """A concrete array, or a (nested) list of concrete and traced ones, as one traced array."""

    def numpy(self, name: str) -> Callable[..., Any]:
        """The function of that name (`"logical_and"`, `"maximum"`, `"special.erf"`) for traced
        arrays."""

    def substitutes(self) -> Mapping[Any, Callable[..., Any]]:
        """NumPy's functions that do not see traced arrays by themselves → those to call instead."""

    def late_substitute(self, function: Any) -> Callable[..., Any] | None:
        """What to call instead of a function of a library that may be imported at any time."""

    def take_functions(self) -> Sequence[Callable[..., Any]]:
        """Functions that call the function which is their first argument."""

    def of_lists(self) -> Mapping[Any, Callable[..., Any]]:
        """NumPy's functions that see traced arrays, but not in a list → those to call for one."""

    def cond(
        self, predicate: Any, true: Callable[[], Leaves], false: Callable[[], Leaves]
    ) -> Leaves:
        """One of two branches, which return lists of arrays and may close over traced arrays."""

    def while_loop(
        self, test: Callable[[Leaves], Any], body: Callable[[Leaves], Leaves], carry: Leaves
    ) -> Leaves:
        """A loop on a list of arrays."""

    def fori_loop(
        self, lower: Any, upper: Any, body: Callable[[Any, Leaves], Leaves], carry: Leaves
    ) -> Leaves:
        """A counted loop on a list of arrays; the index is traced, and weak as an int is."""

    def control_flow_error(self, message: str) -> Exception:
        """The error of a construct that cannot be turned."""

    def carry_type_error(self, message: str) -> Exception:
        """The error of a variable that changes its type in a loop or between branches."""

    def note(self, message: str) -> None:
        """Tell whoever debugs that a loop was unrolled, and why."""

    @property
    def unroll_limit(self) -> int:
        """The longest static loop that is unrolled without trying to keep it a loop."""

    @property
    def own_folders(self) -> Sequence[str]:
        """Folders of library code besides Python's and site-packages', which is never converted."""
