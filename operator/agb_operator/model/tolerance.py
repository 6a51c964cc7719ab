"""How statuses are read and written: what does not fit counts as absent, since the next write puts it right."""

from typing import Any, Final

from pydantic import ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticUseDefault


def _fit(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        raise PydanticUseDefault from None


def _fit_ones(values: Any, read: ValidatorFunctionWrapHandler) -> Any:
    if not isinstance(values, list | tuple):
        return ()
    try:
        return read(values)
    except ValidationError:
        pass  # rare: which of them do fit?
    found: list[Any] = []
    for value in values:
        try:
            found.extend(read([value]))
        except ValidationError:
            continue
    return tuple(found)


Fit: Final = WrapValidator(_fit)
"""Of a field: a value that does not fit is read as the field's default."""
FitOnes: Final = WrapValidator(_fit_ones)
"""Of a sequence: entries that do not fit are left out."""
SAID: Final = Field(exclude_if=lambda value: not value)
"""Of a field: it is not written while it is empty."""
KNOWN: Final = Field(exclude_if=lambda value: value is None)
"""Of a field: it is not written while it is None."""
AS_IN_KUBERNETES: Final = ConfigDict(alias_generator=to_camel)
"""Of a class: its fields are written as Kubernetes writes them."""
