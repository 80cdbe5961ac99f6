"""Why a server can't start, for whoever starts it."""


class StartError(RuntimeError):
    """The server can't start; the message says in one line why, and what to do."""


class UnusableSettingError(StartError):
    """A setting is of the right form, but what it names can't be used, however often it is tried."""
