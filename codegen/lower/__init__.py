"""From the graph to the loop program: one file a kind of primitive."""
