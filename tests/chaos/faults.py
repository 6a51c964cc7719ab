"""What AGB does wrong in a run: failures that it shows, and lies that it tells, each with where and how often."""

from collections.abc import Mapping

from agb_simulator.effects import (
    Delay,
    Effect,
    EndlessPages,
    FallBack,
    FieldValues,
    FilterIgnored,
    HttpError,
    IdValue,
    InvalidToken,
    LostAnswer,
    OtherAccount,
    RawAnswer,
    Shape,
    ShortPage,
    StaleLabels,
    StaleList,
    StaleRead,
    StatusValue,
    TransitionTime,
)
from chaos.stage import AGB_TIMEOUT

LAG = 2.0
"""Seconds for which a provoked stale read lasts: less than the operator allows an accepted call to show."""
MOVES = ("pauseSessionAsync", "resumeSessionAsync")
CALLS = (*MOVES, "releaseSessionAsync", "createSession")
LISTS = ("ListSession",)
LOOKS = ("getSession", *LISTS)
ALL: tuple[str | None, ...] = (None,)
Fault = tuple[Effect, tuple[str | None, ...], float]
"""What AGB does wrong, at which endpoints, and how often."""
FAULTS: Mapping[str, Fault] = {
    "answers 503": (HttpError(status=503, html=True), ALL, 0.4),
    "answers 500 after acting": (HttpError(status=500, applied=True), CALLS, 0.4),
    "answers 429 with Retry-After": (HttpError(status=429, retry_after=1.0), ALL, 0.2),
    "answers 429 without Retry-After": (HttpError(status=429), ALL, 0.2),
    "answers with a page": (RawAnswer(body="<html>maintenance</html>"), ALL, 0.3),
    "acts, and its answer is lost": (LostAnswer(), CALLS, 0.4),
    "hangs up without acting": (LostAnswer(applied=False), CALLS, 0.4),
    "creates late, and its answer is lost": (LostAnswer(late=3.0), ("createSession",), 0.5),
    "acts, and answers too late": (Delay(seconds=AGB_TIMEOUT + 3.0), CALLS, 0.3),
    "takes long": (TransitionTime(seconds=6.0), CALLS[:3], 0.5),
    "falls back": (FallBack(), MOVES, 0.4),
    "deforms its answers": (Shape(pascal_case=True, no_code=True, no_request_id=True), ALL, 0.5),
    "forgets its page tokens": (InvalidToken(), ("ListSession",), 0.5),
    "leaves sessions out of its list": (ShortPage(items=3), ("ListSession",), 0.5),
    "reads stale": (StaleRead(seconds=LAG), MOVES, 0.5),
}
LIES: Mapping[str, Fault] = {
    "ignores the filter of a list": (FilterIgnored(), LISTS, 0.5),
    "is behind with its lists": (StaleList(seconds=LAG), LISTS, 0.5),
    "is behind with its labels": (StaleLabels(seconds=LAG), ("GetLabel",), 0.5),
    "turns pages in a circle": (EndlessPages(how="circle"), LISTS, 0.5),
    "gives the same page for ever": (EndlessPages(how="same_token"), LISTS, 0.5),
    "has always one more page": (EndlessPages(how="new_tokens"), LISTS, 0.5),
    "leaves out statuses in lists": (StatusValue(status=None), LISTS, 0.3),
    "leaves out ids in lists": (IdValue(session_id=None), LISTS, 0.1),
    "answers for somebody else's session": (IdValue(session_id="session-others-1"), ("getSession",), 0.3),
    "lists somebody else's session": (IdValue(session_id="session-others-2"), LISTS, 0.1),
    "counts absurdly": (FieldValues(fields={"count": 10**400, "maxResults": -1, "httpStatusCode": "?"}), ALL, 0.5),
    "looks into an empty account": (OtherAccount(), LOOKS, 0.5),
}
"""Answers in good form that are not so; none of them hides a session for as long as its creator must look for it."""
