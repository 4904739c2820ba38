"""aiohttp on asyncio's own loop or on uvloop: fetch.py asyncio|uvloop URL COUNT AT_ONCE

Each fetch in flight has a task. Bodies are kept, in order, and compared at the end.
"""
import asyncio
import json
import sys
import time

import aiohttp


async def fetch(session, url):
    async with session.get(url) as response:
        response.raise_for_status()
        return await response.read()


async def main(url, count, at_once):
    bodies, took = [None] * count, [0] * count
    numbers = iter(range(count))

    async def work(session):
        for i in numbers:
            sent = time.monotonic()
            bodies[i] = await fetch(session, f"{url}?i={i}")
            took[i] = time.monotonic() - sent

    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector) as session:
        start = time.monotonic()
        await asyncio.gather(*[work(session) for _ in range(at_once)])
        elapsed = time.monotonic() - start
    if not all(len(body) == len(bodies[0]) > 0 for body in bodies):
        sys.exit("a body is missing")
    took.sort()
    print(json.dumps({"jobs": count, "elapsed_s": elapsed, "p50_us": took[count // 2] * 1e6,
                      "p99_us": took[count * 99 // 100] * 1e6}))


if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.install()
asyncio.run(main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
