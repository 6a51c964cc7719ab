"""Reading what somebody else has written: what does not fit counts as absent, since the next write puts it right."""

from typing import Any, Final

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
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
