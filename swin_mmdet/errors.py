"""Mistakes that a user can put right; importing it costs nothing."""


class UserError(Exception):
    """A mistake of the caller; the message names the thing and the remedy."""
