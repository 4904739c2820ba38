"""aiohttp on asyncio's own loop or on uvloop: fetch.py asyncio|uvloop URL COUNT AT_ONCE

Bodies are kept, in order, and compared at the end.
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
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector) as session:
        start = time.monotonic()
        bodies = await asyncio.gather(*[fetch(session, f"{url}?i={i}") for i in range(count)])
        elapsed = time.monotonic() - start
    if not all(len(body) == len(bodies[0]) > 0 for body in bodies):
        sys.exit("a body is missing")
    print(json.dumps({"jobs": count, "elapsed_s": elapsed}))


if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.install()
asyncio.run(main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
