"""Why a machine cannot join."""


class JoinError(Exception):
    """The message says what happened and what to do."""
