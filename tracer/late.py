"""Functions of SciPy that are imported when they are first used: SciPy takes long to import."""

from __future__ import annotations

import importlib
from typing import Any

from tracer.cached import cached_property


class LateUfunc:
    """A universal function of a module that may not be imported yet.

    Calls it, and says what NumPy says of it: `nin`, `nout`, `types`, `resolve_dtypes`.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.__name__ = name

    @cached_property
    def function(self) -> Any:
        """The function itself."""
        return getattr(importlib.import_module(self.module), self.__name__)

    def __call__(self, *operands: Any, **options: Any) -> Any:
        return self.function(*operands, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.function, name)

    def __repr__(self) -> str:
        return f"<ufunc '{self.__name__}' of {self.module}>"
