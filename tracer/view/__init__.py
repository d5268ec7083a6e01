"""Pictures and words about a user's own function: its graph with values and derivatives."""

from tracer.view.explanation import Explanation, explain
from tracer.view.model import Drawing, Edge, Vertex
from tracer.view.picture import Picture, draw

__all__ = ["Drawing", "Edge", "Explanation", "Picture", "Vertex", "draw", "explain"]
