"""Threads that do what may take long, for an event loop."""

import asyncio
import threading
import time

from stratavm.wasi.hands import Hands, Job


def test_a_job_does_not_wait_for_one_that_an_idle_thread_has_just_taken():
    """Which may hang for ever: the thread is not counted as idle between taking the one and noting that it has."""
    hands, first, second, last = Hands(), threading.Event(), threading.Event(), threading.Event()

    async def main():
        loop = asyncio.get_running_loop()

        def submit(function):
            future = loop.create_future()
            hands.submit(Job(function, future))
            return future

        await submit(int)
        while not hands._idle:
            await asyncio.sleep(0.001)
        with hands._fork.lock:  # so that the thread cannot note it
            waits = submit(lambda: (first.set(), last.wait(60)))
            while not hands._jobs.empty():
                time.sleep(0.001)
            done = submit(second.set)
        try:
            async with asyncio.timeout(30):
                await done
            assert second.is_set() and first.wait(60) and not waits.done()
        finally:
            last.set()
            await waits

    asyncio.run(main())
