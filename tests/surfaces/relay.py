"""`python relay.py FROM TO …`: pass on connections, each end `host:port` or a socket's path."""

from __future__ import annotations

import asyncio
import contextlib
import sys

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()


async def _open(end: str) -> Ends:
    if end.startswith("/"):
        return await asyncio.open_unix_connection(end)
    host, _, port = end.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def _listen(end: str, target: str) -> asyncio.Server:
    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other = await _open(target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, other[1]), _pump(other[0], writer))

    if end.startswith("/"):
        return await asyncio.start_unix_server(met, end)
    host, _, port = end.rpartition(":")
    return await asyncio.start_server(met, host, int(port))


async def _main(ends: list[str]) -> None:
    servers = [await _listen(*pair) for pair in zip(ends[::2], ends[1::2], strict=True)]
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
