"""NVVM's dialect of LLVM IR, as text, in today's: pointers without the type that they point to, one
address space, and functions instead of what only NVIDIA's hardware has.
"""

from __future__ import annotations

import re

CLOSING = {"}": "{", "]": "[", ">": "<", ")": "("}
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|;.*|\*')
SPACE = re.compile(r"\s*addrspace\(\d+\)\s*$")
WORD = re.compile(r'(?:[\w.$%@-]|"[^"]*")+$')
INTRINSIC = re.compile(r'@"?llvm\.nvvm\.([\w.$]+)"?')
ASSEMBLY = re.compile(r'asm (?:sideeffect )?"((?:[^"\\]|\\.)*)",\s*"[^"]*"')
HALVED = re.compile(r"fptrunc double ([^\s]+) to half")
REFLECT = re.compile(r"call i32 @__nvvm_reflect\([^\n]*?@([\w.$]+)[^\n]*")
QUOTED = re.compile(r'([@%])"([A-Za-z_.$][\w.$-]*)"')
LABEL = re.compile(r'^"([A-Za-z_.$][\w.$-]*)":', re.MULTILINE)
FUNCTION = re.compile(
    r"^define (?P<head>[^@\n]*)@(?P<name>[\w.$-]+|\"[^\"\n]*\")(?P<rest>.*?)\{\n(?P<body>.*?)^\}",
    re.MULTILINE | re.DOTALL,
)
USED = re.compile(r"@([\w.$-]+)")
LONG = {
    "setp.equ.f64 __$$temp3, $1": "selp.equ.d",
    "mad.lo.cc.u32   $0, $2, $3, $4": "mad.i64",
    "mad.lo.cc.u32   r0, alo, blo, clo": "mad.i128",
    "mul.lo.u32      r0, alo, blo": "mul.i128",
    "sub.cc.u32      r0, a0, b0": "sub.i128",
    "add.cc.u32      r0, a0, b0": "add.i128",
}
"""What tells several instructions apart that do arithmetic with wide numbers."""


def plain(text: str) -> str:
    """Text that the host's LLVM can read: pointers are `ptr`, there is one address space, and
    NVVM's intrinsics and inline assembly are functions `@host.…`.
    """
    text = "\n".join(_opaque(line) if "*" in line else line for line in text.split("\n"))
    text = ASSEMBLY.sub(lambda found: f"@{assembly_name(found[1])}", text)
    # By way of the odd of two float32, since what the host has for it may not be there.
    text = HALVED.sub(r"call half @host.d2h(double \1)", text)
    text = INTRINSIC.sub(r"@host.\1", text)
    text = re.sub(r"\s*addrspace\(\d+\)", "", re.sub(r"\baddrspacecast\b", "bitcast", text))
    return LABEL.sub(r"\1:", QUOTED.sub(r"\1\2", text))


def assembly_name(instructions: str) -> str:
    """What the function is called that does what these instructions do."""
    for part, name in LONG.items():
        if part in instructions:
            return f"host.{name}"
    words = re.sub(r"\\0A|\\09|[^\w.]+", "_", instructions)
    return "host.asm." + re.sub("_+", "_", words).strip("_")


def _opaque(line: str) -> str:
    """The line with `ptr` for every type of a pointer."""
    made, end = "", 0
    for found in TOKENS.finditer(line):
        made += line[end : found.start()]
        end = found.end()
        if found[0] == "*":
            made = made[: _start_of_type(made)] + "ptr"
        else:
            made += found[0]
    return made + line[end:]


def _start_of_type(text: str) -> int:
    """Where the type begins that `text` ends with."""
    text = SPACE.sub("", text).rstrip()
    if text[-1] in CLOSING:
        start = _opening(text)
        # A function's type: what it returns comes before its parameters.
        return _start_of_type(text[:start]) if text[-1] == ")" else start
    word = WORD.search(text)
    if word is None:
        raise ValueError(f"no type before a *: {text[-80:]}")
    return word.start()


def _opening(text: str) -> int:
    """Where the bracket is open that `text` ends with."""
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        if text[place] in CLOSING:
            depth += 1
        elif text[place] in CLOSING.values():
            depth -= 1
            if depth == 0:
                return place
    raise ValueError("brackets do not match")


def split(text: str) -> list[str]:
    """The parts of a list with commas, each stripped."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        if character in CLOSING.values():
            depth += 1
        elif character in CLOSING:
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def type_and_value(operand: str) -> tuple[str, str]:
    """An operand's type, and its value, which is "" where there is none."""
    depth = 0
    for place, character in enumerate(operand):
        if character in CLOSING.values():
            depth += 1
        elif character in CLOSING:
            depth -= 1
        elif character == " " and depth == 0:
            return operand[:place], operand.rsplit(" ", 1)[1]
    return operand, ""
