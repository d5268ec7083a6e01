"""Reading Python source, so that plain Python control flow follows traced values.

`Operators(host).convert(function)` gives the function whose `if`, `while`, `for` and calls go
through the operators; `why_not(code)` tells why a function was left as it is.
"""

from tracer.source.convert import is_converted, why_not
from tracer.source.operators import Operators

__all__ = ["Operators", "is_converted", "why_not"]
