"""Good answers of each vendor, whole and streamed, to be spoiled; and a server that says them as they are."""

import http.server
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.serving import serving

COUNTS: Mapping[str, Mapping[str, Any]] = {
    "anthropic": {"input_tokens": 40, "output_tokens": 7, "cache_read_input_tokens": 0},
    "ollama": {"prompt_eval_count": 40, "eval_count": 7},
    "openai": {"prompt_tokens": 40, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}},
}
"""What each says of an answer that took 40 tokens and gave 7."""
TYPES = {"anthropic": "text/event-stream", "ollama": "application/x-ndjson", "openai": "text/event-stream"}


def whole(vendor: str, usage: Any) -> dict[str, Any]:
    """An answer in one piece: a text, and a call of a tool."""
    match vendor:
        case "anthropic":
            tool = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}}
            content = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "so"}, tool]
            return {
                "type": "message", "model": "m", "content": content, "stop_reason": "tool_use", "usage": usage,
            }  # fmt: skip
        case "ollama":
            called = [{"function": {"name": "look", "arguments": {"at": 1}}}]
            message = {"role": "assistant", "content": "so", "thinking": "hm", "tool_calls": called}
            return {"model": "m", "message": message, "done": True, "done_reason": "stop", **usage}
        case _:
            call = {"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"at": 1}'}}
            message = {"role": "assistant", "content": "so", "tool_calls": [call]}
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
            return {"model": "m", "choices": [choice], "usage": usage}


def streamed(vendor: str, usage: Any) -> list[dict[str, Any]]:
    """The same in pieces."""
    match vendor:
        case "anthropic":
            begun = {"type": "message_start", "message": {"model": "m", "usage": usage}}
            text = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
            said = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "so"}}
            block = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
            tool = {"type": "content_block_start", "index": 1, "content_block": block}
            json_delta = {"type": "input_json_delta", "partial_json": '{"at": 1}'}
            given = {"type": "content_block_delta", "index": 1, "delta": json_delta}
            ended = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": usage}
            return [begun, text, said, tool, given, ended, {"type": "message_stop"}]
        case "ollama":
            last = whole("ollama", usage)
            return [{"model": "m", "message": {"role": "assistant", "content": "and "}, "done": False}, last]
        case _:
            (choice,) = whole("openai", usage)["choices"]
            delta = {"index": 0, "delta": choice["message"]}
            end = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
            told: list[dict[str, Any]] = [{"model": "m", "choices": [each]} for each in (delta, end)]
            return [*told, {"model": "m", "choices": [], "usage": usage}]


@contextmanager
def saying(vendor: str, frames: Sequence[Mapping[str, Any]], *, stream: bool) -> Iterator[str]:
    """A server that answers everything with these frames; its address."""
    lines = [json.dumps(each).encode() for each in frames]
    events = stream and vendor != "ollama"
    body = b"".join(b"data: %s\n\n" % line if events else line + b"\n" for line in lines)

    class Says(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", TYPES[vendor] if stream else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Says) as server, serving(server) as url:
        yield url
