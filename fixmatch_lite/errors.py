"""The one exception a user of the module has to know."""


class FixMatchError(ValueError):
    """Something the user can mend: one clear sentence that ends with what to do."""

    agreed = False  # whether, of several processes, all raise it, by `distributed.agree`
    alone = False   # whether, of several processes, this one alone may have met it


class Diverged(FixMatchError):
    """A loss stopped being finite."""


class Busy(FixMatchError):
    """Another process works where this one wanted to."""
