"""The sessions and schedules that a question is about: from the cluster, from files, or from both."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agb_operator.model.resource import KIND as SESSION
from agb_operator.model.resource import AgbSession, ObjectKey
from agb_operator.model.schedule import KIND as SCHEDULE
from agb_operator.model.schedule import AgbPauseSchedule
from agb_operator.policy.intent import Schedules
from agb_operator.policy.schedule import Schedule

from .errors import Failed, WrongUsage


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifests:
    """What files hold."""

    sessions: Sequence[Mapping[str, Any]] = ()
    schedules: Sequence[Mapping[str, Any]] = ()

    def within(self, namespace: str) -> "Manifests":
        """Put the objects that name no namespace into this one."""
        sessions, schedules = ([_placed(body, namespace) for body in each] for each in (self.sessions, self.schedules))
        return Manifests(sessions=sessions, schedules=schedules)


def _placed(body: Mapping[str, Any], namespace: str) -> Mapping[str, Any]:
    return {**body, "metadata": {"namespace": namespace, **body["metadata"]}}


def read_files(names: Iterable[str]) -> Manifests:
    """Read YAML or JSON files, `-` is stdin.

    Raises:
        WrongUsage: one cannot be read, or holds something that cannot be used.
    """
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name in names:
        for body in _objects(name):
            kind = str(body.get("kind"))
            if kind not in (SESSION, SCHEDULE) or not str(body.get("apiVersion")).startswith("agb.cloud/"):
                continue  # a file may hold a whole application
            metadata = body.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("name"):
                raise WrongUsage(f"-f {name}: an {kind} has no metadata.name")
            problem = _problem(body, kind)
            if problem:
                raise WrongUsage(f"-f {name}: {kind} {metadata['name']}: {problem}")
            found[kind].append(body)
    if not found:
        raise WrongUsage("-f: there is no AgbSession and no AgbPauseSchedule in the files")
    return Manifests(sessions=found[SESSION], schedules=found[SCHEDULE])


def _objects(name: str) -> Iterable[dict[str, Any]]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
        documents = list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"-f {name}: {getattr(error, 'strerror', None) or 'this is no text'}") from error
    except yaml.YAMLError as error:
        raise WrongUsage(f"-f {name}: this is not YAML: {error}") from error
    for document in documents:
        items = document.get("items") if isinstance(document, dict) else None
        for item in items if isinstance(items, list) else [document]:
            if isinstance(item, dict):
                yield item


def _problem(body: Mapping[str, Any], kind: str) -> str:
    if kind == SCHEDULE:
        return Schedule(AgbPauseSchedule.from_body(body)).problem
    return AgbSession.from_body(body).problem


def overlaid(known: Iterable[Mapping[str, Any]], given: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Apply manifests to what is known, as `kubectl apply` would: what the cluster knows of an object stays."""
    objects = {_key(body): body for body in known}
    for body in given:
        before = objects.get(_key(body))
        if before is None:
            objects[_key(body)] = body
        else:
            metadata = {**before["metadata"], **body["metadata"]}
            objects[_key(body)] = {**before, **body, "metadata": metadata, "status": before.get("status")}
    return list(objects.values())


def _key(body: Mapping[str, Any]) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def by_namespace(bodies: Iterable[Mapping[str, Any]]) -> dict[str, Schedules]:
    """Put schedules on the clock."""
    found: dict[str, list[Schedule]] = defaultdict(list)
    for body in bodies:
        resource = AgbPauseSchedule.from_body(body)
        if not resource.deleting:
            found[resource.namespace].append(Schedule(resource))
    return {namespace: Schedules(existing=tuple(schedules)) for namespace, schedules in found.items()}


def without(
    bodies: Sequence[Mapping[str, Any]], names: Iterable[str], namespace: str | None
) -> list[Mapping[str, Any]]:
    """Leave schedules out, as if they had been deleted.

    Raises:
        WrongUsage: there is none of that name.
    """
    gone = set(names)
    kept = [body for body in bodies if not (body["metadata"]["name"] in gone and _in(body, namespace))]
    absent = gone - {body["metadata"]["name"] for body in bodies if _in(body, namespace)}
    if absent:
        raise WrongUsage(f"--delete {min(absent)}: there is no AgbPauseSchedule of this name")
    return kept


def _in(body: Mapping[str, Any], namespace: str | None) -> bool:
    return namespace is None or body["metadata"]["namespace"] == namespace


def read_sessions(bodies: Iterable[Mapping[str, Any]]) -> list[AgbSession]:
    """Read AgbSessions as the operator does, in order of their names."""
    return sorted((AgbSession.from_body(body) for body in bodies), key=lambda session: session.key)


def named(sessions: Sequence[AgbSession], names: Iterable[str], namespace: str) -> list[AgbSession]:
    """Pick sessions of a namespace by name.

    Raises:
        Failed: there is none of that name.
    """
    known = {session.key: session for session in sessions}
    picked = []
    for name in dict.fromkeys(names):
        session = known.get(ObjectKey(namespace, name))
        if session is None:
            raise Failed(f"there is no AgbSession {namespace}/{name}")
        picked.append(session)
    return picked
