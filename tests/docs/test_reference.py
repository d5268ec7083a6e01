"""The reference pages name every public function and class, and nothing that is not there."""

from __future__ import annotations

import importlib
import inspect
import re

import tracer
from tests.docs.pages import ROOT

NAMED = {
    name
    for page in (ROOT / "docs" / "api").glob("*.md")
    for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
}


def test_every_public_name_has_its_place() -> None:
    missing = []
    for owner in (tracer, tracer.nn, tracer.optim, tracer.plot, tracer.random, tracer.view):
        for name in owner.__all__:
            value = getattr(owner, name)
            if not (inspect.isfunction(value) or inspect.isclass(value)):
                continue
            place = f"{value.__module__}.{value.__qualname__}"
            if place not in NAMED and name not in ("Graph", "Tracer"):
                missing.append(f"{owner.__name__}.{name}: {place}")
    assert not missing


def test_every_name_of_the_reference_exists() -> None:
    for name in NAMED:
        module, _, attribute = name.rpartition(".")
        found = importlib.import_module(name) if name == "tracer.tree" else None
        value = found or getattr(importlib.import_module(module), attribute)
        assert value.__doc__, name
