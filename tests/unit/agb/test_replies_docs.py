"""The reference page of the API's errors says what the client does."""

import json
import re
from pathlib import Path

import pytest

from agb_operator.agb.replies import CODES, Call, read_reply, refusal

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "api-errors.md"


def table(title: str) -> list[list[str]]:
    """The rows of the table under a heading, cells without their backquotes."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


def error_of(call: Call, *, status: int, code: str) -> str:
    body = json.dumps({"success": False, "code": code}).encode()
    error = refusal(call, read_reply(status=status, body=body), redact=str)
    return type(error).__name__


@pytest.mark.parametrize("row", table("Codes"), ids=lambda row: row[0])
def test_the_page_names_the_error_of_each_code(row: list[str]) -> None:
    code, error = row[:2]
    assert error_of(Call.PAUSE, status=200, code=code) == error


def test_the_page_leaves_no_code_out() -> None:
    assert sorted(row[0] for row in table("Codes")) == sorted(CODES)


@pytest.mark.parametrize("row", table("Without a known code")[:4], ids=lambda row: row[0])
def test_the_page_names_the_error_of_each_status(row: list[str]) -> None:
    status, gated, others = row
    for call in (Call.PAUSE, Call.RESUME):
        assert error_of(call, status=int(status), code="Strange.Code") == gated
    for call in (Call.GET, Call.CREATE, Call.RELEASE, Call.LIST):
        assert error_of(call, status=int(status), code="Strange.Code") == re.split("`|:", others)[0]
