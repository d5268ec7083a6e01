"""Kernel texts at random, in the Python that the compiler knows.

All arithmetic is exact or rounded once, so that results are equal to the bit.
"""

from __future__ import annotations

from random import Random

COUNT = 97
WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
REAL = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
KINDS = ("bool", *WHOLE, *REAL, *COMPLEX)
FAMILY = {**dict.fromkeys(WHOLE, "i"), **dict.fromkeys(REAL, "f"), "bool": "b"} | dict.fromkeys(
    COMPLEX, "c"
)
HEAD = "import math\n\nimport numpy as np\nfrom numba import cuda\n\n"
DEVICE = '@cuda.jit(device=True, inline="always")\n'
LOOP = "range(cuda.grid(1), count, cuda.gridsize(1))"


class Writer:
    """Writes one kernel. `names` are the variables that are known, with their families; those in
    `fixed` hold a dtype, as which they are assigned.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.names: dict[str, str] = {}
        self.fixed: dict[str, str] = {}
        self.arrays: list[str] = []
        self.lines: list[str] = []
        self.indent = ""
        self.numbers = 0
        self.procedures: list[tuple[str, str]] = []
        self.loops = 0
        self.inside = True

    def fresh(self, word: str) -> str:
        self.numbers += 1
        return f"{word}{self.numbers}"

    def line(self, text: str) -> None:
        self.lines.append(self.indent + text)

    # Expressions

    def leaf(self, family: str) -> str:
        known = [name for name, kind in self.names.items() if kind == family]
        if known and self.random.random() < 0.6:
            return self.random.choice(known)
        if self.inside and self.random.random() < 0.6:
            kinds = [kind for kind in KINDS if FAMILY[kind] == family]
            loaded = f"x_{self.random.choice(kinds)}[i]"
            return f"({loaded} != 0)" if family == "b" else loaded
        if family == "i":
            if self.random.random() < 0.3:
                return f"np.{self.random.choice(WHOLE)}({self.random.randint(0, 100)})"
            return str(self.random.choice([0, 1, 2, 3, 7, 8, 31, 64, 255, -1, -5, 1 << 40]))
        if family == "f":
            value = self.random.choice(["0.0", "1.0", "0.5", "-2.25", "3.0", "1e-3", "-0.0"])
            return f"np.float32({value})" if self.random.random() < 0.4 else value
        if family == "b":  # Python itself takes conditions apart that are literals
            return f"({self.leaf('i')} > {self.leaf('i')})"
        return f"complex({self.value('f', 0)}, {self.value('f', 0)})"

    def value(self, family: str, depth: int) -> str:
        """An expression of the family."""
        if depth == 0:
            return self.leaf(family)
        if self.random.random() < 0.1:
            test = self.value("b", depth - 1)
            one, other = self.value(family, depth - 1), self.value(family, depth - 1)
            if family == "i":  # of a signed and an unsigned one Numba makes a float64
                kind = self.random.choice(WHOLE)
                one, other = f"np.{kind}({one})", f"np.{kind}({other})"
            return f"({one} if {test} else {other})"
        if self.procedures and self.random.random() < 0.08:
            fitting = [name for name, kind in self.procedures if kind == family]
            if fitting:
                a, b = self.value("i", depth - 1), self.value("f", depth - 1)
                return f"{self.random.choice(fitting)}({a}, {b})"
        return getattr(self, f"value_{family}")(depth - 1)

    def value_i(self, depth: int) -> str:
        a, b = self.value("i", depth), self.value("i", depth)
        choice = self.random.randrange(14)
        if choice < 6:
            return f"({a} {'+-*&|^'[choice]} {b})"
        if choice == 6:
            return f"({a} // {self.random.choice([b, '3', '8', '-4', 'np.uint64(16)'])})"
        if choice == 7:
            return f"({a} % {self.random.choice([b, '5', '32', '-3'])})"
        if choice == 8:
            sign, most = self.random.choice(["<<", ">>"]), self.random.choice([7, 31, 63])
            return f"({a} {sign} ({b} & {most}))"
        if choice == 9:
            return f"({self.random.choice('-~')}{a})"
        if choice == 10:
            kind = self.random.choice(WHOLE)
            return f"{self.random.choice(['min', 'max'])}(np.{kind}({a}), np.{kind}({b}))"
        if choice == 11:
            return f"abs(np.{self.random.choice(WHOLE[:4])}({a}))"
        if choice == 12:
            return f"np.int32({self.bounded(self.value('f', depth))})"
        return f"np.{self.random.choice(WHOLE)}({self.random.choice([a, self.value('b', depth)])})"

    def whole(self, depth: int) -> str:
        """One for beside a real number: Numba makes a float64 of a uint16 and a float32, which have
        a place in a float32, as NumPy has it."""
        return f"np.int64({self.value('i', depth)})"

    def real(self, depth: int) -> str:
        return self.value("f", depth)

    def bounded(self, real: str) -> str:
        """A real number that is finite and within an int8."""
        return f"within(np.float64({real}))"

    def value_f(self, depth: int) -> str:
        a, b = self.value("f", depth), self.value("f", depth)
        choice = self.random.randrange(13)
        if choice < 4:
            return f"({a} {'+-*/'[choice]} {b})"
        if choice == 4:
            return f"({a} {self.random.choice('+-*')} {self.whole(depth)})"
        if choice == 5:
            return f"math.{self.random.choice(['floor', 'ceil', 'trunc'])}({a})"
        if choice == 6:
            return f"math.sqrt(abs({a}))"
        if choice == 7:
            return f"math.copysign({a}, {b})"
        if choice == 8:
            return f"(-{a})"
        if choice == 9:
            return f"np.{self.random.choice(REAL)}({self.value(self.random.choice('if'), depth)})"
        if choice == 10:
            return f"{self.value('c', depth)}.{self.random.choice(['real', 'imag'])}"
        if choice == 11:
            return f"abs({a})"
        return f"({self.value('i', depth)} / {self.value('i', depth)})"

    def value_b(self, depth: int) -> str:
        choice = self.random.randrange(8)
        if choice < 3:
            family = self.random.choice("if")
            sign = self.random.choice(["<", "<=", ">", ">=", "==", "!="])
            return f"({self.value(family, depth)} {sign} {self.value(family, depth)})"
        a, b = self.value("b", depth), self.value("b", depth)
        if choice < 5:
            return f"({a} {self.random.choice(['and', 'or'])} {b})"
        if choice == 5:
            return f"({a} {self.random.choice('&|^')} {b})"
        if choice == 6:
            return f"(not {a})"
        return f"math.isnan({self.value('f', depth)})"

    def value_c(self, depth: int) -> str:
        a, b = self.value("c", depth), self.value("c", depth)
        choice = self.random.randrange(6)
        if choice < 3:
            return f"({a} {'+-*'[choice]} {b})"
        if choice == 3:
            return f"({a} * {self.random.choice([self.whole, self.real])(depth)})"
        if choice == 4:
            return f"{a}.conjugate()"
        return f"(-{a})"

    # Statements

    def block(self, count: int, depth: int) -> None:
        """Some statements; names that it makes are forgotten behind it."""
        outer, names, fixed = self.indent, dict(self.names), dict(self.fixed)
        arrays = list(self.arrays)
        self.indent += "    "
        for _ in range(count):
            self.statement(depth)
        self.indent, self.names, self.fixed, self.arrays = outer, names, fixed, arrays

    def statement(self, depth: int) -> None:
        choice = self.random.random()
        if choice < 0.25:
            family = self.random.choice("iiffbc")
            name = self.fresh("v")
            self.line(f"{name} = {self.value(family, 3)}")
            self.names[name] = family
        elif choice < 0.40:
            self.variable()
        elif choice < 0.55 and self.fixed:
            self.change()
        elif choice < 0.65 or depth == 0:
            self.output()
        elif choice < 0.80:
            self.line(f"if {self.value('b', 2)}:")
            self.block(self.random.randint(1, 3), depth - 1)
            if self.random.random() < 0.3:
                self.line(f"elif {self.value('b', 2)}:")
                self.block(self.random.randint(1, 2), depth - 1)
            if self.random.random() < 0.6:
                self.line("else:")
                self.block(self.random.randint(1, 3), depth - 1)
        elif choice < 0.93:
            self.loop(depth)
        else:
            self.local_array()

    def variable(self) -> None:
        """A variable of a dtype, which may be assigned again."""
        kind = self.random.choice([*WHOLE, *REAL, "bool"])
        name = self.fresh("w")
        self.line(f"{name} = {self.cast(kind)}")
        self.names[name], self.fixed[name] = FAMILY[kind], kind

    def cast(self, kind: str) -> str:
        family = FAMILY[kind]
        if family == "b":
            return f"bool({self.value('b', 2)})"
        return f"np.{kind}({self.value(family, 3)})"

    def change(self) -> None:
        """Another value of a variable's dtype."""
        name = self.random.choice(list(self.fixed))
        kind = self.fixed[name]
        alike = [other for other, its in self.fixed.items() if its == kind and other != name]
        if alike and self.random.random() < 0.4:
            self.line(f"{name}, {alike[0]} = {alike[0]}, {name}")
        else:
            self.line(f"{name} = {self.cast(kind)}")

    def output(self) -> None:
        kind = self.random.choice(KINDS)
        family = FAMILY[kind]
        value = self.value(family, 3)
        add = family != "b" and self.random.random() < 0.2
        self.line(f"y_{kind}[i] {'+' if add else ''}= {value}")

    def loop(self, depth: int) -> None:
        """A loop of few turns, which may be left, or a turn of it."""
        self.loops += 1
        index = self.fresh("k")
        if self.random.random() < 0.7:
            bounds = self.random.choice(
                ["3", "1, 6, 2", "5, 0, -2", f"({self.value('i', 1)}) & 3", "0", "2, 2"]
            )
            total = self.fresh("s")
            self.line(f"{total} = {self.random.choice(['0', '0.0', 'np.int64(3)'])}")
            family = "f" if self.lines[-1].endswith("0.0") else "i"
            self.names[total] = family
            self.line(f"for {index} in range({bounds}):")
            self.names[index] = "i"
            self.block(self.random.randint(1, 3), depth - 1)
            if family == "i":
                self.line(f"    {total} = {total} + np.int64({self.value('i', 2)})")
            else:
                self.line(f"    {total} = {total} * 0.5 + np.float64({self.value('f', 2)})")
            if self.random.random() < 0.4:
                self.line(f"    if {self.value('b', 1)}:")
                self.line(f"        {self.random.choice(['break', 'continue'])}")
                self.line(f"    {total} = {total} + 1")
            del self.names[index]
            return
        self.line(f"{index} = 0")
        self.line(self.random.choice(["while True:", f"while {index} < 4:"]))
        self.line(f"    {index} = {index} + 1")
        self.line(f"    if {index} > 5:")
        self.line("        break")
        self.names[index] = "i"
        self.block(self.random.randint(1, 2), depth - 1)

    def local_array(self) -> None:
        """A thread's own array, written, and read."""
        name, kind = self.fresh("a"), self.random.choice([*WHOLE, *REAL])
        self.line(f"{name} = cuda.local.array(4, np.{kind})")
        place = self.fresh("k")
        self.line(f"for {place} in range(4):")
        self.line(f"    {name}[{place}] = {self.cast(kind)}")
        self.line(f"{name}[({self.value('i', 1)}) & 3] = {self.cast(kind)}")
        found = self.fresh("v")
        self.line(f"{found} = {name}[({self.value('i', 1)}) & 3]")
        self.names[found] = FAMILY[kind]

    def procedure(self) -> str:
        """A function of a whole and of a real number, of which several lines may return."""
        name, family = self.fresh("f"), self.random.choice("if")
        kind = {"i": "int64", "f": "float64"}[family]
        self.lines, self.inside, self.indent = [], False, "    "
        self.names, self.fixed = {"p": "i", "q": "f"}, {}
        for _ in range(2):
            v = self.fresh("v")
            choice = self.random.choice("if")
            self.line(f"{v} = {self.value(choice, 2)}")
            self.names[v] = choice
        if self.random.random() < 0.6:
            self.line(f"if {self.value('b', 2)}:")
            self.line(f"    return np.{kind}({self.value(family, 2)})")
        self.line(f"return np.{kind}({self.value(family, 2)})")
        self.procedures.append((name, family))
        self.inside = True
        return "\n".join([f"{DEVICE}def {name}(p, q):", *self.lines, "", ""])


WITHIN = """
def within(x):
    if not (x > -100.0):
        return -100.0
    return x if x < 100.0 else 100.0


"""


def random_text(seed: int, statements: int = 12) -> str:
    """The text of a module with `kernel`."""
    writer = Writer(seed)
    functions = [f"{DEVICE}{WITHIN[1:]}", *(writer.procedure() for _ in range(2))]
    writer.lines, writer.indent, writer.names, writer.fixed = [], "    ", {"i": "i"}, {}
    writer.line(f"for i in {LOOP}:")
    writer.block(statements, 2)
    parameters = ", ".join(["count", *(f"{way}_{kind}" for way in "xy" for kind in KINDS)])
    lines = [*functions, f"def kernel({parameters}):\n", "\n".join(writer.lines), "\n"]
    return HEAD + "".join(lines)
