"""asyncio.gather() over sleeps of one second: sleeps.py COUNT"""
import asyncio
import json
import sys
import time


async def main(count):
    start = time.monotonic()
    await asyncio.gather(*[asyncio.sleep(1) for _ in range(count)])
    print(json.dumps({"jobs": count, "elapsed_s": time.monotonic() - start}))


asyncio.run(main(int(sys.argv[1])))
