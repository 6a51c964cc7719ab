"""A session's life told by the official SDK: runs in the SDK's own environment, prints JSON on stdout.

Usage: python sdk_story.py ADDRESS KEY. Each step of the story is one entry of the printed object.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from agb import AGB
from agb.config import Config
from agb.session_params import CreateSessionParams

LABELS = {"project": "batch-job", "owner": "sdk.story:1"}


def outcome(result: Any) -> dict[str, Any]:
    """What an SDK result says, without the objects in it."""
    return {
        "success": result.success,
        "error": result.error_message,
        "requestId": result.request_id,
    }


def tell(agb: AGB) -> dict[str, Any]:
    """Live through create, labels, list, pause, refused delete, resume, delete."""
    story: dict[str, Any] = {}

    def step(name: str, result: Any, **more: Any) -> Any:
        story[name] = {**outcome(result), **more}
        return result

    def wait(act: Callable[..., Any]) -> Any:
        return act(timeout=30, poll_interval=0.05)

    created = step("create", agb.create(CreateSessionParams(image_id="agb-code-space-1", labels=LABELS)))
    session = created.session
    story["create"]["url"] = session.resource_url

    got = step("get", agb.get_session(session.session_id))
    story["get"]["status"] = got.data.status
    story["get"]["urlDiffers"] = got.data.resource_url != session.resource_url

    story["labels"] = session.get_labels().data
    step("set_labels", session.set_labels({"project": "other"}))
    story["labels_after"] = session.get_labels().data

    for number in range(4):
        agb.create(CreateSessionParams(image_id="agb-code-space-1", labels={"number": str(number)}))
    listed = step("list_by_label", agb.list(labels={"project": "other"}))
    story["list_by_label"]["found"] = listed.session_ids == [session.session_id]
    step("list_no_match", agb.list(labels={"project": "nobody"}))
    pages = [step(f"list_page_{page}", agb.list(page=page, limit=2)) for page in (1, 2, 3)]
    story["pages"] = [len(page.session_ids) for page in pages]
    story["total"] = pages[0].total_count
    story["distinct"] = len({found for page in pages for found in page.session_ids})
    step("list_page_4", agb.list(page=4, limit=2))

    step("pause", wait(session.pause))
    story["paused_status"] = agb.get_session(session.session_id).data.status
    story["paused_usable"] = agb.get(session.session_id).success
    step("pause_again", wait(session.pause))
    step("delete_paused", session.delete())
    story["still"] = agb.get_session(session.session_id).data.status
    step("resume", wait(session.resume))
    story["resumed_status"] = agb.get_session(session.session_id).data.status
    step("delete", session.delete())
    step("delete_again", session.delete())
    unknown = step("get_unknown", agb.get_session("session-that-never-was"))
    story["get_unknown"]["code"] = unknown.code
    story["get_unknown"]["http"] = unknown.http_status_code

    stranger = AGB(api_key="simulator-key-wrong", cfg=agb.config)
    step("wrong_key_get", stranger.get_session(session.session_id))
    step("wrong_key_list", stranger.list())
    step("wrong_key_create", stranger.create(CreateSessionParams(image_id="agb-code-space-1")))
    return story


def main() -> None:
    """Tell the story."""
    address, key = sys.argv[1:]
    # A trailing slash doubles the slash before each path, which AGB is known to accept.
    agb = AGB(api_key=key, cfg=Config(endpoint=f"{address}/", timeout_ms=20_000))
    sys.stdout.write(json.dumps(tell(agb)))


if __name__ == "__main__":
    main()
