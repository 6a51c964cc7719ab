"""The SDK's own `pause_async` or `resume_async` for all sessions at once; nothing else, and no Kubernetes.

Run by the SDK's own Python: `loop.py pause|resume SESSION-ID ...`. The exit code is the number of sessions, at most
100, that the SDK gave up on.
"""

import asyncio
import os
import sys

from agb import AGB
from agb.session import Session


async def main(action: str, session_ids: list[str]) -> int:
    """Act on all sessions; returns how many failed."""
    agb = AGB(api_key=os.environ["AGB_API_KEY"])
    sessions = [Session(agb, session_id) for session_id in session_ids]
    calls = [session.pause_async() if action == "pause" else session.resume_async() for session in sessions]
    results = await asyncio.gather(*calls, return_exceptions=True)
    return sum(isinstance(result, BaseException) or not result.success for result in results)


if __name__ == "__main__":
    sys.exit(min(100, asyncio.run(main(sys.argv[1], sys.argv[2:]))))
