"""What of NumPy's namespace is not for traced arrays, and why."""

from __future__ import annotations

_GROUPS: dict[str, str] = {
    "dtypes and scalar types, which are NumPy's own here": (
        "bool bool_ byte bytes_ cdouble character clongdouble complex128 complex192 complex256 "
        "complex64 complexfloating csingle datetime64 double dtype flexible float128 float16 "
        "float32 float64 float96 floating generic half inexact int16 int32 int64 int8 int_ intc "
        "integer intp long longdouble longlong number object_ short signedinteger single str_ "
        "timedelta64 ubyte uint uint16 uint32 uint64 uint8 uintc uintp ulong ulonglong "
        "unsignedinteger ushort void"
    ),
    "questions about dtypes and shapes, which are answered without values": (
        "broadcast_shapes finfo iinfo isdtype issubdtype mintypecode promote_types typename"
    ),
    "text: a traced array prints as Tracer(type, value)": (
        "array2string array_repr array_str base_repr binary_repr format_float_positional "
        "format_float_scientific get_printoptions printoptions set_printoptions"
    ),
    "files and buffers: an array has no bytes before it is computed": (
        "fromfile fromregex fromstring from_dlpack genfromtxt load loadtxt memmap save savetxt "
        "savez savez_compressed"
    ),
    "dates": "busday_count busday_offset busdaycalendar datetime_as_string datetime_data "
    "is_busday isnat",
    "classes of their own rules: matrices, records, polynomials as objects": (
        "asmatrix bmat matrix ndarray poly1d recarray record"
    ),
    "object arrays": "frompyfunc",
    "iterators in C over memory; write loops, or tracer.numpy.ndenumerate": (
        "broadcast flatiter ndindex nditer nested_iters"
    ),
    "settings and information about NumPy itself": (
        "errstate get_include getbufsize geterr geterrcall info setbufsize seterr seterrcall "
        "show_config show_runtime test ufunc"
    ),
}
FUNCTIONS = {name: reason for reason, names in _GROUPS.items() for name in names.split()}

_ATTRIBUTE_GROUPS: dict[str, str] = {
    "bytes: an array has none before it is computed": (
        "ctypes data dump dumps getfield setfield setflags tobytes tofile byteswap"
    ),
    "a Python number has no derivative: refused where one is taken, and fine elsewhere": (
        "__float__ __complex__"
    ),
    "a change of size in place, which leaves no array that its views could look into": "resize",
    "protocols of Python and NumPy, not operations": (
        "__array__ __array_finalize__ __array_function__ __array_interface__ "
        "__array_namespace__ __array_priority__ __array_struct__ __array_ufunc__ "
        "__array_wrap__ __class__ __class_getitem__ __delattr__ __delitem__ __dir__ __dlpack__ "
        "__dlpack_device__ __doc__ __format__ __getattribute__ __getstate__ __hash__ __init__ "
        "__init_subclass__ __new__ __reduce__ __reduce_ex__ __repr__ __setattr__ __setstate__ "
        "__sizeof__ __str__ __subclasshook__ __buffer__"
    ),
}
ATTRIBUTES = {name: reason for reason, names in _ATTRIBUTE_GROUPS.items() for name in names.split()}
