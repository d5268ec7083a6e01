"""The AVX-512 paths on any machine: their two instructions replaced by models in plain IR."""

from __future__ import annotations

import pytest

from codegen.render.vector_math import AVX512, GENERIC, Target
from codegen.render.vector_math.accuracy import LIMIT, measure_compiled
from codegen.render.vector_math.harness import CompiledLoop, host_target, loop_text

# scalef(a, b) = a·2^⌊b⌋ a lane, rounded once.
SCALE = """
declare {vector} @llvm.floor.{suffix}({vector})
declare i32 @llvm.fptosi.sat.i32.{short}({scalar})
declare {scalar} @{ldexp}({scalar}, i32)
define internal {vector} @model.scalef({vector} %a, {vector} %b, {vector} %c, {mask} %m, i32 %r) {{
  %floor = call {vector} @llvm.floor.{suffix}({vector} %b)
{lanes}
  ret {vector} %a{width}
}}
"""
LANE = """\
  %s{lane} = extractelement {vector} {previous}, i32 {lane}
  %f{lane} = extractelement {vector} %floor, i32 {lane}
  %n{lane} = call i32 @llvm.fptosi.sat.i32.{short}({scalar} %f{lane})
  %v{lane} = call {scalar} @{ldexp}({scalar} %s{lane}, i32 %n{lane})
  %a{next} = insertelement {vector} {previous}, {scalar} %v{lane}, i32 {lane}
"""
PERMUTE = """
define internal <8 x double> @model.permute(<8 x double> %a, <8 x i64> %i, <8 x double> %b) {
  %both = shufflevector <8 x double> %a, <8 x double> %b, <16 x i32> <i32 0, i32 1, i32 2, i32 3,
    i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %place = alloca <16 x double>
  store <16 x double> %both, ptr %place
"""


def scale_model(dtype: str) -> str:
    scalar, short, width, mask, ldexp = {
        "float64": ("double", "f64", 8, "i8", "ldexp"),
        "float32": ("float", "f32", 16, "i16", "ldexpf"),
    }[dtype]
    vector = f"<{width} x {scalar}>"
    names = {"vector": vector, "scalar": scalar, "short": short, "ldexp": ldexp}
    lanes = "".join(
        LANE.format(lane=k, next=k + 1, previous=f"%a{k}" if k else "%a", **names)
        for k in range(width)
    )
    return SCALE.format(suffix=f"v{width}{short}", mask=mask, width=width, lanes=lanes, **names)


def permute_model() -> str:
    lines = [PERMUTE]
    for lane in range(8):
        previous = f"%r{lane}" if lane else "undef"
        lines.append(
            f"  %w{lane} = extractelement <8 x i64> %i, i32 {lane}\n"
            f"  %j{lane} = and i64 %w{lane}, 15\n"
            f"  %p{lane} = getelementptr double, ptr %place, i64 %j{lane}\n"
            f"  %t{lane} = load double, ptr %p{lane}\n"
            f"  %r{lane + 1} = insertelement <8 x double> {previous}, double %t{lane}, i32 {lane}\n"
        )
    return "".join(lines) + "  ret <8 x double> %r8\n}\n"


def modelled(name: str, dtype: str, width: int) -> str:
    """The AVX-512 text with models in the place of the instructions."""
    text = loop_text(name, dtype, width, AVX512)
    lines = [
        line
        for line in text.splitlines()
        if not (line.startswith("declare") and "x86.avx512" in line)
    ]
    text = "\n".join(lines) + "\n"
    suffix = "pd" if dtype == "float64" else "ps"
    scale = f"@llvm.x86.avx512.mask.scalef.{suffix}.512"
    assert scale in text, "the AVX-512 path was not taken"
    text = text.replace(scale, "@model.scalef") + scale_model(dtype)
    permutation = "@llvm.x86.avx512.vpermi2var.pd.512"
    if permutation in text:
        text = text.replace(permutation, "@model.permute") + permute_model()
    return text


@pytest.mark.parametrize(("dtype", "width"), [("float64", 8), ("float32", 16)])
@pytest.mark.parametrize("name", ["exp", "exp2", "expit"])
def test_avx512_path_is_accurate(name: str, dtype: str, width: int) -> None:
    loop = CompiledLoop(name, dtype, width, text=modelled(name, dtype, width))
    found = measure_compiled(loop, name, dtype, 1500, seed=22)
    assert not found.wrong, f"wrong special results at {found.wrong[:5]}"
    assert found.worst <= LIMIT, f"{found.worst:.2f} ulp at {found.where}"


@pytest.mark.parametrize("name", ["exp", "tanh", "log2", "sin", "tan", "arctan2", "power", "erfc"])
def test_without_fma_as_accurate(name: str) -> None:
    loop = CompiledLoop(name, "float64", 2, GENERIC)
    found = measure_compiled(loop, name, "float64", 600, seed=23)
    assert not found.wrong, f"wrong special results at {found.wrong[:5]}"
    assert found.worst <= LIMIT, f"{found.worst:.2f} ulp at {found.where}"


def test_target_follows_the_features() -> None:
    assert Target.from_features({"fma": True, "avx512f": False}) == Target(True, False)
    assert Target.from_features({"avx512f": True, "avx512dq": True}) == Target(True, True)
    assert Target.from_features({}) == Target(False, False)
    assert isinstance(host_target(), Target)
