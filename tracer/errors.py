"""Every error that the library raises. Each class is also the built-in error that fits."""

from __future__ import annotations

import numpy as np


class TracerError(Exception):
    """The common base, so that `except tracer.errors.TracerError` catches them all."""


class ForeignPackageError(TracerError, ImportError):
    """Another distribution's `codegen` or `kernels` is imported in the place of ours."""


class ConcretizationError(TracerError, TypeError):
    """Python asked for the value of a traced array where there is none yet (under `jit`, `vmap`,
    in a loop body).
    """


class ArrayConversionError(TracerError, ValueError):
    """A traced array was about to become a plain ndarray, which would lose its derivative."""


class LeakedTracerError(TracerError, RuntimeError):
    """A traced array was used after the function that made it had ended."""


class NonScalarOutputError(TracerError, TypeError):
    """`grad` was taken of a function whose result is not one real scalar."""


class NonDifferentiableInputError(TracerError, TypeError):
    """A derivative was asked with respect to an integer, boolean or non-array argument."""


class ShapeError(TracerError, ValueError):
    """Shapes do not fit the operation."""


class DTypeError(TracerError, TypeError):
    """dtypes do not fit the operation."""


class NotAnArrayError(TracerError, TypeError):
    """A Python object stands where an array or a number was due."""


class UnsupportedFunctionError(TracerError, TypeError):
    """A NumPy function, or a use of it, that is not traced."""


class AxisError(TracerError, ValueError, IndexError):
    """An axis lies outside the array's dimensions."""


class OutOfBoundsError(TracerError, IndexError):
    """An index lies outside the array."""


class StructureError(TracerError, ValueError):
    """Two pytrees that must have one structure differ."""


class CarryTypeError(TracerError, TypeError):
    """The body of a loop, or a branch, returns another type than it must."""


class NonlinearError(TracerError, TypeError):
    """A function that must be linear is not."""


class DerivativeError(TracerError, TypeError):
    """An operation has no derivative rule in the mode that was asked."""


class GradientCheckError(TracerError, AssertionError):
    """`check_grads` found a derivative that disagrees with the numerical one."""


class NonFiniteError(TracerError, FloatingPointError):
    """A NaN or an infinity arose inside `tracer.debug`."""


class LinAlgError(TracerError, np.linalg.LinAlgError):
    """A matrix is singular or not positive definite, or an iteration did not converge."""


class CallbackError(TracerError, RuntimeError):
    """A black-box function failed when compiled code called it; the cause of its own exception."""


class BackendError(TracerError, RuntimeError):
    """A backend is unknown, missing, or cannot do what was asked."""


class MissingPackageError(BackendError, ImportError):
    """A backend needs packages that are not installed; the message says which command does it."""


class DeviceNotFoundError(BackendError):
    """There is no GPU, or no driver that could use it."""


class DeviceMismatchError(TracerError, ValueError):
    """Arrays lie on different devices."""


class DeviceArrayError(TracerError, ValueError):
    """An object offers device memory that is none, or not as its interface says."""


class DeviceMemoryError(TracerError, MemoryError):
    """A device has too little memory."""


class UnsupportedProgramError(BackendError, TypeError):
    """A backend has no such dtype or operation."""


class GraphError(TracerError, ValueError):
    """A graph, or the text of one, is not well formed."""


class ControlFlowError(TracerError, TypeError):
    """Python control flow on traced values that cannot be turned into the graph's."""
