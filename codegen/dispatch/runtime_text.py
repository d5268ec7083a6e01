"""LLVM IR of what all entries share: object life cycle, the slow call, dicts, workspace, errors.

Compiled once a process and never freed, so that a call which ends an entry's life still returns
through valid code.
"""

from __future__ import annotations

from codegen.dispatch import layout as at
from codegen.dispatch.layout import Layout
from codegen.dispatch.symbols import PYTHON_FUNCTIONS, declarations
from codegen.dispatch.writer import Writer

VECTORCALL = 16  # of entries and functions: the pointer that CPython's vectorcall protocol reads

ENTRY_TABLE = 24  # the entry's data words
ENTRY_KEEP = 32  # object that owns them and what they point to
ENTRY_NEXT = 40  # callable for arguments that do not fit
ENTRY_SIZE = 48

FUNCTION_TARGET = 24  # callable, an entry at best
FUNCTION_CALLS = 32  # how often it was called
FUNCTION_SIZE = 40

# Addresses of type objects, by name: no text holds an address of this process.
TYPES: tuple[type, ...] = (dict, str, RuntimeError)
_TYPES = "\n".join(f"@tracer_type_{kind.__name__} = external global i8" for kind in TYPES)
_CALL = "ptr %self, ptr %arguments, i64 %count, ptr %names"
_PASS_ON = "ptr %arguments, i64 %count, ptr %names"

_GONE = "this compiled function has nothing to call, as its target is gone"

# Lives on after `tp_clear` has emptied the object: a finalizer may still call it.
_CLEARED = """
@cleared_text = internal constant [{length} x i8] c"{message}\\00"

define ptr @cleared({call}) {{
  call ptr (ptr, ptr, ...) @tracer_PyErr_Format(ptr @tracer_type_RuntimeError, ptr @cleared_text)
  ret ptr null
}}
"""

_WORKSPACE = """
@workspace_buffer = global ptr null
@workspace_capacity = global i64 0
@workspace_used = global i64 0
@workspace_limit = global i64 9223372036854775807

define internal ptr @allocate(i64 %size) {
  %room = add i64 %size, 72
  %raw = call ptr @tracer_PyMem_RawMalloc(i64 %room)
  %failed = icmp eq ptr %raw, null
  br i1 %failed, label %none, label %align
align:
  %number = ptrtoint ptr %raw to i64
  %far = add i64 %number, 72
  %rounded = and i64 %far, -64
  %aligned = inttoptr i64 %rounded to ptr
  %origin = getelementptr i8, ptr %aligned, i64 -8
  store ptr %raw, ptr %origin
  ret ptr %aligned
none:
  ret ptr null
}

define internal void @deallocate(ptr %aligned) {
  %origin = getelementptr i8, ptr %aligned, i64 -8
  %raw = load ptr, ptr %origin
  call void @tracer_PyMem_RawFree(ptr %raw)
  ret void
}

define void @workspace_trim() {
  %used = load i64, ptr @workspace_used
  %buffer = load ptr, ptr @workspace_buffer
  %busy = icmp ne i64 %used, 0
  %empty = icmp eq ptr %buffer, null
  %keep = or i1 %busy, %empty
  br i1 %keep, label %done, label %free
free:
  store ptr null, ptr @workspace_buffer
  store i64 0, ptr @workspace_capacity
  call void @deallocate(ptr %buffer)
  br label %done
done:
  ret void
}

define ptr @workspace_take(i64 %size) {
  %used = load i64, ptr @workspace_used
  %busy = icmp ne i64 %used, 0
  br i1 %busy, label %fresh, label %cached
cached:
  %capacity = load i64, ptr @workspace_capacity
  %small = icmp ult i64 %capacity, %size
  br i1 %small, label %grow, label %use
grow:
  call void @workspace_trim()
  %new = call ptr @allocate(i64 %size)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %none, label %grown
grown:
  store ptr %new, ptr @workspace_buffer
  store i64 %size, ptr @workspace_capacity
  br label %use
use:
  store i64 1, ptr @workspace_used
  %buffer = load ptr, ptr @workspace_buffer
  ret ptr %buffer
fresh:
  %own = call ptr @allocate(i64 %size)
  ret ptr %own
none:
  ret ptr null
}

define void @workspace_give(ptr %given) {
  %buffer = load ptr, ptr @workspace_buffer
  %cached = icmp eq ptr %given, %buffer
  br i1 %cached, label %keep, label %free
keep:
  store i64 0, ptr @workspace_used
  %capacity = load i64, ptr @workspace_capacity
  %limit = load i64, ptr @workspace_limit
  %large = icmp sgt i64 %capacity, %limit
  br i1 %large, label %trim, label %done
trim:
  call void @workspace_trim()
  br label %done
done:
  ret void
free:
  call void @deallocate(ptr %given)
  ret void
}
"""


def _define(header: str, body: Writer) -> str:
    return f"define {header} {{\n{body.text()}\n}}\n"


def _same_dtype(layout: Layout) -> str:
    """Whether a dtype object, other than the built-in one, still means one of two type numbers."""
    body = Writer(layout)
    number = body.value(f"sext i32 {body.load('i32', '%dtype', at.DTYPE_NUMBER)} to i64")
    first = body.value(f"icmp eq i64 {number}, {body.load('i64', '%words', 8)}")
    second = body.value(f"icmp eq i64 {number}, {body.load('i64', '%words', 16)}")
    order = body.load("i8", "%dtype", at.DTYPE_BYTE_ORDER)
    native = body.value(f"icmp ne i8 {order}, {ord(at.SWAPPED)}")
    either = body.value(f"or i1 {first}, {second}")
    body.emit(f"ret i1 {body.value(f'and i1 {either}, {native}')}")
    return _define("i1 @same_dtype(ptr %dtype, ptr %words)", body)


def _forward(layout: Layout, name: str, field: int) -> str:
    """Call the object in `field` of `self`, held while it runs; an entry without a detour."""
    body = Writer(layout)
    target = body.load("ptr", "%self", field)
    body.require_object(target, "gone")
    if field == FUNCTION_TARGET:
        calls = body.value(f"add i64 {body.load('i64', '%self', FUNCTION_CALLS)}, 1")
        body.store("i64", calls, "%self", FUNCTION_CALLS)
    body.hold(target)
    kind = body.load("ptr", target, at.TYPE)
    body.branch(body.value(f"icmp eq ptr {kind}, @tracer_type_Entry"), "direct", "any")
    body.begin("direct")
    code = body.load("ptr", target, VECTORCALL)
    quick = body.value(f"call ptr {code}(ptr {target}, {_PASS_ON})")
    body.jump("end")
    body.begin("any")
    slow = body.value(f"call ptr @tracer_PyObject_Vectorcall(ptr {target}, {_PASS_ON})")
    body.jump("end")
    body.begin("end")
    result = body.value(f"phi ptr [ {quick}, %direct ], [ {slow}, %any ]")
    body.release(target)
    body.emit(f"ret ptr {result}")
    body.begin("gone")
    body.emit(f"ret ptr {body.value(f'tail call ptr @tracer_cleared(ptr %self, {_PASS_ON})')}")
    return _define(f"ptr @{name}({_CALL})", body)


def forwarding_text(layout: Layout) -> str:
    """The module with a function's vectorcall, and with what an entry does with a misfit."""
    return "\n".join(
        (
            declarations(list(PYTHON_FUNCTIONS)),
            "declare ptr @tracer_cleared(ptr, ptr, i64, ptr)",
            "@tracer_type_Entry = external global i8",
            _forward(layout, "function_call", FUNCTION_TARGET),
            _forward(layout, "slow", ENTRY_NEXT),
        )
    )


def _descriptor_get(layout: Layout) -> str:
    body = Writer(layout)
    body.require(body.value("icmp ne ptr %instance, null"), "unbound")
    method = "call ptr @tracer_PyMethod_New(ptr %self, ptr %instance)"
    body.emit(f"ret ptr {body.value(method)}")
    body.begin("unbound")
    body.hold("%self")
    body.emit("ret ptr %self")
    return _define("ptr @function_get(ptr %self, ptr %instance, ptr %owner)", body)


def _traverse(layout: Layout, name: str, fields: tuple[int, ...]) -> str:
    body = Writer(layout)
    for offset in (at.TYPE, *fields):
        visit, following = body.label("visit"), body.label("next")
        referent = body.load("ptr", "%self", offset)
        body.branch(body.value(f"icmp ne ptr {referent}, null"), visit, following)
        body.begin(visit)
        answer = body.value(f"call i32 %visitor(ptr {referent}, ptr %state)")
        stop = body.label("stop")
        body.branch(body.value(f"icmp eq i32 {answer}, 0"), following, stop)
        body.begin(stop)
        body.emit(f"ret i32 {answer}")
        body.begin(following)
    body.emit("ret i32 0")
    return _define(f"i32 @{name}_traverse(ptr %self, ptr %visitor, ptr %state)", body)


def _clear(layout: Layout, name: str, fields: tuple[int, ...]) -> str:
    body = Writer(layout)
    body.store("ptr", "@cleared", "%self", VECTORCALL)
    for offset in fields:
        drop, following = body.label("drop"), body.label("next")
        referent = body.load("ptr", "%self", offset)
        body.store("ptr", "null", "%self", offset)
        body.branch(body.value(f"icmp ne ptr {referent}, null"), drop, following)
        body.begin(drop)
        body.release(referent)
        body.jump(following)
        body.begin(following)
    body.emit("ret i32 0")
    return _define(f"i32 @{name}_clear(ptr %self)", body)


def _dealloc(layout: Layout, name: str) -> str:
    body = Writer(layout)
    kind = body.load("ptr", "%self", at.TYPE)
    body.emit("call void @tracer_PyObject_GC_UnTrack(ptr %self)")
    body.emit(f"call i32 @{name}_clear(ptr %self)")
    body.emit("call void @tracer_PyObject_GC_Del(ptr %self)")
    body.release(kind)
    body.emit("ret void")
    return _define(f"void @{name}_dealloc(ptr %self)", body)


def _raise_error(layout: Layout) -> str:
    """Calls the handler with the kernel's code and status; gives NULL, as the handler raises."""
    body = Writer(layout)
    body.require(body.value("icmp ne i32 %code, -1"), "end")
    row = body.value("call ptr @tracer_PyTuple_New(i64 5)")
    body.require_object(row, "end")
    words = [body.value("sext i32 %code to i64")]
    words += [body.load("i64", "%status", 8 * index) for index in range(4)]
    for index, word in enumerate(words):
        number = body.value(f"call ptr @tracer_PyLong_FromLongLong(i64 {word})")
        body.store("ptr", number, row, at.TUPLE_ITEMS + 8 * index)
        body.require_object(number, "drop")
    result = body.value(f"call ptr @tracer_PyObject_CallObject(ptr %handler, ptr {row})")
    body.require(body.value(f"icmp ne ptr {result}, null"), "drop")
    body.release(result)
    body.jump("drop")
    body.begin("drop")
    body.release(row)
    body.jump("end")
    body.begin("end")
    body.emit("ret ptr null")
    return _define("ptr @raise_error(ptr %handler, i32 %code, ptr %status)", body)


def runtime_text(layout: Layout, dict_text: str) -> str:
    """The whole module."""
    entry_fields, function_fields = (ENTRY_KEEP, ENTRY_NEXT), (FUNCTION_TARGET,)
    return "\n".join(
        [
            declarations(list(PYTHON_FUNCTIONS)),
            _TYPES,
            _CLEARED.format(call=_CALL, message=_GONE, length=len(_GONE) + 1),
            _WORKSPACE,
            dict_text,
            _same_dtype(layout),
            _descriptor_get(layout),
            _raise_error(layout),
            *(_traverse(layout, *pair) for pair in (("entry", entry_fields),
                                                    ("function", function_fields))),
            *(_clear(layout, *pair) for pair in (("entry", entry_fields),
                                                 ("function", function_fields))),
            _dealloc(layout, "entry"),
            _dealloc(layout, "function"),
        ]
    )
