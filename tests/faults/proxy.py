"""A TCP proxy on 127.0.0.1 whose line can be cut, slowed and halved."""

import asyncio
import contextlib
import threading


class Proxy:
    """Forwards each connection to a port. Runs on a thread of its own until closed."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._delay = 0.0
        self._deaf = False
        self._passing = threading.Event()
        self.carried = 0
        """Bytes that went through, both ways."""
        self.held = 0
        """Bytes that a fault swallowed or held up."""
        self.refused = 0
        """Connections that a cut ended or refused."""
        self._server: asyncio.Server | None = None
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._passing.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._passing.set()
        self._loop.run_forever()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Break every connection and take no new one."""
        self._cut = True
        self._loop.call_soon_threadsafe(self._break)

    def slow(self, seconds: float) -> None:
        """Hold each piece for so long before it goes on, either way."""
        self._delay = seconds

    def halve(self) -> None:
        """Let nothing come back from the broker; what goes to it still arrives."""
        self._deaf = True

    def heal(self) -> None:
        """Be a good line again; connections that were half dead are broken."""
        broken = self._deaf
        self._cut = self._deaf = False
        self._delay = 0.0
        if broken:
            self._loop.call_soon_threadsafe(self._break)

    def close(self) -> None:
        """End it."""

        async def end() -> None:
            assert self._server is not None
            self._server.close()
            self._break()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _break(self) -> None:
        self.refused += len(self._open) // 2
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            self.refused += 1
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        try:
            await self._carry_both((reader, writer), (there, back))
        finally:
            self._open -= {writer, back}
            for end in (writer, back):
                end.transport.abort()

    async def _carry_both(
        self,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Carry between a client and the broker, until either of them ends the connection."""
        ways = [
            asyncio.create_task(self._carry(here[0], there[1], from_broker=False)),
            asyncio.create_task(self._carry(there[0], here[1], from_broker=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_broker: bool
    ) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while piece := await reader.read(65_536):
                if from_broker and self._deaf:
                    self.held += len(piece)
                    continue
                if self._delay:
                    self.held += len(piece)
                    await asyncio.sleep(self._delay)
                writer.write(piece)
                await writer.drain()
                self.carried += len(piece)
