"""How an answer goes wrong on its way, as plans: each fault turns a good answer into the steps taken on the wire."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from darumad.sim.scenario import Fault
from darumad.sim.wire import Answer, Close, Hang, Reset, Send, Stale, Step, Wait

Plan = Iterator[Step]

_PIECE = 1 << 20
_HUGE_BODY = 40 << 20
_HUGE_HEADER = 100_000
_DRIP = 1


def plan(answer: Answer, fault: Fault | None, *, per_frame: float = 0.0) -> Plan:
    """The steps of an answer. A fault that is none of the wire's leaves it whole."""
    if fault is None or fault.name not in FAULTS:
        return whole(answer, per_frame)
    return FAULTS[fault.name](answer, fault)


def whole(answer: Answer, per_frame: float = 0.0) -> Plan:
    """The answer as it should be."""
    yield Send(answer.head())
    for number, piece in enumerate(answer.pieces()):
        if per_frame and number:
            yield Wait(per_frame)
        yield Send(piece)
    yield Send(answer.end())


def _well(answer: Answer, fault: Fault) -> int:
    """How many frames go well."""
    return int(len(answer.frames) * fault.frac) if fault.after is None else fault.after


def _at(answer: Answer, fault: Fault) -> int:
    """Which frame it is that goes wrong."""
    return min(_well(answer, fault), len(answer.frames) - 1)


def _begun(answer: Answer, fault: Fault) -> Plan:
    """The head and the frames that go well; of a single frame a part."""
    yield Send(answer.head())
    pieces = answer.pieces()
    if len(pieces) == 1 and fault.after != 0:
        yield Send(pieces[0][: int(len(pieces[0]) * fault.frac)])
    else:
        yield from (Send(each) for each in pieces[: _well(answer, fault)])


def _broken_off(answer: Answer, fault: Fault, end: Step) -> Plan:
    """By phase: before anything is said, within the head, or within the body."""
    if fault.phase == "headers":
        yield Send(answer.head()[:9])
    elif fault.phase != "accept":
        yield from _begun(answer, fault)
    yield Wait(0.01)
    yield end


def _rst(answer: Answer, fault: Fault) -> Plan:
    return _broken_off(answer, fault, Reset())


def _fin(answer: Answer, fault: Fault) -> Plan:
    return _broken_off(answer, fault, Close())


def _truncate(answer: Answer, fault: Fault) -> Plan:
    """The connection closes before the body has its end: at so many bytes of it, or at its share."""
    yield Send(answer.head())
    body = b"".join(answer.pieces())
    yield Send(body[: fault.bytes or int(len(body) * fault.frac)])
    yield Close()


def _hang_headers(_: Answer, __: Fault) -> Plan:
    yield Hang()


def _hang_informational(_: Answer, fault: Fault) -> Plan:
    """`100 Continue` again and again, which promises an answer, and none."""
    yield Hang(b"HTTP/1.1 100 Continue\r\n\r\n", fault.interval)


def _hang_body(answer: Answer, fault: Fault) -> Plan:
    yield from _begun(answer, fault)
    yield Hang()


def _pings_only(answer: Answer, fault: Fault) -> Plan:
    """What keeps the vendor's stream alive without saying anything, again and again; a whole answer hangs."""
    yield from _begun(answer, fault)
    yield Hang(b"%x\r\n%s\r\n" % (len(answer.ping), answer.ping), fault.interval) if answer.chunked else Hang()


def _drip(answer: Answer, fault: Fault) -> Plan:
    """The head at once, the body a few bytes at a time."""
    yield Send(answer.head())
    body, size = b"".join(answer.pieces()) + answer.end(), fault.bytes or _DRIP
    for at in range(0, len(body), size):
        yield Wait(fault.interval)
        yield Send(body[at : at + size])


def _clean_eof(answer: Answer, fault: Fault) -> Plan:
    """An end that looks like one on the wire, in the middle of what was to be said."""
    frames = answer.frames[: _well(answer, fault)]
    if len(answer.frames) == 1:
        frames = (answer.frames[0][: int(len(answer.frames[0]) * fault.frac)],)
    yield from whole(replace(answer, frames=frames))


def _one_frame(answer: Answer, fault: Fault, spoil: Callable[[bytes], bytes]) -> Plan:
    frames, at = list(answer.frames), _at(answer, fault)
    frames[at] = spoil(frames[at])
    yield from whole(replace(answer, frames=tuple(frames)))


_COLON = re.compile(rb'(?<!\\)":')
"""Behind a key; a text within a text has its quotes escaped."""
_PLACES: Mapping[str, float] = {"head": 0.0, "body": 0.5, "end": 1.0}


def _malformed_json(answer: Answer, fault: Fault) -> Plan:
    """One colon is missing: the first that there is, the one in the middle, or the last."""
    colons = [(number, found.start()) for number, frame in enumerate(answer.frames) for found in _COLON.finditer(frame)]
    if not colons:
        return whole(answer)
    number, at = colons[int((len(colons) - 1) * _PLACES[fault.where])]
    frames = list(answer.frames)
    frames[number] = frames[number][: at + 1] + b" " + frames[number][at + 2 :]
    return whole(replace(answer, frames=tuple(frames)))


def _bad_utf8(answer: Answer, fault: Fault) -> Plan:
    return _one_frame(
        answer, fault, lambda frame: frame.replace(b'":"', b'":"\xff\xfe', 1).replace(b'": "', b'": "\xff\xfe', 1)
    )


def _blank_lines(answer: Answer, fault: Fault) -> Plan:
    at = _at(answer, fault)
    yield from whole(replace(answer, frames=(*answer.frames[:at], b"\n", *answer.frames[at:])))


def _err_event(answer: Answer, fault: Fault) -> Plan:
    """An error inside a stream that began well, in the vendor's words; a whole answer has no inside."""
    if answer.failing is None:
        return whole(answer)
    frame = answer.failing(fault.type)
    return whole(replace(answer, frames=(*answer.frames[: _well(answer, fault)], frame)))


def _in_its_place(body: bytes, content_type: str) -> Callable[[Answer, Fault], Plan]:
    return lambda _, __: whole(Answer(200, (body,), content_type))


def _wrong_content_type(answer: Answer, _: Fault) -> Plan:
    return whole(replace(answer, content_type="text/plain"))


def _redirect_loop(answer: Answer, _: Fault) -> Plan:
    return whole(Answer(302, (b"",), "text/plain", {"location": answer.path}))


def _bad_gzip(answer: Answer, _: Fault) -> Plan:
    return whole(replace(answer, headers={**(answer.headers or {}), "content-encoding": "gzip"}))


def _bad_header(answer: Answer, _: Fault) -> Plan:
    yield Send(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n")
    yield from (Send(each) for each in answer.frames)
    yield Close()


def _dup_content_length(answer: Answer, _: Fault) -> Plan:
    body = b"".join(answer.frames)
    yield Send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-length: %d\r\n\r\n" % (len(body), len(body) + 1))
    yield Send(body)
    yield Close()


def _huge_header(answer: Answer, fault: Fault) -> Plan:
    huge = {"x-huge": "x" * (fault.bytes or _HUGE_HEADER)}
    return whole(replace(answer, headers={**(answer.headers or {}), **huge}))


def _huge_body(answer: Answer, fault: Fault) -> Plan:
    yield Send(replace(answer, frames=(), chunked=True).head())
    size = fault.bytes or _HUGE_BODY
    for at in range(0, size, _PIECE):
        piece = b"x" * min(_PIECE, size - at)
        yield Send(b"%x\r\n%s\r\n" % (len(piece), piece))
        yield Wait(0.001)
    yield Send(b"0\r\n\r\n")


def _stale_keepalive(answer: Answer, _: Fault) -> Plan:
    """A good answer, on a connection that is closed when the next request comes over it."""
    yield from whole(answer)
    yield Stale()


def _slow_accept(answer: Answer, fault: Fault) -> Plan:
    yield Wait(fault.interval)
    yield from whole(answer)


FAULTS: Mapping[str, Callable[[Answer, Fault], Plan]] = {
    "hang_headers": _hang_headers,
    "hang_informational": _hang_informational,
    "hang_body": _hang_body,
    "pings_only": _pings_only,
    "drip": _drip,
    "rst": _rst,
    "fin": _fin,
    "truncate": _truncate,
    "clean_eof": _clean_eof,
    "malformed_json": _malformed_json,
    "bad_utf8": _bad_utf8,
    "blank_lines": _blank_lines,
    "err_event": _err_event,
    "wrong_content_type": _wrong_content_type,
    "body_200_html": _in_its_place(b"<html><body>Welcome</body></html>", "text/html"),
    "json_list": _in_its_place(b"[1, 2, 3]", "application/json"),
    "empty_body": _in_its_place(b"", "application/json"),
    "redirect_loop": _redirect_loop,
    "bad_gzip": _bad_gzip,
    "bad_header": _bad_header,
    "dup_content_length": _dup_content_length,
    "huge_header": _huge_header,
    "huge_body": _huge_body,
    "stale_keepalive": _stale_keepalive,
    "slow_accept": _slow_accept,
}
"""Every fault of the wire, by name."""

VENDOR_FAULTS = frozenset({"http_status", "body_200_error", "context_overflow"})
"""Faults that are answers of the vendor's own: its errors, in its words."""
UNHEARD = VENDOR_FAULTS | {
    "hang_headers", "hang_informational", "body_200_html", "json_list", "empty_body", "redirect_loop", "huge_body",
}  # fmt: skip
"""Faults in whose answer nothing is left of what a model says."""
