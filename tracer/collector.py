"""Python's garbage collector while many objects are made that all stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

PATIENT = (50_000, 20, 1_000_000)
"""Objects are looked at twice while they are young, and then no more: a graph of 100 000 nodes is
a million objects, and looking at all of them again and again takes as long as making them."""


@contextmanager
def patient_collector() -> Iterator[None]:
    """The collector leaves old objects alone meanwhile. Also a decorator."""
    before = gc.get_threshold()
    if before == PATIENT or not gc.isenabled():
        yield
        return
    gc.set_threshold(*PATIENT)
    try:
        yield
    finally:
        if gc.get_threshold() == PATIENT:
            gc.set_threshold(*before)
