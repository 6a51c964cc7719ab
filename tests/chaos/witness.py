"""A witness of every version of every AgbSession: what must hold at each moment, not only in the end."""

import json
import threading
from typing import Any

from chaos.api import Refused, Sessions
from chaos.journal import Journal


class Witness:
    """Watches, past the proxies, until told to stop."""

    def __init__(self, *, sessions: Sessions, journal: Journal) -> None:
        self._sessions = sessions
        self._journal = journal
        self._session_ids: dict[str, str] = {}

    def run(self, done: threading.Event) -> None:
        """Watch; versions that come and go while the API server is away are not seen."""
        version = ""
        while not done.is_set():
            try:
                if not version:
                    items, version = self._sessions.list()
                    for item in items:
                        self._look(item)
                version = self._follow(version, done)
            except Refused:
                version = ""
                done.wait(0.5)

    def _follow(self, version: str, done: threading.Event) -> str:
        """Look at what comes after a version; returns the last one, "" if that is too old to go on from."""
        for line in self._sessions.watch(version):
            event = json.loads(line)
            if done.is_set() or event["type"] == "ERROR":
                return ""
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] in ("ADDED", "MODIFIED"):
                self._look(event["object"])
        return version

    def _look(self, body: dict[str, Any]) -> None:
        self._journal.count("version witnessed")
        metadata, spec, status = body["metadata"], body["spec"], body.get("status", {})
        name = metadata["name"]
        session_id = status.get("sessionId", "")
        if status.get("observedGeneration", -1) > metadata["generation"]:
            self._journal.violated(f"{name}: the status tells of a generation that this object never had")
        if "sessionId" in spec and session_id not in ("", spec["sessionId"]):
            self._journal.violated(f"{name}: the status tells of {session_id}, not of the session in the spec")
        known = self._session_ids.setdefault(metadata["uid"], session_id) or session_id
        if session_id != known:
            self._journal.violated(f"{name}: its session was {known} and became {session_id or 'none'}")
        self._session_ids[metadata["uid"]] = known
