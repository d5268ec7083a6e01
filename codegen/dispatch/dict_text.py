"""LLVM IR that takes the values of a dict by key without ever running Python code.

A key that is no exact str could have an `__eq__` which changes the arguments under way; such a dict
does not fit, before any comparison. Keys are compared by identity first, in order of insertion,
which literals and names nearly always settle.
"""

from __future__ import annotations

from codegen.dispatch.layout import TYPE

_TEXT = """
define i1 @dict_values(ptr %dict, ptr %keys, ptr %values, i64 %count) {{
start:
  %place = alloca i64
  %key = alloca ptr
  %value = alloca ptr
  %kind_place = getelementptr i8, ptr %dict, i64 {type}
  %kind = load ptr, ptr %kind_place
  %exact = icmp eq ptr %kind, @tracer_type_dict
  br i1 %exact, label %sized, label %no
sized:
  %size = call i64 @tracer_PyDict_Size(ptr %dict)
  %fits = icmp eq i64 %size, %count
  br i1 %fits, label %quick_start, label %no
quick_start:
  store i64 0, ptr %place
  br label %quick
quick:
  %i = phi i64 [ 0, %quick_start ], [ %i_next, %quick_same ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %quick_step, label %yes
quick_step:
  call i32 @tracer_PyDict_Next(ptr %dict, ptr %place, ptr %key, ptr %value)
  %found = load ptr, ptr %key
  %wanted_place = getelementptr ptr, ptr %keys, i64 %i
  %wanted = load ptr, ptr %wanted_place
  %same = icmp eq ptr %found, %wanted
  br i1 %same, label %quick_same, label %check_start
quick_same:
  %taken = load ptr, ptr %value
  %slot = getelementptr ptr, ptr %values, i64 %i
  store ptr %taken, ptr %slot
  %i_next = add i64 %i, 1
  br label %quick
check_start:
  store i64 0, ptr %place
  br label %check
check:
  %left = call i32 @tracer_PyDict_Next(ptr %dict, ptr %place, ptr %key, ptr %value)
  %ended = icmp eq i32 %left, 0
  br i1 %ended, label %look, label %check_step
check_step:
  %name = load ptr, ptr %key
  %name_kind_place = getelementptr i8, ptr %name, i64 {type}
  %name_kind = load ptr, ptr %name_kind_place
  %plain = icmp eq ptr %name_kind, @tracer_type_str
  br i1 %plain, label %check, label %no
look:
  %j = phi i64 [ 0, %check ], [ %j_next, %look_found ]
  %remain = icmp ult i64 %j, %count
  br i1 %remain, label %look_step, label %yes
look_step:
  %by_place = getelementptr ptr, ptr %keys, i64 %j
  %by = load ptr, ptr %by_place
  %got = call ptr @tracer_PyDict_GetItemWithError(ptr %dict, ptr %by)
  %missing = icmp eq ptr %got, null
  br i1 %missing, label %absent, label %look_found
look_found:
  %into = getelementptr ptr, ptr %values, i64 %j
  store ptr %got, ptr %into
  %j_next = add i64 %j, 1
  br label %look
absent:
  call void @tracer_PyErr_Clear()
  br label %no
yes:
  ret i1 true
no:
  ret i1 false
}}
"""


def dict_text() -> str:
    """`i1 dict_values(dict, keys, values, count)`: has it just these keys? Fills `values`."""
    return _TEXT.format(type=TYPE)
