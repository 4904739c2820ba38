"""What tasks of asyncio cost: tasks.py asyncio|uvloop yield|spawn|gather|timer|queue|lock|executor COUNT"""
import asyncio
import json
import sys
import time

AT_ONCE = 1000
OTHERS = 10000
CONTENDERS = 10


async def nothing():
    pass


async def take_turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def do_yield(count):
    await asyncio.gather(take_turns(count // 2), take_turns(count // 2))


async def do_spawn(count):
    for _ in range(count):
        await asyncio.create_task(nothing())


async def do_gather(count):
    for _ in range(count // AT_ONCE):
        await asyncio.gather(*[nothing() for _ in range(AT_ONCE)])


def never():
    sys.exit("a timer fired")


async def do_timer(count):
    loop = asyncio.get_running_loop()
    others = [loop.call_later(30 + i * 7919 % OTHERS / 1000, never) for i in range(OTHERS)]
    for i in range(count):
        loop.call_later(30 + i % OTHERS / 1000, never).cancel()
        if i % OTHERS == 0:
            await asyncio.sleep(0)  # a loop's turn now and then, as in life: it sweeps what was cancelled
    for timer in others:
        timer.cancel()


async def do_timeout(count):
    for _ in range(count):
        async with asyncio.timeout(30):
            pass


async def put(queue, count):
    for i in range(count):
        await queue.put(i)


async def do_queue(count):
    queue = asyncio.Queue(1)
    putting = asyncio.create_task(put(queue, count))
    for _ in range(count):
        await queue.get()
    await putting


async def contend(lock, count):
    for _ in range(count):
        async with lock:
            await asyncio.sleep(0)


async def do_lock(count):
    lock = asyncio.Lock()
    await asyncio.gather(*[contend(lock, count // CONTENDERS) for _ in range(CONTENDERS)])


def work():
    pass


async def do_executor(count):
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.run_in_executor(None, work)


async def main(run, count):
    await run(count // 20 + 1)  # warm up, as timed.h does
    start = time.monotonic()
    await run(count)
    print(json.dumps({"jobs": count, "elapsed_s": time.monotonic() - start}))


if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.install()
asyncio.run(main(globals()[f"do_{sys.argv[2]}"], int(sys.argv[3])))
