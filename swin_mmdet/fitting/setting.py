"""A setting of a training as the data have it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """What became of one setting, for the log and for the config that is written.

    Attributes:
        name: such as 'image scale'.
        old: what the recipe has, in words.
        new: what this training has; equal to `old` where it stays.
        reason: why, in a clause.
        option: what sets it otherwise; empty where nothing does.
        is_users: a user has set it, so that nothing else does.
    """

    name: str
    old: str
    new: str
    reason: str
    option: str = ''
    is_users: bool = False

    def __str__(self) -> str:
        if self.is_users:
            return f'{self.name}: {self.new}: {self.reason}'
        values = f'{self.old} -> {self.new}' if self.old != self.new else f'{self.new} stays'
        return f'{self.name}: {values}: {self.reason}' + (f' ({self.option} sets it)' if self.option else '')


def set_by_user(name: str, value: str, option: str) -> Setting:
    """One that an option of the command line has set: nothing else does."""
    return Setting(name, value, value, f'{option} set it', is_users=True)
