"""What renderers rely on: names, text, blocks, errors, and code for other machines."""

from __future__ import annotations

import re
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from codegen.render.vector_math import (
    AVX512,
    FMA,
    FUNCTIONS,
    GENERIC,
    LineCollector,
    Target,
    emit,
    emit_inline,
)
from codegen.render.vector_math.accuracy import LIMIT, measured_names
from codegen.render.vector_math.builder import splat
from codegen.render.vector_math.coefficients import COEFFICIENTS
from codegen.render.vector_math.fit import compute
from codegen.render.vector_math.fit_table import TABLE
from codegen.render.vector_math.harness import loop_text
from codegen.render.vector_math.references import REFERENCES

X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"


def machine(cpu: str, triple: str = X86) -> llvm.TargetMachine:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2)


def test_every_function_has_a_reference() -> None:
    assert set(FUNCTIONS) == set(REFERENCES), "the table and the references must name the same"
    for name, function in FUNCTIONS.items():
        count = len(REFERENCES[name].ranges[0])
        assert function.operand_count == count, f"{name} takes {function.operand_count} operands"


def test_emitted_functions_share_one_module() -> None:
    needs = LineCollector()
    functions = [
        emit(name, dtype, width, FMA, needs)
        for name in ("sin", "cos", "exp", "fmod")
        for dtype, width in (("float64", 8), ("float64", 1), ("float32", 8))
    ]
    text = needs.module_text() + "".join(function.definition for function in functions)
    module = llvm.parse_assembly(text)
    module.verify()
    assert functions[0].name == "@tracer_sin_f64x8"
    assert {function.name[1:] for function in functions} <= {f.name for f in module.functions}


def test_a_function_alone_is_a_module() -> None:
    function = emit("cos", "float64", 4)
    llvm.parse_assembly(function.requires + function.definition).verify()


def test_inline_bodies_may_follow_each_other() -> None:
    builder = LineCollector()
    first = emit_inline(builder, "sin", "float64", 4, ["%x"])
    assert builder.block != "entry", "sin branches, and must say in which block it ends"
    second = emit_inline(builder, "exp", "float64", 4, [first])
    body = "\n".join(builder.lines)
    text = (
        f"{builder.module_text()}define <4 x double> @both(<4 x double> %x) {{\nentry:\n"
        f"{body}\n  ret <4 x double> {second}\n}}\n"
    )
    llvm.parse_assembly(text).verify()


def test_text_is_the_same_every_time() -> None:
    assert loop_text("gammaln", "float64", 4, FMA) == loop_text("gammaln", "float64", 4, FMA)


@pytest.mark.parametrize(
    ("name", "dtype", "width", "operands", "error", "message"),
    [
        ("sine", "float64", 4, ["%x"], KeyError, "no vector function 'sine'"),
        ("sin", "float16", 4, ["%x"], ValueError, "not 'float16'"),
        ("sin", "float64", 3, ["%x"], ValueError, "not 3"),
        ("power", "float64", 4, ["%x"], ValueError, "power takes 2 operands, got 1"),
    ],
)
def test_what_is_unknown_is_refused(
    name: str, dtype: str, width: int, operands: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        emit_inline(LineCollector(), name, dtype, width, operands)


@pytest.mark.parametrize(
    ("cpu", "triple", "target", "width"),
    [
        ("x86-64", X86, GENERIC, 2),
        ("haswell", X86, FMA, 4),
        ("skylake-avx512", X86, AVX512, 8),
        ("cortex-a72", ARM, FMA, 2),
    ],
)
def test_every_function_compiles_for(cpu: str, triple: str, target: Target, width: int) -> None:
    compiler = machine(cpu, triple)
    for name in FUNCTIONS:
        for dtype, lanes in (("float64", width), ("float32", 2 * width)):
            module = llvm.parse_assembly(loop_text(name, dtype, lanes, target))
            module.verify()
            assert compiler.emit_object(module), f"no object code for {name} {dtype}"


def test_avx512_code_uses_its_instructions() -> None:
    module = llvm.parse_assembly(loop_text("exp", "float64", 8, AVX512))
    assembly = machine("skylake-avx512").emit_assembly(module)
    for instruction in ("vscalefpd", "vfmadd", "zmm"):
        assert instruction in assembly, f"no {instruction}"
    assert "vpermi2pd" in assembly or "vpermt2pd" in assembly, "no table permutation"


def test_no_fast_math_flags() -> None:
    for name in FUNCTIONS:
        text = loop_text(name, "float64", 4, FMA)
        for flag in (" fast ", " nnan ", " ninf ", " nsz ", " reassoc ", " arcp "):
            assert flag not in text, f"{name} has the flag {flag}"


def test_splat_of_one_lane_is_the_scalar() -> None:
    assert splat("double", "0x0", 1) == "0x0"


@pytest.mark.parametrize("name", ["exp_tail_f64", "sin_tail_f32", "erf_large_f32", "pi_f64"])
def test_coefficients_are_what_the_fit_gives(name: str) -> None:
    assert COEFFICIENTS[name] == compute(TABLE[name])


def test_coefficients_and_fits_have_the_same_names() -> None:
    assert list(COEFFICIENTS) == list(TABLE)


def test_the_published_table_is_complete_and_within_the_bound() -> None:
    page = Path(__file__).parents[3] / "docs" / "accuracy.md"
    rows = re.findall(r"^\| `(\w+)`[^|]*\| ([^|]+) \| ([^|]+) \|", page.read_text("utf-8"), re.M)
    assert [name for name, *_ in rows] == measured_names()
    for name, *errors in rows:
        assert max(map(float, errors)) <= LIMIT, f"{name} is published with {errors} ulp"
