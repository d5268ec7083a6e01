"""Refuses to start beside somebody else's `codegen` or `kernels`.

The four packages of this distribution have common names, and other distributions install some of
the same. Python takes whichever comes first on `sys.path`, which would end in an AttributeError
far from its cause, or in wrong code that runs. So the import of `tracer` looks where the others
would come from, without importing them.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from tracer.errors import ForeignPackageError

SIBLING_PACKAGES = ("codegen", "kernels")


def refuse_foreign_packages(names: Iterable[str] = SIBLING_PACKAGES) -> None:
    """Raises ForeignPackageError where a sibling package would come from elsewhere.

    `names` are top-level package names. Each must lie in the folder that holds `tracer` itself;
    nothing is imported to find that out. A package that was imported before counts where it is.
    The error carries the package as `name` and the file or folder in the way as `path`.
    """
    home = Path(__file__).resolve().parent.parent
    for name in names:
        found = _location(name)
        if found is None:
            raise ForeignPackageError(
                f"tracer needs its own package {name!r} in {home}, and there is none: the "
                f"installation is incomplete. Install it again: "
                f"python -m pip install --force-reinstall tracer-ad",
                name=name,
                path=str(home / name),
            )
        if home / name not in (found.resolve(), found.resolve().parent):
            raise ForeignPackageError(
                f"tracer needs its own package {name!r}, which lies in {home / name}, but "
                f"`import {name}` finds {found} of another project. {_cure(name, found)}",
                name=name,
                path=str(found),
            )


def _location(name: str) -> Path | None:
    """The file (of a namespace package: the folder) that `import name` would take, or has taken."""
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__spec__", None) is None:
        file = getattr(module, "__file__", None)
        return Path(file) if file else Path(f"<{name} made at run time>")
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.has_location and spec.origin is not None:
        return Path(spec.origin)
    folders = list(spec.submodule_search_locations or ())
    return Path(folders[0]) if folders else Path(f"<{name}, {spec.origin}>")


def _cure(name: str, found: Path) -> str:
    """What the user can do about `found`, by where it lies."""
    folder = found.parent if found.name == "__init__.py" else found
    if not {"site-packages", "dist-packages"} & set(folder.parts):
        return (
            f"Rename {folder}, or take the folder that holds it off sys.path (it is there by "
            f"PYTHONPATH, or because Python was started in it), or start Python elsewhere."
        )
    import importlib.metadata  # here, for `import tracer` must not wait for it

    owners = importlib.metadata.packages_distributions().get(name, ())
    others = " ".join(sorted(set(owners) - {"tracer-ad"}))
    uninstall = f"`python -m pip uninstall {others}`" if others else f"Remove {folder}"
    return f"{uninstall}, or use tracer in a virtual environment without it."
