"""The form of a kernel that multiplies matrices in tiles."""

from __future__ import annotations

from dataclasses import replace

from codegen.device.forms import nest_of
from codegen.device.items import KernelItem
from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan, ProductPlan
from codegen.device.products import (
    PRODUCT,
    Made,
    choose_tiling,
    match_made,
    product_nest,
    tilings_of,
)
from codegen.device.work import Body, work_of
from codegen.loops.nodes import Loop


def is_product(item: KernelItem) -> bool:
    """Whether an item is a product of matrices with a kernel of its own."""
    first = item.body[0]
    return item.grid and isinstance(first, Loop) and first.kind == PRODUCT


def product_plan(item: KernelItem, name: str, machine: DeviceMachine) -> KernelPlan:
    """Blocks for the tiles of a product."""
    (outer,) = item.body
    assert isinstance(outer, Loop), "a loop stands around a product"
    statement, *rest = outer.body
    nest = product_nest(statement)
    assert nest is not None, "the loop's first statement is a product"
    tiling = choose_tiling(nest.product, machine.processors, tilings_of(machine))
    kept = bool(nest.call.params.get("kept", True))
    call = nest.call if kept else replace(nest.call, results=())
    made: Made | None = None
    body: Body = ()
    for nested in rest:
        assert isinstance(nested, Loop), "what is made of a product's elements is a nest"
        made = match_made(nest, *nest_of(nested))
        assert made is not None, "it was put there because it fits"
        body = made.body
    blocks = max(1, min(machine.blocks, tiling.tiles(nest.product)))
    product = ProductPlan(nest, tiling, kept, made)
    whole: Body = (call, *body)
    work = work_of(item.body)
    return KernelPlan(name, (), (), whole, 1, tiling.threads, blocks, work=work, product=product)
