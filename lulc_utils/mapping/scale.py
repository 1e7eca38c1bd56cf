"""More than one machine: a function on many things, on a Dask cluster, with the results in order.

Dask moves work from busy to idle workers, starts again what was lost with a worker, and runs on anything from two
processes to a Kubernetes or Slurm cluster. What is left to do here: never to have more results waiting than memory
allows, and to say in one sentence what is wrong. Needs the extra `scale` (`pip install 'lulc-utils[scale]'`).
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dask.config import set as Settings
    from distributed import Client

ANSWER = 5  # seconds for a scheduler to answer
WAIT = 30  # seconds for the first worker to come
AHEAD = 4  # results per worker thread that may wait for an earlier one


@contextmanager
def client(scheduler: str | Client) -> Iterator[Client]:
    """A Dask client for an address ("tcp://10.0.0.1:8786"), or the client itself, which then stays open.

    RuntimeError when Dask is not installed, or there is no scheduler at the address or no worker at the scheduler.
    """
    distributed = _distributed()
    own = None
    try:
        if not isinstance(scheduler, distributed.Client):
            scheduler = own = distributed.Client(scheduler, timeout=ANSWER, set_as_default=False)
        scheduler.wait_for_workers(1, timeout=WAIT)
    except (OSError, ValueError) as error:  # a time-out is an OSError
        if own is not None:
            own.close()
        missing = "has no workers" if hasattr(scheduler, "wait_for_workers") else "does not answer"
        raise RuntimeError(f"The Dask scheduler {_name(scheduler)} {missing}; start it, then run again.") from error
    try:
        yield scheduler
    finally:
        if own is not None:
            own.close()


@contextmanager
def local(workers: int) -> Iterator[Client]:
    """A Dask client with so many worker processes on this machine, of one thread each; they end with the block.

    ValueError for fewer than one worker, RuntimeError when Dask is not installed.
    """
    if workers < 1:
        raise ValueError(f"There must be at least 1 worker, not {workers}.")
    distributed = _distributed()
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with _fast_workers():
        # without a limit of its own: a worker needs what a run without Dask needs
        cluster = distributed.LocalCluster(**options, memory_limit=None, silence_logs=50)
    # directly: answers need not pass through the scheduler, which anybody can reach on one machine
    with cluster, distributed.Client(cluster, set_as_default=False, direct_to_workers=True) as client:
        yield client


def in_order(client: Client, function: Callable, shared: Any, items: Iterable) -> Iterator:
    """function(shared, item) for every item, computed on the cluster, results in the order of the items.

    shared travels once to each worker that needs it. At most AHEAD results per worker thread wait at a time. What a
    lost worker had computed or begun, and nobody has taken yet, is computed again elsewhere.

    ValueError when `shared` cannot be sent; RuntimeError when workers die again and again of the same item, lack a
    package, or the scheduler is gone. What the function raises is raised here.
    """
    distributed, waiting, items, count, limit, future = _distributed(), deque(), iter(items), 0, 0, None
    content = _pickled(shared)
    try:
        with _large_messages():
            # as a task, and not as data: so it can be computed again if the only worker that has it is lost
            everywhere = client.submit(pickle.loads, content, pure=False)
        while True:
            if len(waiting) <= limit // 2:  # not each time: every question costs the driver a millisecond or two
                limit = AHEAD * max(sum(client.nthreads().values()), 1)  # workers come and go
                for item in islice(items, max(limit - len(waiting), 0)):
                    waiting.append(client.submit(function, everywhere, item, pure=False, priority=-count))
                    count += 1
            if not waiting:
                return
            future = waiting.popleft()
            yield future.result()
    except (Exception, distributed.CancelledError) as error:
        own = future is not None and future.status == "error"  # of the function, such as a missing file
        if (plain := _in_words(error, client, own)) is None:
            raise
        raise plain from error
    finally:
        if client.status == "running":
            client.cancel(list(waiting))


def _pickled(shared: Any) -> bytes:
    import cloudpickle

    try:
        return cloudpickle.dumps(shared)
    except Exception as error:
        raise ValueError(f"The model cannot be sent to the workers ({error}).") from error


def _in_words(error: BaseException, client: Client, own: bool) -> RuntimeError | None:
    """What went wrong with the cluster, in one sentence; None for an error of the function's own."""
    distributed = _distributed()
    if isinstance(error, distributed.KilledWorker):
        return RuntimeError(
            "One window after another killed its worker, most likely for want of memory; give the workers more memory "
            "or take smaller windows, then run again to continue from here."
        )
    if isinstance(error, ModuleNotFoundError):
        return RuntimeError(f"A worker lacks a package ({error}); install the same on all workers.")
    if isinstance(error, distributed.CancelledError | OSError) and not own:
        return RuntimeError(
            f"The Dask scheduler {_name(client)} is gone ({type(error).__name__}); start it, then run again to "
            "continue from here."
        )
    return None


def _distributed() -> ModuleType:
    try:
        import distributed
    except ModuleNotFoundError:
        raise RuntimeError(
            "Mapping with several workers needs Dask; install it with `pip install 'lulc-utils[scale]'`."
        ) from None
    return distributed


def _fast_workers() -> Settings:
    """Settings for workers that start meanwhile.

    Dask has the C library give memory back at once (MALLOC_TRIM_THRESHOLD_), so that every tensor of a network is made
    of pages that the system must fetch and clear anew: mapping with a small ViT then takes 1.6 times as long. And it
    looks a hundred times a second at what a worker does.
    """
    import dask

    return dask.config.set(
        {
            "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
            "distributed.worker.profile.enabled": False,
        }
    )


def _large_messages() -> Settings:
    """Dask warns of a model of 10 MB, which is sent only once."""
    import dask

    return dask.config.set({"distributed.admin.large-graph-warning-threshold": "10GB"})


def _name(scheduler: str | Client) -> str:
    """The address of a client or an address."""
    return scheduler if isinstance(scheduler, str) else f"{getattr(scheduler.scheduler, 'address', '')}"
