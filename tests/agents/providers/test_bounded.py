"""Servers that send without end, and answers that unfold to more than any is: read so far, and no further.

The server falls silent in the end, so whoever reads on is told of a time limit and not of the answer.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

import pytest

from darumad.agents.providers import ProviderSpec
from darumad.agents.providers.choose import ollama_models
from darumad.agents.providers.validation import validated
from darumad.names import Seconds
from darumad.values import changed
from darumad.work.model import ModelFailed
from tests.agents.providers.desk import OWNER, SLOW, Desk, ask

TYPES = {"anthropic": "text/event-stream", "ollama": "application/x-ndjson", "openai": "text/event-stream"}
MIB = b" " * (1 << 20)
MOST = 128
"""MiB that are sent at the most: enough, and no machine falls over when nobody stops reading."""
WAITS = changed(SLOW, first_token=Seconds(3), idle=Seconds(3), total=Seconds(9))


def plain() -> Iterator[bytes]:
    yield from (MIB for _ in range(MOST))


def lines() -> Iterator[bytes]:
    yield from (MIB[1:] + b"\n" for _ in range(MOST))


def packed() -> Iterator[bytes]:
    squeeze = zlib.compressobj(wbits=31)
    yield from (squeeze.compress(MIB) + squeeze.flush(zlib.Z_SYNC_FLUSH) for _ in range(MOST))


@asynccontextmanager
async def sending(pieces: Callable[[], Iterable[bytes]], *, status: int, content_type: str) -> AsyncIterator[str]:
    """A server that answers everything with these pieces and no end, but behind an empty one; its address."""
    coding = "content-encoding: GZip\r\n" if pieces is packed else ""
    head = f"HTTP/1.1 {status} So\r\ncontent-type: {content_type}\r\n{coding}transfer-encoding: chunked\r\n\r\n"
    over = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode())
        for each in pieces():
            if writer.is_closing():
                break
            writer.write(b"%x\r\n%s\r\n" % (len(each), each))
            await writer.drain()
        await over.wait()
        writer.close()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except ConnectionError:
            writer.close()

    async with await asyncio.start_server(served, "127.0.0.1", 0) as server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            over.set()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("pieces", [plain, lines, packed])
@pytest.mark.parametrize(("status", "kind"), [(200, "malformed_response"), (500, "server_error")])
async def test_a_call_ends_where_its_answer_is_longer_than_any(  # noqa: PLR0917 - six ways to be long
    desk: Desk, vendor: str, stream: bool, pieces: Callable[[], Iterator[bytes]], status: int, kind: str
) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    async with sending(pieces, status=status, content_type=TYPES[vendor] if stream else "application/json") as url:
        desk.change(base_url=url, stream=stream, timeouts=WAITS)
        with pytest.raises(ModelFailed) as failed:
            await desk.complete(OWNER)(ask())
        await desk.broker.close()
    assert failed.value.kind == kind


LONGEST = "\\u732b" * 200_000
"""What 128,000 tokens come to at the most, each letter escaped; it has no `"` and no line."""


def document_of(vendor: str, text: str, more: str = "[]") -> bytes:
    """A whole answer, with something that nobody asked for."""
    if vendor == "anthropic":
        said = f'"content": [{{"type": "text", "text": "{text}"}}], "stop_reason": "end_turn"'
    elif vendor == "openai":
        said = f'"choices": [{{"message": {{"content": "{text}"}}, "finish_reason": "stop"}}]'
    else:
        said = f'"message": {{"role": "assistant", "content": "{text}"}}, "done": true, "done_reason": "stop"'
    return f'{{"model": "m", {said}, "more": {more}}}'.encode()


def event_of(vendor: str, text: str) -> bytes:
    """One event of a stream, and its last."""
    if vendor == "ollama":
        return document_of(vendor, text)
    if vendor == "openai":
        said = f'"choices": [{{"delta": {{"content": "{text}"}}, "finish_reason": "stop"}}]'
        return f'data: {{"model": "m", {said}}}\n\ndata: [DONE]\n\n'.encode()
    begin = '"type": "message_start", "message": {"model": "m"}'
    block = f'"type": "content_block_start", "index": 0, "content_block": {{"type": "text", "text": "{text}"}}'
    end = '"type": "message_delta", "delta": {"stop_reason": "end_turn"}'
    return "".join(f"data: {{{each}}}\n\n" for each in (begin, block, end, '"type": "message_stop"')).encode()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_longest_answer_that_a_model_gives_is_read(desk: Desk, vendor: str, stream: bool) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    answer = (event_of if stream else document_of)(vendor, LONGEST)
    kind = TYPES[vendor] if stream else "application/json"
    async with sending(lambda: (answer, b""), status=200, content_type=kind) as url:
        desk.change(base_url=url, stream=stream)
        assert len((await desk.complete(OWNER)(ask())).text) == 200_000
        await desk.broker.close()


@pytest.mark.parametrize("labelled", ["as it is", "as a stream"])
async def test_what_is_read_in_one_go_is_short_whatever_it_says_that_it_is(
    desk: Desk, vendor: str, labelled: str
) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    small = ",\n".join(["[]"] * (3 << 18))
    kind = TYPES[vendor] if labelled == "as a stream" else "application/json"
    answer = document_of(vendor, "fine", f"[{small}]")
    async with sending(lambda: (answer, b""), status=200, content_type=kind) as url:
        desk.change(base_url=url, stream=False)
        with pytest.raises(ModelFailed, match="the answer is over 2 MiB"):
            await desk.complete(OWNER)(ask())
        await desk.broker.close()


async def test_an_event_of_a_stream_is_as_short(desk: Desk, vendor: str) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    answer = event_of(vendor, "meow" * (3 << 18))
    async with sending(lambda: (answer, b""), status=200, content_type=TYPES[vendor]) as url:
        desk.change(base_url=url)
        with pytest.raises(ModelFailed, match="a line of the answer is over 2 MiB"):
            await desk.complete(OWNER)(ask())
        await desk.broker.close()


@pytest.mark.parametrize("pieces", [plain, packed])
async def test_who_is_asked_for_its_models_is_read_no_further_either(pieces: Callable[[], Iterator[bytes]]) -> None:
    async with sending(pieces, status=200, content_type="application/json") as url:
        spec = ProviderSpec(kind="ollama", base_url=url)
        assert (await validated(spec, None, within=3.0)).reason == f"what answers at {url} is no ollama server"
        assert await ollama_models(spec, within=3.0) is None


@pytest.mark.parametrize("provider", ["ollama", "openai"])
async def test_vectors_of_many_texts_are_read_though_they_are_longer(desk: Desk, provider: str) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    vector = f"[{', '.join(['0.1234567890123456'] * 1_536)}]"
    if provider == "ollama":
        said = f'"prompt_eval_count": 1, "embeddings": [{", ".join([vector] * 100)}]'
    else:
        found = ", ".join(f'{{"index": {at}, "embedding": {vector}}}' for at in range(100))
        said = f'"usage": {{"prompt_tokens": 1, "total_tokens": 1}}, "data": [{found}]'
    answer = f'{{"model": "m", {said}}}'.encode()
    async with sending(lambda: (answer, b""), status=200, content_type="application/json") as url:
        desk.change(base_url=url, embedding_model="m")
        made = await desk.broker.embed_for(OWNER, provider)(["a text"] * 100)
        await desk.broker.close()
    assert [len(each) for each in made.vectors] == [1_536] * 100
