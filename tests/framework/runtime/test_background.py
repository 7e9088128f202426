from __future__ import annotations

import threading

import pytest

from framework.domain.errors import Fatal
from framework.runtime.background import BackgroundWorker, InlineWorker


def test_worker_when_closed_then_everything_queued_was_done_in_order() -> None:
    done: list[int] = []
    worker = BackgroundWorker("test")
    for n in range(50):
        assert worker.submit(lambda n=n: done.append(n))  # type: ignore[misc]
    worker.close()

    assert done == list(range(50))
    assert not worker.submit(lambda: None)


def test_worker_when_the_queue_is_full_then_the_job_is_not_taken() -> None:
    gate = threading.Event()
    begun = threading.Event()
    worker = BackgroundWorker("test", capacity=1)

    def wait() -> None:
        begun.set()
        gate.wait(10)

    worker.submit(wait)
    assert begun.wait(10)

    assert worker.submit(lambda: None)
    assert not worker.submit(lambda: None)
    gate.set()
    worker.close()


def test_worker_when_a_job_raises_then_it_ends_and_says_why() -> None:
    worker = BackgroundWorker("test")
    worker.submit(lambda: [].index(1))  # type: ignore[arg-type]
    worker.close()

    assert isinstance(worker.failure, ValueError)
    assert not worker.submit(lambda: None)


async def test_worker_when_a_job_is_awaited_then_its_result_or_error_comes_back() -> None:
    worker = BackgroundWorker("test")

    assert await worker.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 8) == 8
    worker.close()
    with pytest.raises(Fatal, match="not taken"):
        await worker.run(lambda: 9)


async def test_inline_worker_when_asked_then_it_does_it_at_once() -> None:
    worker = InlineWorker()
    done: list[int] = []

    assert worker.submit(lambda: done.append(1))
    assert done == [1]
    assert await worker.run(lambda: 7) == 7
    worker.close()
