import pytest

from darumad.names import ItemId, Millis, Stage
from darumad.work.codec import plan_from_json, plan_to_json, planned_from_json
from darumad.work.item import Input, WorkItem
from darumad.work.plan import MOST, Plan, PlannedItem, check_list, problems_of, sub_items
from darumad.work.validation import validate

WALK = (Stage.OPTIMIZING, Stage.EXECUTING)


def planned(key: str, *after: str, description: str = "Paint the fence", **more: object) -> PlannedItem:
    return PlannedItem(key=key, description=description, depends_on=after, **more)  # type: ignore[arg-type] - fields by name


def test_the_open_lines_of_a_check_list_are_its_items_and_the_first_is_the_most_urgent() -> None:
    text = """Do all of this:
    - [ ] buy paint  \n  * [ ] paint the fence\n+ [ ] let it dry\n- [x] ask the neighbour\n-[ ] no line\n- [ ]
- [ ] four\n- [ ] five\n- [ ] six\n- [ ] seven\n"""
    found = check_list(text)
    assert [each.description for each in found] == [
        "buy paint", "paint the fence", "let it dry", "four", "five", "six", "seven",
    ]  # fmt: skip
    assert [each.priority for each in found] == [10, 9, 8, 7, 6, 5, 5]
    assert problems_of(found) == ()
    assert check_list("Do all of this: buy paint, and use it") == ()


def test_a_check_list_is_read_whatever_its_line_ends_and_its_blanks() -> None:
    blanks = 40_000 * " "  # to look for their end at each of them would take seconds
    found = check_list(f"Do all of this:\r\n- [ ] buy paint\r\n- [ ] paint{blanks}the fence \r\n")
    assert [each.description for each in found] == ["buy paint", f"paint{blanks}the fence"]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "/items: must be 1 to 100 items, are 0"),
        ([planned(str(n)) for n in range(MOST + 1)], "/items: must be 1 to 100 items, are 101"),
        ([planned("a"), planned("b"), planned("a")], "/items/0/key: 'a' is the key of item 2 as well"),
        ([planned("k" * 65)], "/items/0/key: must be 1 to 64 printable characters"),
        ([planned("")], "/items/0/key: must be 1 to 64 printable characters"),
        ([planned("a\nb")], "/items/0/key: must be 1 to 64 printable characters"),
        ([planned("a", "z" * 1000)], f"/items/0/depends_on: no item has the key '{64 * 'z'}'"),
        ([planned("a", "z")], "/items/0/depends_on: no item has the key 'z'"),
        ([planned("a", "b"), planned("b", "a")], "/items: these depend on each other in a circle: "),
        ([planned("a", "a")], "/items: these depend on each other in a circle: a"),
        ([planned("a"), planned("b", description=" ")], "/items/1/description: must say what is to be done"),
        ([planned("a", priority=11)], "/items/0/priority: must be 0 to 10, is 11"),
        ([planned("a", requirements=("it holds", ""))], "/items/0/requirements/1: must not be empty"),
    ],
)
def test_what_is_no_plan_is_told_with_its_place(items: list[PlannedItem], said: str) -> None:
    found = problems_of(items)
    assert len(found) == 1
    assert found[0].startswith(said)


def test_of_what_is_no_plan_so_much_is_told_as_can_be_read() -> None:
    assert len(problems_of([planned("a", requirements=1000 * ("",))])) == 20


def test_what_is_planned_is_handed_in_as_sub_work_of_the_goal_and_takes_after_it() -> None:
    goal = WorkItem(
        id=ItemId("goal"),
        description="Have a painted fence",
        lane="garden",
        labels={"team": "a"},
        constraints=("no lead",),
        tech_stack=("brush",),
        inputs=(Input(name="colours", text="red"),),
        expires_at=Millis(9),
    )
    ids = iter(["one", "two"])
    plan = Plan(items=(planned("b"), planned("a", "b", requirements=("it is red",), priority=7)), stages=WALK)
    first, second = sub_items(goal, plan, lambda: next(ids))
    assert (first.id, first.depends_on, second.id, second.depends_on) == ("one", (), "two", ("one",))
    assert (second.requirements, second.priority) == (("it is red",), 7)
    for each in (first, second):
        assert (each.parent, each.lane, each.labels, each.inputs) == ("goal", "garden", {"team": "a"}, goal.inputs)
        assert (each.constraints, each.tech_stack, each.expires_at) == (("no lead",), ("brush",), 9)
        assert (each.stages, each.challenge) == (WALK, False)
        assert validate(each).valid


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = Plan(items=(planned("a", success_criteria="it is dry"), planned("b", "a", requirements=("x",))), stages=WALK)
    assert plan_from_json(plan_to_json(plan)) == plan


def test_a_priority_that_a_model_writes_as_a_fraction_is_a_whole_number() -> None:
    (read,) = planned_from_json({"items": [{"key": "a", "description": "Paint the fence", "priority": 5.0}]})
    assert isinstance(read.priority, int)
