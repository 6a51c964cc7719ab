"""A TCP proxy that a test breaks on purpose: it stands between the operator and one of its servers.

It runs in a thread of its own, on a free loopback port. Modes apply to connections that exist and to new ones alike.
"""

import asyncio
import contextlib
import errno
import socket
import struct
import threading
import weakref
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
_CHUNK = 65536
_PAUSE = 5.0
"""Seconds, at most, between two things that arrive after a stall."""
_GARBAGE = b"\x00\xffthis is no answer\r\n\r\n" * 8


class Mode(StrEnum):
    """What the network does."""

    PASS = "pass"
    SLOW = "slow"
    """Each chunk is held up by `Proxy.delay` seconds."""
    RESET = "reset"
    """Connections are reset (RST), and new ones at once."""
    STALL = "stall"
    """What is sent arrives when the mode changes, even if its sender is gone by then, and in the rhythm in which it was
    sent: a server that sees a request and the end of its connection (TLS tells it too) at once takes the request back.
    """
    BLACK_HOLE = "black hole"
    """Nothing arrives any more, in either direction, and nobody is told (no FIN, no RST); new ones connect in vain."""
    HALF_OPEN = "half open"
    """What the client sends arrives; no answer comes back."""
    GARBAGE = "garbage"
    """Answers are replaced by bytes that are no answer."""
    REFUSE = "refuse"
    """Nobody listens."""


@dataclass(eq=False)
class _Link:
    """One connection and its continuation to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def reset(self) -> None:
        for writer in (self.client, self.server):
            sock = writer.get_extra_info("socket")
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        for task in self.tasks:
            task.cancel()


class Proxy:
    """Forwards `127.0.0.1:port` to `127.0.0.1:target` until the `with` block ends."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.delay = 0.5
        self.port = 0
        self.connections = 0
        """How many connections were accepted so far."""
        self._mode = Mode.PASS
        self._closing = False
        self._links: set[_Link] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._placeholder: socket.socket | None = None
        self._writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()

    @property
    def mode(self) -> Mode:
        """What the network does now."""
        return self._mode

    def set(self, mode: Mode) -> None:
        """Make the network behave in this way from now on."""
        self._call(self._set(mode))

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is None:
            return
        for listener in self._server.sockets:
            self._loop.remove_reader(listener.fileno())
        await asyncio.sleep(0)  # asyncio loses connections that it has accepted when the server closes in that moment
        self._server.close()
        self._server = None

    async def _close(self) -> None:
        self._closing = True
        await self._stop_listening()
        self._leave_port()
        # Connections that are just being made are reset when they stand: in the middle they cannot be taken back whole.
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for link in list(self._links):
                link.reset()
            await asyncio.wait(tasks, timeout=0.05)
        # A stream that is still open when the loop has closed complains to whichever test runs by then.
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.01)

    async def _set(self, mode: Mode) -> None:
        refused, self._mode = self._mode == Mode.REFUSE, mode
        if mode == Mode.STALL:
            self._flowing.clear()
        else:
            self._flowing.set()
        # A connection that lost bytes in a black hole stays dead, as behind a NAT that forgot it.
        if mode in (Mode.RESET, Mode.REFUSE):
            for link in list(self._links):
                link.reset()
        if mode == Mode.REFUSE and self._server is not None:
            await self._stop_listening()
            await self._keep_port()
        elif refused and mode != Mode.REFUSE:
            self._leave_port()
            await self._listen()

    async def _keep_port(self) -> None:
        """Bind the port and do not listen, so that nobody else takes it meanwhile."""
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        async with asyncio.timeout(10):
            while True:
                try:
                    self._placeholder.bind(("127.0.0.1", self.port))
                except OSError as error:
                    # A process that is being started has a copy of the listener until it runs its program.
                    if error.errno != errno.EADDRINUSE:
                        raise
                    await asyncio.sleep(0.01)
                else:
                    return

    def _leave_port(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        if self._mode in (Mode.RESET, Mode.REFUSE) or self._closing:
            _Link(writer, writer).reset()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _Link(writer, writer).reset()
            return
        self._writers.add(server_writer)
        link = _Link(writer, server_writer)
        self._links.add(link)
        link.tasks = [
            asyncio.ensure_future(self._pump(reader, server_writer, answers=False)),
            asyncio.ensure_future(self._pump(server_reader, writer, answers=True)),
        ]
        await asyncio.wait(link.tasks, return_when=asyncio.FIRST_COMPLETED)
        self._links.discard(link)
        for task in link.tasks:
            task.cancel()
        await asyncio.gather(*link.tasks, return_exceptions=True)
        for end in (link.client, link.server):
            with contextlib.suppress(OSError, RuntimeError):
                end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        lost = False
        with contextlib.suppress(OSError):
            async with contextlib.aclosing(self._arrivals(source)) as arrivals:
                async for chunk in arrivals:
                    mode = self._mode
                    if mode == Mode.SLOW:
                        await asyncio.sleep(self.delay)
                    if mode == Mode.BLACK_HOLE or (mode == Mode.HALF_OPEN and answers):
                        lost = True
                    if lost:
                        continue
                    sink.write(_GARBAGE if mode == Mode.GARBAGE and answers else chunk)
                    await sink.drain()
        if lost:
            await asyncio.Event().wait()  # nobody is told that it ended

    async def _arrivals(self, source: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
        """Give what is sent, when it arrives; ends when the end of the connection arrives."""
        while chunk := await source.read(_CHUNK):
            if self._mode != Mode.STALL:
                yield chunk
                continue
            held = await self._hold(source, chunk)
            before = held[0][0]
            for sent_at, late in held:
                await asyncio.sleep(min(sent_at - before, _PAUSE))
                before = sent_at
                if not late:
                    return
                yield late

    async def _hold(self, source: asyncio.StreamReader, first: bytes) -> list[tuple[float, bytes]]:
        """Take in what is sent during a stall, with the time of each chunk; b"" stands for the end."""
        held = [(self._loop.time(), first)]
        flowing = asyncio.ensure_future(self._flowing.wait())
        reading = asyncio.ensure_future(_read(source))
        try:
            while not flowing.done():
                await asyncio.wait({reading, flowing}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    held.append((self._loop.time(), reading.result()))
                    if not held[-1][1]:
                        await flowing
                        break
                    reading = asyncio.ensure_future(_read(source))
        finally:
            flowing.cancel()
            reading.cancel()  # a read that still waits has taken nothing out of the stream
            await asyncio.wait({reading})
        return held


async def _read(source: asyncio.StreamReader) -> bytes:
    """Read what there is; a reset is an end, too."""
    try:
        return await source.read(_CHUNK)
    except OSError:
        return b""
