"""pause, resume and auto against a real API server: what is written, what is said, and how it ends."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e.stack import eventually
from plugin.conftest import Fleet, Plugin


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


class TestPause:
    def test_without_a_time_it_is_paused_for_good_and_an_override_goes(self, agb: Plugin, fleet: Fleet) -> None:
        fleet.session("s", override={"state": "Running", "until": in_hours(1)})

        ended = agb.here("pause", "s")

        assert (ended.code, ended.out, ended.err) == (0, "s: Paused (Spec)\n", "")
        assert (fleet.spec("s")["paused"], "override" in fleet.spec("s")) == (True, False)

    def test_with_a_time_it_is_an_override_with_its_reason_and_paused_is_left_alone(
        self, agb: Plugin, fleet: Fleet
    ) -> None:
        fleet.session("s", paused=False)

        ended = agb.here("pause", "s", "--for", "90m", "--reason", "lunch")

        override = fleet.spec("s")["override"]
        assert ended.code == 0
        assert ended.out.startswith("s: Paused until ")
        assert ended.out.endswith("), then Running\n")
        assert (override["state"], override["reason"], fleet.spec("s")["paused"]) == ("Paused", "lunch", False)
        assert abs(moment(override["until"]) - moment(in_hours(1.5))) < timedelta(minutes=1)

    def test_a_new_override_takes_nothing_over_from_the_one_before(self, agb: Plugin, fleet: Fleet) -> None:
        fleet.session("s", override={"state": "Running", "until": in_hours(1), "reason": "old"})

        assert agb.here("pause", "s", "--for", "2h").code == 0

        assert "reason" not in fleet.spec("s")["override"]


class TestResume:
    def test_without_a_time_it_runs_and_an_override_that_says_paused_goes(self, agb: Plugin, fleet: Fleet) -> None:
        fleet.session("s", paused=True, override={"state": "Paused", "until": in_hours(1)})

        ended = agb.here("resume", "s")

        assert (ended.code, ended.out) == (0, "s: Running\n")
        assert (fleet.spec("s")["paused"], "override" in fleet.spec("s")) == (False, False)

    def test_an_override_that_says_running_stays_for_resume_puts_nobody_to_sleep(
        self, agb: Plugin, fleet: Fleet
    ) -> None:
        override = {"state": "Running", "until": in_hours(1)}
        fleet.session("s", paused=True, override=override)

        assert agb.here("resume", "s").code == 0

        assert fleet.spec("s")["override"] == override

    def test_where_a_schedule_keeps_it_asleep_it_says_until_when_and_how_to_wake_it_and_ends_with_3(
        self, agb: Plugin, fleet: Fleet
    ) -> None:
        fleet.session("s", paused=True)
        fleet.asleep_now("maintenance")

        ended = agb.here("resume", "s")

        assert ended.code == 3
        assert ended.out.startswith("s: paused=false, but Schedule/maintenance keeps it asleep until ")
        assert ended.out.endswith("To wake it now: --for 2h\n")
        assert fleet.spec("s")["paused"] is False

    def test_for_a_time_it_wins_over_the_schedule_and_says_what_comes_then(self, agb: Plugin, fleet: Fleet) -> None:
        fleet.session("s")
        fleet.asleep_now("maintenance")

        ended = agb.here("resume", "s", "--for", "2h")

        assert ended.code == 0
        assert ended.out.startswith("s: Running until ")
        assert ended.out.endswith(", then Paused by Schedule/maintenance\n")

    def test_what_is_only_observed_is_accepted_and_not_in_effect(self, agb: Plugin, fleet: Fleet) -> None:
        fleet.session("s", managementPolicy="Observe")

        ended = agb.here("resume", "s", "--wait")

        assert ended.code == 3
        assert "managementPolicy: Observe only reports" in ended.out


class TestAuto:
    def test_it_removes_the_override_and_paused_and_says_what_the_clock_decides(
        self, agb: Plugin, fleet: Fleet
    ) -> None:
        fleet.session("s", paused=True, override={"state": "Running", "until": in_hours(1)})
        fleet.asleep_now("maintenance")

        ended = agb.here("auto", "s")

        assert ended.code == 0
        assert ended.out.startswith("s: Paused (Schedule/maintenance) until ")
        assert {"paused", "override"} & set(fleet.spec("s")) == set()


class TestManager:
    def test_its_writes_are_the_field_managers_agb_and_outlive_a_server_side_apply_of_another(
        self, agb: Plugin, fleet: Fleet
    ) -> None:
        fleet.session("s")
        assert agb.here("resume", "s", "--for", "2h").code == 0
        manifest = {
            "apiVersion": "agb.cloud/v1alpha1",
            "kind": "AgbSession",
            "metadata": {"name": "s", "namespace": agb.namespace},
            "spec": {"sessionId": "session-s", "pollInterval": "3s"},
        }

        applied = agb.kubectl.apply(manifest, "--server-side", "--field-manager=gitops", "--force-conflicts")

        assert applied.succeeded, applied.err
        found = fleet.get("s")
        fields = {entry["manager"]: entry["fieldsV1"] for entry in found["metadata"]["managedFields"]}
        assert "f:override" in fields["agb"]["f:spec"]
        assert found["spec"]["override"]["state"] == "Running"
        assert found["spec"]["pollInterval"] == "3s"


class TestDryRun:
    @pytest.mark.parametrize("how", ["server", "client"])
    def test_nothing_changes_and_what_would_be_is_said(self, agb: Plugin, fleet: Fleet, how: str) -> None:
        fleet.session("s")
        before = fleet.get("s")

        ended = agb.here("pause", "s", "--for", "1h", f"--dry-run={how}")

        assert ended.code == 0
        assert ended.out.endswith(f", then Running ({how} dry run)\n")
        assert fleet.get("s") == before

    def test_the_server_may_refuse_in_it(self, agb: Plugin, fleet: Fleet) -> None:
        ended = agb.here("pause", "absent", "--dry-run=server")

        assert ended.code == 1
        assert "not found" in ended.line


class TestObjects:
    @pytest.mark.parametrize("form", ["json", "yaml"])
    def test_programs_get_a_list(self, agb: Plugin, fleet: Fleet, form: str) -> None:
        import yaml

        fleet.session("s")

        ended = agb.here("pause", "s", "-o", form)

        found: list[dict[str, Any]] = json.loads(ended.out) if form == "json" else yaml.safe_load(ended.out)
        assert found == [
            {
                "namespace": agb.namespace,
                "name": "s",
                "changed": True,
                "inEffect": True,
                "wanted": "Paused",
                "why": "Spec",
                "nextChange": None,
            }
        ]


class TestBulk:
    def test_one_that_is_refused_stops_nobody_and_is_named_at_the_end(self, agb: Plugin, fleet: Fleet) -> None:
        names = [f"s-{number:03}" for number in range(200)]
        fleet.session(*names, labels={"team": "ml"})
        refuse(agb, "s-117")

        ended = agb.here("pause", "-l", "team=ml", "--yes")

        assert ended.code == 1
        last = ended.out.splitlines()[-2:]
        assert last[0] == "199 of 200 done, 1 failed"
        assert last[1].startswith(f"  failed: {agb.namespace}/s-117: ")
        assert "not this one" in last[1]
        listed = json.loads(agb.kubectl("get", "agbsessions", "-n", agb.namespace, "-o", "json").out)["items"]
        assert [each["metadata"]["name"] for each in listed if not each["spec"].get("paused")] == ["s-117"]

    def test_in_all_namespaces_each_is_named_with_its_own(
        self, agb: Plugin, fleet: Fleet, new_plugin: Callable[[], Plugin]
    ) -> None:
        other = new_plugin()
        for each in (fleet, Fleet(agb=other)):
            each.session("same", labels={"bulk": agb.namespace})

        ended = agb("pause", "-A", "-l", f"bulk={agb.namespace}", "--dry-run=server")

        assert ended.code == 0
        assert sorted(ended.out.splitlines()) == sorted(
            [
                f"{agb.namespace}/same: Paused (Spec) (server dry run)",
                f"{other.namespace}/same: Paused (Spec) (server dry run)",
                "2 of 2 done (server dry run)",
            ]
        )

    def test_more_than_twenty_need_a_yes_unless_they_were_named(self, agb: Plugin, fleet: Fleet) -> None:
        names = [f"s-{number}" for number in range(21)]
        fleet.session(*names)

        ended = agb.here("pause", "--all")

        assert ended.code == 2
        assert ended.line == "kubectl agb: these are 21 AgbSessions: add --yes if you mean all of them"
        assert "paused" not in fleet.spec("s-3")
        assert agb.here("pause", *names).code == 0


def refuse(agb: Plugin, name: str) -> None:
    """Have the API server refuse changes of one session."""
    kind = "ValidatingAdmissionPolicy"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": agb.namespace},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["agb.cloud"],
                        "apiVersions": ["*"],
                        "operations": ["UPDATE"],
                        "resources": ["agbsessions"],
                    }
                ]
            },
            "validations": [
                {
                    "expression": f"object.metadata.namespace != '{agb.namespace}' || object.metadata.name != '{name}'",
                    "message": "not this one",
                }
            ],
        },
    }
    binding = {
        "apiVersion": policy["apiVersion"],
        "kind": f"{kind}Binding",
        "metadata": {"name": agb.namespace},
        "spec": {"policyName": agb.namespace, "validationActions": ["Deny"]},
    }
    for manifest in (policy, binding):
        assert agb.kubectl.apply(manifest).succeeded
    eventually(
        lambda: (
            "not this one" in agb.kubectl("annotate", "agbsession", name, "-n", agb.namespace, "a=b", "--overwrite").err
        )
    )
