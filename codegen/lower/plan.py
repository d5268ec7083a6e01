"""Which values are stored and which are computed where they are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen.lower.contraction import is_widening, uses_kernel
from codegen.lower.elementwise import operation_cost
from codegen.lower.views import PIECEWISE, is_index_map
from tracer.graph.nodes import Graph, Node, Variable

RECOMPUTE_COST = 2
DEEPEST = 64  # operations inlined into each other; then one is stored, and fusion removes the store
EXPANDED_COST = 4


class Plan:
    """For each variable of a graph: whether it is inlined, and the last node that reads its
    memory.
    """

    def __init__(self, graph: Graph, carried: Sequence[Variable] = (), target: str = "cpu") -> None:
        self.target = target
        self.local = {result for node in graph.nodes for result in node.results} | set(carried)
        self.makers = {result: node for node in graph.nodes for result in node.results}
        self.users: dict[Variable, list[Node]] = {}
        for node in graph.nodes:
            for operand in dict.fromkeys(node.operands):
                if type(operand) is Variable:
                    self.users.setdefault(operand, []).append(node)
        self.ends = {output for output in graph.outputs if type(output) is Variable}
        self.cost: dict[Variable, int] = {}
        self.loads: dict[Variable, int] = {}
        self.depth: dict[Variable, int] = {}
        self.inlined: set[Variable] = set()
        for node in graph.nodes:
            self._decide(node)
        self.last_use = self._last_uses(graph)

    def _decide(self, node: Node) -> None:
        kind = node.primitive.lowering.kind if node.primitive.lowering else ""
        if kind not in ("elementwise", "view") or node.primitive.name in PIECEWISE:
            return
        if kind == "view" and not is_index_map(node):
            return
        result = node.results[0]
        own = operation_cost(node) if kind == "elementwise" else 0
        cost, loads, depth = own, 0, 1
        for operand in node.operands:
            if type(operand) is not Variable:
                continue
            if operand in self.inlined:
                cost += self.cost[operand]
                loads += self.loads[operand]
                depth = max(depth, 1 + self.depth[operand])
            else:
                loads += 1
        self.cost[result], self.loads[result] = cost, loads
        if depth < DEEPEST and self._stays(result, kind):
            self.inlined.add(result)
            self.depth[result] = depth

    def _stays(self, result: Variable, kind: str) -> bool:
        if result in self.ends:
            return False
        users = self.users.get(result, [])
        expensive = self.cost[result] > EXPANDED_COST
        for user in users:
            if self._needs_memory(user, result):
                return False
            if expensive and _expands(user, result):
                return False
        if kind == "elementwise" and result.type.shape == ():
            return False
        if len(users) > 1:
            return self.cost[result] <= RECOMPUTE_COST and self.loads[result] <= 2
        return True

    def _needs_memory(self, user: Node, operand: Variable) -> bool:
        lowering = user.primitive.lowering
        kind = lowering.kind if lowering else ""
        if kind in ("elementwise", "reduction", "arg_reduction"):
            return False
        if kind == "view":
            return user.primitive.name == "reshape" and not is_index_map(user)
        if kind == "gather":
            return user.operands[0] is operand
        if kind == "scatter":
            return user.operands[0] is operand and self.cost[operand] > 0
        if kind == "contraction":
            calls = uses_kernel(user, self.target)
            if calls and self.target == "device" and all(map(self._is_widened, user.operands)):
                return False
            return not (calls and self._is_transpose(operand)) and (calls or self.cost[operand] > 0)
        if kind == "lapack":
            return not self._is_transpose(operand)
        return True

    def _is_widened(self, operand: Any) -> bool:
        """Whether it is float32 that a cast has made of float16 or bfloat16, transposed or not."""
        node = self.makers.get(operand) if type(operand) is Variable else None
        while node is not None and node.primitive.name == "transpose":
            node = self.makers.get(node.operands[0])
        return node is not None and is_widening(node)

    def _is_transpose(self, operand: Variable) -> bool:
        return self.cost[operand] == 0 and self.loads[operand] == 1

    def _last_uses(self, graph: Graph) -> dict[Variable, int]:
        last: dict[Variable, int] = {}
        reads: dict[Variable, frozenset[Variable]] = {}
        for position, node in enumerate(graph.nodes):
            direct: set[Variable] = set()
            for operand in node.operands:
                if type(operand) is Variable:
                    direct |= reads.get(operand, frozenset((operand,)))
            inline = node.results and node.results[0] in self.inlined
            alias = node.primitive.name == "reshape" and not inline
            if inline:
                reads[node.results[0]] = frozenset(direct)
            elif alias:
                reads[node.results[0]] = frozenset((*direct, node.results[0]))
            for variable in direct:
                last[variable] = position
        for output in self.ends:
            for variable in reads.get(output, frozenset((output,))):
                last[variable] = len(graph.nodes)
        return last


def _expands(user: Node, operand: Variable) -> bool:
    """Whether the user reads each element of the operand several times."""
    if user.primitive.name == "iota":
        return False
    lowering = user.primitive.lowering
    kind = lowering.kind if lowering else ""
    if kind in ("elementwise", "view"):
        return user.results[0].type.size > operand.type.size
    return kind == "contraction"
