"""How an answer goes wrong, as plans: each fault turns a good answer into the steps carried out on the wire."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from darumad.sim.scenario import Fault
from darumad.sim.wire import Answer, Close, Hang, Reset, Send, Step, Wait

Plan = Iterator[Step]


def plan(answer: Answer, fault: Fault | None, *, per_frame: float = 0.0, ping: bytes = b"") -> Plan:
    """The steps of an answer. `ping` is what keeps the vendor's stream alive without saying anything.

    Raises:
        KeyError: there is no such fault.
    """
    if fault is None:
        return whole(answer, per_frame)
    if fault.name == "pings_only":
        return _pings_only(answer, fault, ping)
    return FAULTS[fault.name](answer, fault)


def whole(answer: Answer, per_frame: float = 0.0) -> Plan:
    """The answer as it should be."""
    yield Send(answer.head())
    for number, piece in enumerate(answer.pieces()):
        if per_frame and number:
            yield Wait(per_frame)
        yield Send(piece)
    yield Send(answer.end())


def _begun(answer: Answer, after: int) -> Plan:
    """The head and the first `after` frames; of a single frame, its first half."""
    yield Send(answer.head())
    pieces = answer.pieces()
    if len(pieces) == 1 and after:
        yield Send(pieces[0][: len(pieces[0]) // 2])
    else:
        yield from (Send(each) for each in pieces[:after])


def _hang_headers(_: Answer, __: Fault) -> Plan:
    yield Hang()


def _hang_body(answer: Answer, fault: Fault) -> Plan:
    yield from _begun(answer, fault.after)
    yield Hang()


def _clean_eof(answer: Answer, fault: Fault) -> Plan:
    """An end that looks like one on the wire, in the middle of what was to be said."""
    yield from whole(replace(answer, frames=answer.frames[: fault.after]))


def _truncate(answer: Answer, fault: Fault) -> Plan:
    """The connection closes before the body has its end."""
    yield from _begun(answer, fault.after)
    yield Close()


def _reset_headers(_: Answer, __: Fault) -> Plan:
    yield Reset()


def _reset_body(answer: Answer, fault: Fault) -> Plan:
    yield from _begun(answer, fault.after)
    yield Wait(0.01)
    yield Reset()


def _fin_headers(_: Answer, __: Fault) -> Plan:
    yield Close()


def _malformed_json(answer: Answer, fault: Fault) -> Plan:
    frames = list(answer.frames)
    at = min(fault.after, len(frames) - 1)
    frames[at] = frames[at].replace(b"}", b"", 1).replace(b'":', b'" ', 1)
    yield from whole(replace(answer, frames=tuple(frames)))


def _wrong_content_type(answer: Answer, _: Fault) -> Plan:
    yield from whole(replace(answer, content_type="text/plain"))


def _body_200_html(_: Answer, __: Fault) -> Plan:
    yield from whole(Answer(200, (b"<html><body>Welcome</body></html>",), "text/html"))


def _body_200_list(_: Answer, __: Fault) -> Plan:
    yield from whole(Answer(200, (b"[1, 2, 3]",)))


def _empty_body(_: Answer, __: Fault) -> Plan:
    yield from whole(Answer(200, (b"",)))


def _blank_lines(answer: Answer, fault: Fault) -> Plan:
    frames = (*answer.frames[: fault.after], b"\n", *answer.frames[fault.after :])
    yield from whole(replace(answer, frames=frames))


def _err_event(answer: Answer, fault: Fault) -> Plan:
    """An error inside a stream that began well, in the vendor's words."""
    if answer.content_type == "text/event-stream":
        error = {"type": "error", "error": {"type": fault.type, "message": "Overloaded"}}
        frame = f"event: error\ndata: {json.dumps(error)}\n\n".encode()
    else:
        frame = json.dumps({"error": "an error was encountered while running the model"}).encode() + b"\n"
    yield from whole(replace(answer, frames=(*answer.frames[: fault.after], frame)))


def _redirect_loop(_: Answer, __: Fault) -> Plan:
    yield from whole(Answer(302, (b"",), "text/plain", {"location": "/v1/messages"}))


def _bad_gzip(answer: Answer, _: Fault) -> Plan:
    yield from whole(replace(answer, headers={**(answer.headers or {}), "content-encoding": "gzip"}))


def _bad_utf8(answer: Answer, fault: Fault) -> Plan:
    frames = list(answer.frames)
    at = min(fault.after, len(frames) - 1)
    frames[at] = frames[at].replace(b'":"', b'":"\xff\xfe', 1).replace(b'": "', b'": "\xff\xfe', 1)
    yield from whole(replace(answer, frames=tuple(frames)))


def _bad_header(answer: Answer, _: Fault) -> Plan:
    yield Send(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n")
    yield from (Send(each) for each in answer.frames)
    yield Close()


def _pings_only(answer: Answer, fault: Fault, ping: bytes) -> Plan:
    yield from _begun(answer, fault.after)
    yield Hang(b"%x\r\n%s\r\n" % (len(ping), ping), fault.interval)


FAULTS: Mapping[str, Callable[[Answer, Fault], Plan]] = {
    "hang_headers": _hang_headers,
    "hang_body": _hang_body,
    "clean_eof": _clean_eof,
    "truncate": _truncate,
    "rst_headers": _reset_headers,
    "rst": _reset_body,
    "fin_headers": _fin_headers,
    "malformed_json": _malformed_json,
    "wrong_content_type": _wrong_content_type,
    "body_200_html": _body_200_html,
    "body_200_list": _body_200_list,
    "empty_body": _empty_body,
    "blank_lines": _blank_lines,
    "err_event": _err_event,
    "redirect_loop": _redirect_loop,
    "bad_gzip": _bad_gzip,
    "bad_utf8": _bad_utf8,
    "bad_header": _bad_header,
}
"""Every fault of the wire but `http_status`, whose words are the vendor's, and `pings_only`, whose ping is."""
