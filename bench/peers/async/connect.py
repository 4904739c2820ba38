"""Connections made and closed, AT_ONCE at a time: connect.py asyncio|uvloop PORT COUNT AT_ONCE"""
import asyncio
import json
import sys
import time


async def connect(port, count):
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()


async def main(port, count, at_once):
    start = time.monotonic()
    await asyncio.gather(*[connect(port, count // at_once) for _ in range(at_once)])
    print(json.dumps({"jobs": count, "elapsed_s": time.monotonic() - start}))


if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.install()
asyncio.run(main(*map(int, sys.argv[2:])))
