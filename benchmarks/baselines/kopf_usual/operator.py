"""The operator that kopf's documentation leads to: a handler per change, and `TemporaryError` until AGB is done.

It adopts sessions only. kopf keeps its progress in annotations of the object, and wakes the handler again. Run it
with `kopf run`; never put this folder on the import path, since the standard library has a module of the same name.
"""

import os
from typing import Any

import httpx
import kopf

POLL = 2.0
"""Seconds between two looks at a moving session, as agb-operator's default."""
PHASES = {"RUNNING": "Running", "PAUSING": "Pausing", "PAUSED": "Paused", "RESUMING": "Resuming"}
CALLS = {("RUNNING", "PAUSED"): "pauseSessionAsync", ("PAUSED", "RUNNING"): "resumeSessionAsync"}


@kopf.on.startup()
async def start(memo: kopf.Memo, **_: Any) -> None:
    """Open one pool of connections."""
    memo.agb = httpx.AsyncClient(
        base_url=os.environ["AGB_ENDPOINT"],
        headers={"authorization": f"Bearer {os.environ['AGB_API_KEY']}"},
        timeout=60.0,
    )


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    """Close it."""
    await memo.agb.aclose()


@kopf.on.create("agb.cloud", "v1alpha1", "agbsessions")
@kopf.on.resume("agb.cloud", "v1alpha1", "agbsessions")
@kopf.on.update("agb.cloud", "v1alpha1", "agbsessions", field="spec.paused")
async def follow(
    spec: kopf.Spec, meta: kopf.Meta, body: kopf.Body, patch: kopf.Patch, memo: kopf.Memo, **_: Any
) -> None:
    """Bring the session to what the spec asks for; called again until it is there."""
    session_id = spec["sessionId"]
    wanted = "PAUSED" if spec.get("paused") else "RUNNING"
    seen = (await ask(memo.agb, "getSession", session_id))["data"]["status"]
    report(patch, meta, seen, wanted)
    if seen == wanted:
        kopf.info(body, reason=PHASES[seen], message=f"Session {session_id} is {seen.lower()}.")
        return
    if (seen, wanted) in CALLS:
        await ask(memo.agb, CALLS[seen, wanted], session_id)
    raise kopf.TemporaryError(f"The session is {seen}.", delay=POLL)


async def ask(agb: httpx.AsyncClient, call: str, session_id: str) -> dict[str, Any]:
    """Make one call; what fails is tried again by kopf."""
    answer = await agb.post(f"/mcp/{call}", json={"sessionId": session_id})
    if answer.is_error:
        raise kopf.TemporaryError(f"{call} failed: HTTP {answer.status_code}", delay=POLL)
    found: dict[str, Any] = answer.json()
    return found


def report(patch: kopf.Patch, meta: kopf.Meta, seen: str, wanted: str) -> None:
    """Put what is seen into the status."""
    generation = meta["generation"]
    patch.status["observedGeneration"] = generation
    patch.status["phase"] = PHASES.get(seen, "Unknown")
    patch.status["sessionStatus"] = seen
    patch.status["desiredState"] = PHASES[wanted]
    patch.status["conditions"] = [
        {
            "type": kind,
            "status": str(holds),
            "reason": PHASES.get(seen, "Unknown"),
            "message": f"The session is {seen}.",
            "observedGeneration": generation,
            "lastTransitionTime": "2025-01-01T00:00:00Z",
        }
        for kind, holds in (("Ready", seen == wanted), ("Paused", seen == "PAUSED"))
    ]
