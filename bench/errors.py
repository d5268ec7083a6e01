"""What the command line tells its user instead of a traceback."""

import re


class BenchError(Exception):
    """The command cannot do what was asked of it; one sentence says why and what to do."""


class MismatchError(Exception):
    """A subject's result is not the reference's; it is reported and never timed."""


MESSAGE_LIMIT = 500
SHORT_LIMIT = 60
"""Of a message in a table."""


def describe_error(error: Exception) -> str:
    """An error of any library in one line, with its class unless that says nothing more."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    message = " ".join(text.split())
    if len(message) > MESSAGE_LIMIT:
        message = message[:MESSAGE_LIMIT] + " …"
    return message if isinstance(error, MismatchError) else f"{type(error).__name__}: {message}"


def shorten(message: str) -> str:
    """A message as short as a cell of a table."""
    return message if len(message) <= SHORT_LIMIT else message[: SHORT_LIMIT - 2] + " …"
