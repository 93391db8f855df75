"""The installed daemon when its agents fail: what gets up again, what is left alone, and what is done once more."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darumad.control.client import Json
from tests.e2e.conftest import TEMPLATES, own
from tests.kit import eventually
from tests.kit.daemon import PATIENCE, Daemon

MINDS = "daruma/engine/minds"
EXECUTORS = f"{MINDS}/executors"
QUICK = {"backoff": "10ms", "backoff_jitter": 0.0}
"""How soon a failed item is tried again: the fifth error comes well within the window of a minute."""


def _settings(count: int = 1, **sections: Any) -> dict[str, Any]:
    return {
        "provider": {"use": "offline"},
        "executors": {"count": 2},
        "item": QUICK,
        "agents": {"obeys": own("obeys", count=count), "other": own("obeys", count=1)},
        **sections,
    }


def _witness(daemon: Daemon) -> Path:
    return daemon.home / "witness"


def _order(daemon: Daemon, name: str, *acts: str, agent: str = "obeys", **fields: Any) -> Json:
    """Hand in an item that is to be worked on like this, attempt by attempt."""
    given = {"witness": str(_witness(daemon)), "acts": acts}
    return daemon.submit(name, agent=agent, input=given, **{"max_attempts": 9, **fields})


def _begun(daemon: Daemon) -> list[str]:
    """The items whose work began, once for each time."""
    return [line.split()[0] for line in _witness(daemon).read_text().splitlines()] if _witness(daemon).exists() else []


def _let_go(daemon: Daemon) -> None:
    """What waits need wait no longer."""
    _witness(daemon).with_suffix(".over").touch()


def _restarted(daemon: Daemon) -> Counter[str]:
    """How often the instance at each path got up again, restarts asked for included."""
    return Counter(each["subject"] for each in daemon.events("agent.restarted"))


# --- errors -----------------------------------------------------------------------------------------------------------


def test_five_errors_in_a_minute_restart_their_instance_once_and_no_other(house: Callable[..., Daemon]) -> None:
    daemon = house(_settings()).start()
    _order(daemon, "clumsy", *["slip"] * 5, "work")
    done = daemon.settled("clumsy")
    assert (done["state"], done["attempt"], done["failures"]) == ("succeeded", 6, 5)
    instance = f"{EXECUTORS}/of-obeys/obeys/1"
    counted = daemon.until("agent.error_recorded", instance, times=5)
    assert [each["data"]["errors_in_window"] for each in counted] == [1, 2, 3, 4, 5]
    (restarted, *_) = daemon.until("agent.restarted", instance)
    assert restarted["data"]["reason"] == "errors"
    assert _restarted(daemon) == {instance: 1}
    assert daemon.instance("obeys/1")["incarnation"] == 2
    assert daemon.instance("obeys/1")["errors_in_window"] == 0, "a new life begins without the errors of the last"


def test_four_errors_degrade_their_instance_and_restart_nobody(house: Callable[..., Daemon]) -> None:
    daemon = house(_settings()).start()
    _order(daemon, "clumsy", *["slip"] * 4, "work")
    assert daemon.settled("clumsy")["attempt"] == 5
    eventually(lambda: daemon.instance("obeys/1")["consecutive_errors"] == 0, PATIENCE)
    instance = daemon.instance("obeys/1")
    assert (instance["incarnation"], instance["errors_in_window"], instance["degraded"]) == (1, 4, True)
    assert [each["subject"] for each in daemon.events("agent.health_degraded")] == [instance["path"]]
    assert _restarted(daemon) == {}


@pytest.mark.parametrize("act", ["crash", "leave"])
def test_a_defect_of_a_template_is_its_item_s_and_ends_nothing_else(house: Callable[..., Daemon], act: str) -> None:
    daemon = house(_settings()).start()
    _order(daemon, "bystander", "wait", agent="other")
    daemon.becomes("bystander", state="running")
    _order(daemon, "broken", act, max_attempts=2)
    dead = daemon.settled("broken")
    assert (dead["state"], dead["attempt"], dead["error"]["kind"]) == ("dead", 2, "agent_crashed")
    counted = daemon.until("agent.error_recorded", times=2)
    assert [each["data"]["errors_in_window"] for each in counted] == [1, 2]
    _order(daemon, "next", "work")
    assert daemon.settled("next")["state"] == "succeeded"
    _let_go(daemon)
    assert daemon.settled("bystander")["attempt"] == 1
    assert _begun(daemon) == ["bystander", "broken", "broken", "next"]
    assert _restarted(daemon) == {}
    assert daemon.client.call("health")["live"]


def test_an_agent_that_cannot_be_made_keeps_its_items_waiting_and_nobody_else_s(
    house: Callable[..., Daemon], tmp_path: Path
) -> None:
    template = tmp_path / "typo.py"
    template.write_text("from darumad.agents import Tempalte\n")
    agents = {"typo": {"template": str(template), "isolation": "none", "count": 1}, "other": own("obeys", count=1)}
    daemon = house(_settings(agents=agents)).start()
    _order(daemon, "waits", "work", agent="typo", challenge=False)
    _order(daemon, "elsewhere", "work", agent="other")
    assert daemon.settled("elsewhere")["state"] == "succeeded"
    (told, *_) = daemon.until("agent.spawn_failed")
    assert "typo.py" in told["data"]["error"]
    assert daemon.instance("typo/1")["degraded"]
    daemon.becomes("waits", stage="executing", state="ready")

    template.write_text((TEMPLATES / "obeys.py").read_text())
    assert daemon.run("agents", "restart", "typo").returncode == 0
    done = daemon.settled("waits")
    assert (done["state"], done["attempt"], done["failures"]) == ("succeeded", 1, 0)


# --- restarts ---------------------------------------------------------------------------------------------------------


def test_a_restart_under_load_has_only_that_slot_s_item_claimed_again(house: Callable[..., Daemon]) -> None:
    daemon = house(_settings(count=3)).start()
    names = [f"load-{number}" for number in range(12)]
    for name in names:
        _order(daemon, name, "wait")
    eventually(lambda: len(_begun(daemon)) == 3, PATIENCE)
    path = f"{EXECUTORS}/of-obeys/obeys/2"
    (held,) = [name for name in _begun(daemon) if str(daemon.item(name)["holder"]).startswith(f"{path}#")]

    said = daemon.run("agents", "restart", path)
    assert said.returncode == 0, said.stderr
    eventually(lambda: len(_begun(daemon)) == 4, PATIENCE)
    assert _begun(daemon)[3] == held
    _let_go(daemon)
    for name in names:
        done = daemon.settled(name)
        assert (done["state"], done["attempt"], done["failures"]) == ("succeeded", 1, 0)
    assert Counter(_begun(daemon)) == Counter([*names, held])
    assert [each["subject"] for each in daemon.events("work.interrupted")] == [held]
    assert _restarted(daemon) == {path: 1}


def test_an_agent_that_keeps_failing_is_benched_and_hurts_nobody_until_it_is_called_up(
    house: Callable[..., Daemon],
) -> None:
    supervision = {"error_limit": 1, "degraded_at": 1, "give_up_after": 2, "backoff_min": "10ms", "backoff_max": "20ms"}
    daemon = house(_settings(supervision=supervision)).start()
    _order(daemon, "hopeless", *["slip"] * 3, "work")
    (benched,) = daemon.until("agent.benched")
    assert benched["data"]["agent"] == "obeys"
    assert daemon.instance("obeys/1")["state"] == "benched"
    daemon.becomes("hopeless", state="ready", failures=3)

    _order(daemon, "elsewhere", "work", agent="other")
    assert daemon.settled("elsewhere")["state"] == "succeeded"
    assert _begun(daemon).count("hopeless") == 3, "a benched agent is given nothing"
    above = {
        row["path"]: row["incarnation"] for row in daemon.client.call("tree")["items"] if row["kind"] == "supervisor"
    }
    assert set(above.values()) == {1}, "who supervises it was not restarted for it"

    assert daemon.run("agents", "restart", "obeys").returncode == 0
    assert daemon.settled("hopeless")["attempt"] == 4
    assert [each["data"]["agent"] for each in daemon.events("agent.unbenched")] == ["obeys"]


# --- the review -------------------------------------------------------------------------------------------------------

PACKAGE = '''"""How to greet."""


def bow(depth: int) -> str:
    """Bow so deep."""


def wave(times: int) -> str:
    """Wave so often."""
'''


def test_an_entry_lost_between_work_and_review_sends_the_item_back_by_name_and_the_repair_passes(
    house: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = house(_settings(reviewers={"count": 1})).start()
    (tmp_path / "greeting.py").write_text(PACKAGE)
    busy = {"witness": str(_witness(daemon)), "acts": ["work"], "check": "wait"}
    daemon.submit("long-review", agent="obeys", input=busy, stages=["execute", "review"])
    daemon.becomes("long-review", stage="reviewing", state="running")
    handed_in = ("submit", "--id", "greeting", "--agent", "documentation", "--input", str(tmp_path / "greeting.py"))
    assert daemon.run(*handed_in, "Document this module").returncode == 0

    daemon.becomes("greeting", stage="reviewing", state="ready")  # the only reviewer is at the other item
    (page,) = (daemon.state / "workspaces").rglob("reference.md")
    _take_out(page, "greeting.wave")
    _let_go(daemon)

    done = daemon.settled("greeting")
    assert (done["state"], done["attempt"], done["reviews"], done["failures"]) == ("succeeded", 2, 1, 0)
    (sent_back,) = daemon.events("work.review_failed", "greeting")
    assert any("greeting.wave" in issue for issue in sent_back["data"]["issues"])
    assert not any("greeting.bow" in issue for issue in sent_back["data"]["issues"])
    assert list(done["feedback"][0]["issues"]) == sent_back["data"]["issues"]
    assert "greeting.wave" in page.read_text(), "made whole again"


def _take_out(page: Path, name: str) -> None:
    """Cut the entry of `name` out of a reference: from its head to the next."""
    before = page.read_text()
    after = re.sub(rf'^#+ <a id="{re.escape(name)}">.*?(?=^#+ |\Z)', "", before, flags=re.MULTILINE | re.DOTALL)
    assert len(after) < len(before)
    page.write_text(after)
