"""What a command may fail with on purpose."""


class CommandError(Exception):
    """An expected failure of a command.

    `deploy.cli.main` prints its message as one line on stderr, without a traceback, and exits
    with 1. So the message says what is wrong and what to do, in words of the person who typed the
    command.
    """
