"""The errors of the local control plane.

ControlPlaneError
|-- StartFailed       a component ended or did not become ready; holds the end of its log
`-- NotAvailable      a program could be had in none of the known ways
    |-- Unreachable   a server could not be reached: the next way may still work
    `-- BadDownload   what arrived is not what was published (checksum, length): never used
"""


class ControlPlaneError(Exception):
    """Root of everything this package raises on purpose; the text is for people and says what to do next."""


class StartFailed(ControlPlaneError):
    """A component ended during its start or did not become ready in time."""


class NotAvailable(ControlPlaneError):
    """A program could not be had."""


class Unreachable(NotAvailable):
    """A server did not answer, or has no such file."""


class BadDownload(NotAvailable):
    """The bytes that arrived do not match the published checksum."""
