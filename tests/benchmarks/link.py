"""A link of limited bandwidth and latency to a server on this machine.

``python -m tests.benchmarks.link SERVER_PORT MEGABYTES_PER_SECOND MILLISECONDS`` listens at a free port of this machine
and prints it. All connections share the bandwidth of the direction towards the client. What the client sends arrives a
round trip later, and so does the server's greeting to a new connection: a request over a new connection waits for two
round trips, and each further request for one. Each line on the standard input is answered with the number of bytes that
clients have received so far.

The kernel could limit a link as well, but few kernels come with a queueing discipline that delays (netem), and
setting it up needs root.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PIECE = 1 << 18  # bytes carried at once: at 100 MB/s, 2.6 ms
BURST = 0.005  # seconds of unused bandwidth that may be caught up on: timers are not exact


@dataclass(kw_only=True)
class Bandwidth:
    """Time on a link, shared by all its connections.

    Attributes
    ----------
    rate
        Bytes per second.
    carried
        Bytes that have passed so far.
    """

    rate: float
    carried: int = 0
    _free: float = 0.0

    async def use(self, size: int) -> None:
        """Wait until the link has carried `size` more bytes."""
        now = asyncio.get_running_loop().time()
        self._free = max(self._free, now - BURST) + size / self.rate
        self.carried += size
        if self._free > now:
            await asyncio.sleep(self._free - now)


@dataclass(kw_only=True)
class Relay:
    """Carries connections to a server."""

    server: int
    bandwidth: Bandwidth
    latency: float
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side closes it."""
        await asyncio.sleep(self.latency)
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server, limit=4 * PIECE)
        requests = asyncio.ensure_future(self._requests(reader, to_server))
        with contextlib.suppress(ConnectionError):
            while data := await from_server.read(PIECE):
                await self.bandwidth.use(len(data))
                writer.write(data)
                await writer.drain()
        requests.cancel()
        for end in (writer, to_server):
            end.close()

    async def _requests(self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(PIECE):
                loop.call_later(self.latency, to_server.write, data)
            loop.call_later(self.latency, to_server.close)


async def serve(server: int, rate: float, latency: float) -> None:
    """Carry connections until the standard input ends."""
    bandwidth = Bandwidth(rate=rate)
    relay = Relay(server=server, bandwidth=bandwidth, latency=latency)
    listener = await asyncio.start_server(relay.accept, "127.0.0.1", 0, limit=4 * PIECE)
    print(listener.sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(bandwidth.carried, flush=True)


@dataclass(frozen=True, kw_only=True)
class Link:
    """A running link.

    Attributes
    ----------
    address
        Where the server is reached through the link, such as ``http://127.0.0.1:8000``.
    """

    address: str
    _process: "subprocess.Popen[str]"

    def carried(self) -> int:
        """Return the number of bytes that clients have received so far."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def linked(server: int, *, rate: float, latency: float) -> Iterator[Link]:
    """Run a link to a server's port in a process of its own; `rate` in bytes/s, `latency` in seconds per round trip."""
    words = [sys.executable, "-m", "tests.benchmarks.link", str(server), str(rate / 1e6), str(1000 * latency)]
    with subprocess.Popen(
        words, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield Link(address=f"http://127.0.0.1:{int(process.stdout.readline())}", _process=process)
        finally:
            process.kill()


if __name__ == "__main__":
    port, megabytes, milliseconds = sys.argv[1:]
    asyncio.run(serve(int(port), 1e6 * float(megabytes), float(milliseconds) / 1000))
