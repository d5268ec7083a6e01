"""Renderers: the loop program as source that a compiler reads."""
