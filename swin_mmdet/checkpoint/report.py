"""What happened to every key of a checkpoint."""

from dataclasses import dataclass, field


@dataclass
class LoadReport:
    """The outcome of loading a backbone or a detector.

    Attributes:
        source: what was read, for messages.
        format: the recognised source format, `version` its architecture's (1 or 2), and `reason` why.
        loaded: model keys that got the file's values as they are.
        resized: model keys whose values were interpolated, with what was changed.
        misfit: model keys of a detector's heads whose shapes differ from the file's, with both; they keep their initial
            values.
        missing: model keys that the file does not have; they keep their initial values.
        unexpected: canonical keys of the file that the model does not have.
        dropped: keys of the file that were left out on purpose, with the reason.
    """

    source: str
    format: str = ''
    version: int = 1
    reason: str = ''
    loaded: list[str] = field(default_factory=list)
    resized: dict[str, str] = field(default_factory=dict)
    misfit: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)

    def add(self, other: 'LoadReport') -> None:
        """What happened in another part of the model."""
        self.loaded += other.loaded
        self.missing += other.missing
        self.unexpected += other.unexpected
        self.resized |= other.resized
        self.misfit |= other.misfit
        self.dropped |= other.dropped

    def summary(self) -> str:
        """One line for the log."""
        source = f'{self.format} V{self.version}'
        line = (
            f'{self.source}: format {source}; {len(self.loaded)} loaded, {len(self.resized)} resized, '
            f'{len(self.missing)} missing, {len(self.unexpected)} unexpected, {len(self.dropped)} dropped'
        )
        if self.resized:
            line += f'; resized: {shorten(sorted(set(self.resized.values())))}'
        if self.misfit:
            line += f'; of another shape, keep their initial values: {shorten(list(self.misfit))}'
        if self.missing:
            line += f'; keep their initial values: {shorten(self.missing)}'
        if self.unexpected:
            line += f'; not in the model: {shorten(self.unexpected)}'
        return line

    def table(self) -> str:
        """Every key on a line of its own: what happened, the key, and why."""
        rows = [('loaded', key, '') for key in self.loaded]
        rows += [('resized', key, why) for key, why in self.resized.items()]
        rows += [('misfit', key, why) for key, why in self.misfit.items()]
        rows += [('missing', key, '') for key in self.missing]
        rows += [('unexpected', key, '') for key in self.unexpected]
        rows += [('dropped', key, why) for key, why in self.dropped.items()]
        width = max((len(key) for _, key, _ in rows), default=0)
        return '\n'.join(f'{what:<10} {key:<{width}} {why}'.rstrip() for what, key, why in rows)


def shorten(keys: list[str], limit: int = 5) -> str:
    """The first few keys and how many more there are."""
    rest = f' and {len(keys) - limit} more' if len(keys) > limit else ''
    return ', '.join(keys[:limit]) + rest
