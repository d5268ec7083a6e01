"""The tests mirror the sources by path; `tests.docs` and others share helpers by this name."""
