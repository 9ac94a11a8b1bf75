"""The one error of this package: its text says what was expected, what was found and what to do."""


class LocalKubeError(Exception):
    """A control plane could not be built, started, reached or stopped."""
