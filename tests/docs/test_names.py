"""Names of the library that the pages mention exist, and links inside README lead somewhere."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.docs.pages import FENCE, PAGES, ROOT

LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def names_of(text: str) -> set[str]:
    """The dotted names inside `code spans`, with `tnp` written out."""
    found = set()
    for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text):
        for name in re.findall(r"(?<![\w./-])(?:tracer|tnp)(?:\.[A-Za-z_]\w*)+", span):
            found.add(re.sub(r"^tnp\b", "tracer.numpy", name))
    return found


def resolve(name: str) -> object:
    """The object of a dotted name; modules on the way are imported."""
    parts = name.split(".")
    target: object = importlib.import_module(parts[0])
    for position, part in enumerate(parts[1:], 2):
        if not hasattr(target, part):
            importlib.import_module(".".join(parts[:position]))
        target = getattr(target, part)
    return target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_on_the_page_exist(page: Path) -> None:
    missing = []
    for name in sorted(names_of(page.read_text("utf-8"))):
        try:
            resolve(name)
        except (AttributeError, ImportError):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    prose = FENCE.sub("", page.read_text("utf-8"))
    links = LINK.findall(prose)
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_a_missing_name_is_noticed() -> None:
    assert names_of("`tnp.zeros(n)` and `f = tracer.grad(f)`, not tracer.py or `a/tracer.b`") == {
        "tracer.numpy.zeros",
        "tracer.grad",
    }
    with pytest.raises((AttributeError, ImportError)):
        resolve("tracer.errors.NoSuchError")
