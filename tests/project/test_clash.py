"""`import tracer` beside another project's `codegen` or `kernels`: refused, with the file named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracer._clash import refuse_foreign_packages
from tracer.errors import ForeignPackageError

ROOT = Path(__file__).resolve().parents[2]
MARK = "the foreign package was run"


def run_python(code: str, *, first_on_path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a fresh interpreter that looks into `first_on_path`, then into the sources."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(first_on_path), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
    )


def foreign_file(kind: str, name: str, folder: Path) -> Path:
    """Puts another project's `name` into `folder` and returns what an error has to name."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "module":
        path = folder / f"{name}.py"
        path.write_text(f"print({MARK!r})\n")
        return path
    package = folder / name
    package.mkdir()
    path = package / "__init__.py"
    path.write_text(f"print({MARK!r})\n")
    return path


@pytest.mark.parametrize("name", ["codegen", "kernels"])
@pytest.mark.parametrize("kind", ["module", "package"])
def test_foreign_package_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    in_the_way = foreign_file(kind, name, tmp_path / "theirs")
    done = run_python("import tracer", first_on_path=tmp_path / "theirs", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert MARK not in done.stdout, "the foreign package was imported in order to refuse it"
    last_line = done.stderr.strip().splitlines()[-1]
    assert "ForeignPackageError" in last_line
    assert str(in_the_way) in last_line
    assert f"Rename {in_the_way.parent if kind == 'package' else in_the_way}" in last_line


def test_the_error_is_an_import_error_that_carries_name_and_path(tmp_path: Path) -> None:
    in_the_way = foreign_file("package", "kernels", tmp_path / "theirs")
    code = (
        "try:\n"
        "    import tracer\n"
        "except ImportError as error:\n"
        "    print(error.name, error.path)\n"
    )
    done = run_python(code, first_on_path=tmp_path / "theirs", cwd=tmp_path)
    assert done.stdout.split() == ["kernels", str(in_the_way)], done.stderr


def test_foreign_package_that_was_imported_before_is_refused(tmp_path: Path) -> None:
    in_the_way = foreign_file("package", "kernels", tmp_path / "theirs")
    theirs = str(tmp_path / "theirs")
    code = f"import sys; sys.path.remove({theirs!r}); import tracer"
    done = run_python(f"import kernels; {code}", first_on_path=tmp_path / "theirs", cwd=tmp_path)
    assert done.returncode == 1
    assert str(in_the_way) in done.stderr.strip().splitlines()[-1]


def test_installed_distribution_is_named_in_the_cure(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "site-packages"
    foreign_file("package", "kernels", site)
    metadata = site / "hub_kernels-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: hub-kernels\nVersion: 1.0\n")
    (metadata / "top_level.txt").write_text("kernels\n")
    done = run_python("import tracer", first_on_path=site, cwd=tmp_path)
    assert done.returncode == 1
    assert "python -m pip uninstall hub-kernels" in done.stderr


def test_missing_sibling_is_an_incomplete_installation() -> None:
    with pytest.raises(ForeignPackageError, match="the installation is incomplete") as caught:
        refuse_foreign_packages(["no_such_package_of_ours"])
    assert caught.value.path == str(ROOT / "no_such_package_of_ours")


def test_import_from_a_folder_without_clash(tmp_path: Path) -> None:
    done = run_python("import tracer; print(tracer.__file__)", first_on_path=ROOT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / "tracer" / "__init__.py"
