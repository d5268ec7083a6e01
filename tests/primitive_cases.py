"""The table of primitives: one row each, from which the generic tests make every check.

A new primitive needs one row, in the family that it belongs to, and no other test.
`tests/primitives/test_complete.py` fails without it.
"""

from __future__ import annotations

from tests.primitives import (
    rows_arrays,
    rows_control,
    rows_elementwise,
    rows_fourier,
    rows_linalg,
    rows_random,
    rows_special,
)
from tests.primitives.row import Row

ROWS: dict[str, Row] = {
    **rows_elementwise.ROWS,
    **rows_arrays.ROWS,
    **rows_control.ROWS,
    **rows_special.ROWS,
    **rows_linalg.ROWS,
    **rows_fourier.ROWS,
    **rows_random.ROWS,
}
