"""Keys: which resource may use which, and that bad, missing and replaced ones cost little and heal by themselves."""

import asyncio

import pytest

from agb_operator.model.errors import ClusterUnavailable
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime
IMAGE = "agb-code-space-1"
NEW_KEY = "simulator-key-new"
NAMES = [f"s{number}" for number in range(50)]
MINUTE = 60.0


async def all_ready(world: World, reason: str, *, within: float = 120.0) -> None:
    for name in NAMES:
        await world.ready(reason, name, within=within)


async def test_fifty_resources_with_a_bad_key_hardly_call_and_heal_within_a_minute() -> None:
    async with World() as world:
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey="simulator-key-bad")
        world.control.add_key("simulator-key-bad")
        world.control.revoke_key("simulator-key-bad")
        for name in NAMES:
            world.apply(name, imageId=IMAGE)
        await asyncio.sleep(10 * MINUTE)
        assert len(world.control.requests()) < 30
        assert {world.reason(name) for name in NAMES} == {"CredentialsInvalid"}
        assert world.cluster.secret_reads < 60, "one look at the Secret serves all who name it"
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        repaired = asyncio.get_running_loop().time()
        await all_ready(world, "Running", within=MINUTE)
        assert asyncio.get_running_loop().time() - repaired < MINUTE
        assert len(world.live()) == len(NAMES)


async def test_fifty_settled_sessions_whose_key_is_revoked_hardly_call_and_heal_within_a_minute() -> None:
    async with World() as world:
        for name in NAMES:
            world.apply(name, imageId=IMAGE)
        await all_ready(world, "Running")
        world.control.revoke_key(KEY)
        requests = len(world.control.requests())
        await asyncio.sleep(10 * MINUTE)
        assert len(world.control.requests()) - requests < 30
        assert {world.reason(name) for name in NAMES} == {"CredentialsInvalid"}
        world.control.add_key(NEW_KEY, shares_with=KEY)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=NEW_KEY)
        repaired = asyncio.get_running_loop().time()
        await all_ready(world, "Running", within=MINUTE)
        assert asyncio.get_running_loop().time() - repaired < MINUTE
        assert world.calls("createSession") == len(NAMES), "no session was replaced"


async def test_a_key_that_agb_accepts_again_is_noticed_within_five_minutes() -> None:
    async with World() as world:
        world.control.revoke_key(KEY)
        world.apply(imageId=IMAGE)
        await asyncio.sleep(60 * MINUTE)
        world.control.add_key(KEY)
        await world.ready("Running", within=5.5 * MINUTE)


async def test_a_key_is_rotated_without_a_restart_and_without_a_word() -> None:
    async with World() as world:
        for name in NAMES:
            world.apply(name, imageId=IMAGE)
        await all_ready(world, "Running")
        world.control.add_key(NEW_KEY, shares_with=KEY)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=NEW_KEY)
        await asyncio.sleep(2 * MINUTE)
        world.control.revoke_key(KEY)
        writes = len(world.cluster.status_writes)
        world.patch("s0", paused=True)
        await world.ready("Paused", "s0")
        await asyncio.sleep(5 * MINUTE)
        assert len(world.cluster.status_writes) - writes == 2


async def test_a_key_that_is_replaced_and_revoked_at_once_is_read_again_when_it_is_refused() -> None:
    async with World() as world:
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        await asyncio.sleep(5 * MINUTE)
        world.control.add_key(NEW_KEY, shares_with=KEY)
        world.control.revoke_key(KEY)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=NEW_KEY)
        world.patch(paused=True)
        await world.ready("Paused", within=10.0)
        assert [event.reason for event in world.cluster.events] == ["Created", "Running", "Paused"]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_secret_that_cannot_be_read_while_its_key_is_refused_is_not_read_again_and_again(status: int) -> None:
    async def refuse(namespace: str) -> None:
        raise ClusterUnavailable("the API server is busy", http_status=status)

    async with World() as world:
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        world.control.revoke_key(KEY)
        world.cluster.on_secret_read = refuse
        reads, calls = world.cluster.secret_reads, len(world.control.requests())
        world.patch(paused=True)
        await asyncio.sleep(10)
        assert world.cluster.secret_reads - reads <= 5
        assert len(world.control.requests()) - calls <= 2
        await asyncio.sleep(10 * MINUTE)
        assert world.reason() == "CredentialsInvalid"
        assert world.cluster.secret_reads - reads <= 30
        world.control.add_key(NEW_KEY, shares_with=KEY)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=NEW_KEY)
        world.cluster.on_secret_read = None
        await world.ready("Paused", within=MINUTE)


async def test_while_a_secret_cannot_be_read_the_key_from_before_serves_all_at_once() -> None:
    async def time_out(namespace: str) -> None:
        await asyncio.sleep(30)
        raise ClusterUnavailable("no answer in time")

    async with World() as world:
        for name in NAMES:
            world.apply(name, imageId=IMAGE)
        await all_ready(world, "Running")
        await asyncio.sleep(2 * MINUTE)
        world.cluster.on_secret_read = time_out
        reads = world.cluster.secret_reads
        for _ in range(5):
            for name in NAMES:
                world.patch(name, paused=not world.session(name).paused)
            await asyncio.sleep(MINUTE)
        assert {world.reason(name) for name in NAMES} == {"Paused"}
        assert world.calls("pauseSessionAsync") == 3 * len(NAMES)
        assert world.cluster.secret_reads - reads <= 10, "one read serves all who wait for it"


@pytest.mark.parametrize(
    ("entries", "reason", "says"),
    [
        (
            None,
            "CredentialsMissing",
            f"Secret {SECRET} does not exist in namespace {NAMESPACE}. Create it with the API key under apiKey;",
        ),
        (
            {"token": KEY},
            "CredentialsMissing",
            f"Secret {SECRET} in namespace {NAMESPACE} has no entry apiKey. Add it, or name another one",
        ),
        ({"apiKey": ""}, "CredentialsInvalid", "cannot be used: the API key is empty."),
        ({"apiKey": f"{KEY}\nand more"}, "CredentialsInvalid", "cannot be used: the API key holds spaces, line breaks"),
        (
            {"apiKey": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln"},
            "CredentialsInvalid",
            "it is a JSON Web Token",
        ),
        ({"apiKey": '{"apiKey":"k"}'}, "CredentialsInvalid", "it is JSON, not an API key."),
        ({"apiKey": "-----BEGIN PRIVATE KEY-----"}, "CredentialsInvalid", "it is PEM, not an API key."),
    ],
    ids=["no Secret", "another entry", "empty", "two lines", "token", "json", "PEM"],
)
async def test_a_secret_that_cannot_be_used_is_described_and_its_repair_noticed(
    entries: dict[str, str] | None, reason: str, says: str
) -> None:
    async with World() as world:
        if entries is None:
            del world.cluster.secrets[NAMESPACE, SECRET]
        else:
            world.cluster.put_secret(NAMESPACE, SECRET, **entries)
        world.apply(imageId=IMAGE)
        await world.ready(reason)
        assert says in world.condition("Ready")["message"]
        assert world.condition("Stalled")["reason"] == reason
        assert KEY not in str(world.status())
        await asyncio.sleep(10 * MINUTE)
        assert len(world.control.requests()) == 0
        assert [event.reason for event in world.cluster.events] == [reason]
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=f"{KEY}\n")
        await world.ready("Running", within=MINUTE)


async def test_the_operator_s_own_key_serves_the_listed_namespaces_only() -> None:
    async with World(own_key=KEY, own_key_namespaces=(NAMESPACE,)) as world:
        world.cluster.apply(NAMESPACE, "s", {"imageId": IMAGE})
        world.cluster.apply("other", "s", {"imageId": IMAGE})
        await world.ready("Running")
        await asyncio.sleep(10 * MINUTE)
        ready = next(c for c in world.cluster.status("other", "s")["conditions"] if c["type"] == "Ready")
        assert ready["reason"] == "CredentialsMissing"
        assert ready["message"] == (
            "spec.credentials is not set, and namespace other may not use the "
            "operator's own key. Name a Secret in spec.credentials.secretRef, or have the administrator list the "
            "namespace (--default-key-namespace)."
        )
        assert len(world.live()) == 1


async def test_a_star_lets_every_namespace_use_the_operator_s_own_key() -> None:
    async with World(own_key=KEY, own_key_namespaces=("*",)) as world:
        world.cluster.apply("any", "s", {"imageId": IMAGE})
        await world.until(lambda: len(world.live()) == 1)


async def test_without_a_key_of_its_own_the_operator_says_that_a_secret_is_needed() -> None:
    async with World(own_key_namespaces=("*",)) as world:
        world.cluster.apply(NAMESPACE, "s", {"imageId": IMAGE})
        await world.ready("CredentialsMissing")
        assert "the operator has no key of its own (AGB_API_KEY)" in world.condition("Ready")["message"]
        world.patch(credentials={"secretRef": {"name": SECRET}})
        await world.ready("Running", within=5.0)


async def test_two_keys_of_two_tenants_never_meet() -> None:
    """A tenant's bad key opens no breaker but its own, and each sees its own sessions alone."""
    async with World() as world:
        world.control.add_key("simulator-key-b")
        world.control.revoke_key("simulator-key-b")
        world.cluster.put_secret(NAMESPACE, "secret-b", apiKey="simulator-key-b")
        world.apply("a", imageId=IMAGE)
        world.cluster.apply(NAMESPACE, "b", {"imageId": IMAGE, "credentials": {"secretRef": {"name": "secret-b"}}})
        await world.ready("Running", "a")
        await world.ready("CredentialsInvalid", "b")
        world.patch("a", paused=True)
        await world.ready("Paused", "a", within=10.0)
        world.control.add_key("simulator-key-b")
        await world.ready("Running", "b", within=5.5 * MINUTE)
        clients = {session["labels"]["agb-operator-name"]: session["account"] for session in world.live()}
        assert len(set(clients.values())) == 2


def refusals(world: World) -> float:
    """Count the passes that met a refused key."""
    counted = world.samples("agb_reconcile_errors_total", reason="CredentialsInvalid")
    return sum(sample.value for sample in counted)


async def test_a_refused_key_does_not_ask_for_its_secret_without_a_pause_where_too_many_secrets_are_missing() -> None:
    """The namespace has two reads a second, and all are taken; at which moment of the half second, matters."""
    async with World() as world:
        keys = [f"simulator-key-{number}" for number in range(5)]
        for key in keys:
            world.cluster.put_secret(NAMESPACE, key, apiKey=key)
            world.apply(key, sessionId=world.control.add_session(key), credentials={"secretRef": {"name": key}})
        for key in keys:
            await world.ready("Running", key)
        for number in range(150):
            missing = {"secretRef": {"name": f"missing-{number}"}}
            world.cluster.apply(NAMESPACE, f"m{number}", {"sessionId": f"session-{number}", "credentials": missing})
            await asyncio.sleep(0.2)
        await asyncio.sleep(200.0)
        for key in keys:
            world.control.revoke_key(key)
            world.patch(key, paused=True)
            await asyncio.sleep(0.1)
        await asyncio.sleep(30.0)

        assert len(keys) <= refusals(world) <= 3 * len(keys)
