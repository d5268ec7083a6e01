"""Pictures and words about a user's own function: its graph with values and derivatives."""

from tracer.view.explanation import Explanation, explain
from tracer.view.model import Drawing, Edge, Vertex
from tracer.view.picture import Picture, draw
from tracer.view.profile import Kernel, Limits, Line, Profile, machine_limits, profile

__all__ = [
    "Drawing",
    "Edge",
    "Explanation",
    "Kernel",
    "Limits",
    "Line",
    "Picture",
    "Profile",
    "Vertex",
    "draw",
    "explain",
    "machine_limits",
    "profile",
]
