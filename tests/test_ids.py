import pytest

from darumad.ids import traced

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("said", [f"00-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-00-what-comes-later"])
def test_a_trace_is_known_by_its_trace_id_in_whichever_version_it_is_told(said: str) -> None:
    assert traced(said) == TRACE


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        f"00-{TRACE}",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01x",
        f"00-{TRACE}-{PARENT}-01-{'x' * 1000}",
        f"00-{TRACE}-{PARENT}-01-\rX: y",
        f"00-{TRACE}-{PARENT}-01-\udc80",
        f"00-{TRACE}-{PARENT}-01\n",
    ],
)
def test_what_is_no_traceparent_or_could_be_no_header_names_no_trace(said: str | None) -> None:
    assert traced(said) is None
