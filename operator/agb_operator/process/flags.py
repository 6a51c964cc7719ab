"""How click reads one setting: from its flag, else from a variable, and what it says of a wrong one.

It owns the form of the messages, one line each; which settings there are, and what they take, is `settings`' to know.
"""

import os
import re
from collections.abc import Callable, Sequence
from typing import IO, Any

import click
from click.core import ParameterSource


class SettingsError(click.ClickException):
    """A setting is wrong; the message is one line: which one, what was given, what is right."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Write that line, without click's page of usage."""
        click.echo(f"agb-operator: {self.message}", file=file, err=True)


class Setting(click.Option):
    """Click's option, with a variable of its own; white space around that is no matter, and an error is one line.

    Args:
        flag: as on the command line.
        name: the attribute of `Settings`.
        metavar: what stands for the value in the help.
        help: what it is for.
        right: what it takes, for a message; "" if its type says what is wrong.
        also: a variable that is asked where neither the flag nor its own variable says anything.
        more: as for `click.Option`.
    """

    def __init__(
        self,
        flag: str,
        name: str,
        metavar: str,
        help: str,  # noqa: A002
        *,
        right: str = "",
        also: str = "",
        **more: Any,
    ) -> None:
        own = "AGB_OPERATOR_" + flag.partition("/")[0].removeprefix("--").replace("-", "_").upper()
        self._right = right
        self.variables: Sequence[str] = (own, also)
        super().__init__([flag, name], metavar=metavar or None, help=help, **{"show_default": True, **more})

    @property
    def meaning(self) -> str:
        """Its help, with the default if it has one."""
        default = self.get_help_extra(click.Context(click.Command("run"))).get("default")
        return f"{self.help} [default: {default}]" if default else str(self.help)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Read the first variable that holds anything."""
        return os.environ.get(self._variable(), "").strip() or None

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Read what was given.

        Raises:
            SettingsError: it cannot be.
        """
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as exc:
            is_flag = ctx.get_parameter_source(str(self.name)) == ParameterSource.COMMANDLINE
            where = self.opts[0] if is_flag else self._variable()
            given = value if isinstance(value, str) else " ".join(value)
            shown = where if self.hide_input else f"{where} {given!r}"
            raise SettingsError(f"{shown}: {f'must be {self._right}' if self._right else exc.message}") from None

    def _variable(self) -> str:
        return next((name for name in self.variables if os.environ.get(name, "").strip()), "")


class Variable(Setting):
    """A variable of the SDK's, which is no flag."""

    def __init__(self, variable: str, name: str, help: str, **more: Any) -> None:  # noqa: A002
        super().__init__(f"--{variable}", name, "", help, hidden=True, **more)
        self.variables = (variable,)

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Leave the command line alone."""


class Text(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.5
    """What a function reads from a text, and says in a ValueError if it cannot."""

    name = "text"

    def __init__(self, read: Callable[[str], object]) -> None:
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text."""
        try:
            return self._read(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class Matching(click.ParamType):  # type: ignore[type-arg]  # as above
    """A text of a pattern, which another type reads on: by itself that would take "1_000", "nan" and foreign digits."""

    name = "text"

    def __init__(self, pattern: str, then: Any = click.STRING) -> None:
        self._pattern, self._then = re.compile(pattern, re.ASCII), then

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the whole text."""
        if self._pattern.fullmatch(value) is None:
            self.fail(f"does not match {self._pattern.pattern}", param, ctx)
        return self._then.convert(value, param, ctx)
