"""The SDK's environment: what a user reads when it cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdk_env import SdkNotAvailable, sdk_python


def test_a_failed_install_says_what_to_do_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SdkNotAvailable, match="check that pip reaches its package index") as raised:
        sdk_python({"AGB_OPERATOR_CACHE": str(tmp_path)})
    assert "No matching distribution found for agbcloud-sdk" in str(raised.value)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
