"""The installed daemon when its agents use their hands: how often, how long, and how it ended is counted."""

from collections.abc import Callable

from darumad.sim import Reply, Rule, Simulation, ToolUse, When
from tests.kit.daemon import Daemon


def test_the_tools_that_agents_run_are_counted_by_how_they_ended(house: Callable[..., Daemon]) -> None:
    wishes = (
        ToolUse(name="write_file", args={"path": "a.txt", "text": "Hello."}),
        ToolUse(name="read_file", args={"path": "../a.txt"}),
    )
    with Simulation("ollama") as sim:
        sim.play(
            Rule(id="asks", when=When(last_role="user"), script=(Reply(tool_calls=wishes),)),
            Rule(id="answers", script=(Reply(text="It is written."),)),
        )
        provider = {"kind": "ollama", "base_url": sim.url("ollama"), "model": "llama3.2"}
        daemon = house({"provider": {"use": "ollama"}, "providers": {"ollama": provider}}).start()
        daemon.submit("one", agent="executor", description="Write a letter", stages=["execute"], challenge=False)
        assert daemon.settled("one")["state"] == "succeeded"
        page = daemon.client.text("metrics")
    assert '\ndaruma_tool_runs_total{outcome="ok",tool="write_file"} 1.0\n' in page
    assert '\ndaruma_tool_runs_total{outcome="refused",tool="read_file"} 1.0\n' in page
    assert '\ndaruma_tool_seconds_count{tool="write_file"} 1.0\n' in page
