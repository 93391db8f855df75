"""What became of what an agent did outside: what stands in for doing it again, what is done, and what nobody knows."""

from typing import Any

import pytest

from darumad.names import Attempt
from darumad.work.effects import Effect, EffectState, done_before, standing_in, unknown

DONE, STARTED, VOID = EffectState.DONE, EffectState.STARTED, EffectState.VOID
NOW, STEP = Attempt(2), 3
"""The attempt and the step that asks."""


def letter(key: str, state: EffectState, attempt: int = NOW, seq: int = STEP, **more: Any) -> Effect:
    given = {"tool": "mail", "arguments": {"to": "ann"}, "idempotent": False, **more}
    return Effect(key=key, state=state, attempt=Attempt(attempt), seq=seq, **given)


@pytest.mark.parametrize(
    ("effects", "stands_in", "for_repeatable"),
    [
        ([], None, None),
        ([letter("own", DONE)], "own", "own"),
        ([letter("of another step", DONE, seq=1)], "of another step", "of another step"),
        ([letter("earlier", DONE, attempt=1)], "earlier", None),
        ([letter("to bob", DONE, arguments={"to": "bob"}), letter("other", DONE, tool="pay")], None, None),
        ([letter("nobody knows", STARTED)], None, None),
        ([letter("once more", STARTED, idempotent=True)], "once more", "once more"),
        ([letter("once more", STARTED, attempt=1, idempotent=True)], "once more", None),
        ([letter("nothing was done", VOID)], "nothing was done", "nothing was done"),
        ([letter("not its own", VOID, seq=1), letter("earlier", VOID, attempt=1)], None, None),
        ([letter("other", DONE, seq=1), letter("own", DONE)], "own", "own"),
        ([letter("earlier", DONE, attempt=1), letter("own", DONE)], "own", "own"),
        ([letter("own", STARTED, idempotent=True), letter("done", DONE, seq=1)], "done", "done"),
        ([letter("own", VOID), letter("again", STARTED, seq=1, idempotent=True)], "again", "again"),
    ],
)
def test_what_stands_in_for_doing_it_again(
    effects: list[Effect], stands_in: str | None, for_repeatable: str | None
) -> None:
    for repeatable, key in ((False, stands_in), (True, for_repeatable)):
        found = standing_in(effects, "mail", {"to": "ann"}, attempt=NOW, seq=STEP, repeatable=repeatable)
        assert (found and found.key) == key


def test_what_is_done_and_what_nobody_knows_are_told_apart() -> None:
    effects = [
        letter("earlier", DONE, attempt=1),
        letter("now", DONE),
        letter("void", VOID, attempt=1),
        letter("unknown", STARTED, attempt=1),
        letter("may be repeated", STARTED, attempt=1, idempotent=True),
    ]
    assert [each.key for each in done_before(effects, NOW)] == ["earlier"]
    assert [each.key for each in unknown(effects)] == ["unknown"]
