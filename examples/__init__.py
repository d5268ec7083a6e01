"""Programs that show what the library is for. Each runs by itself: `python examples/neuron.py`."""
