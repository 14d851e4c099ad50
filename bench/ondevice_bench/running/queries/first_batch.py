"""Reading the first batch of a suite, before anything of it is measured or stored."""

from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.errors import BadInput
from ondevice_bench.passes import TRACE
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.running.request import Request
from ondevice_bench.running.work_folder import work_folder


def require_first_batch(host: Host, task: Request) -> None:
    """BadInput if the user's data gives no batch to the first planned cell."""
    suite = task.suite
    if suite.data.path is None:
        return
    with work_folder("batches") as folder:
        batches = BatchStore(folder)
        jobs = JobMaker(host, batches, suite.sampling, suite.data, suite.weight_sources)
        try:
            jobs.job(task.planned[0].cell, TRACE)
        except NoBatch as error:
            raise BadInput(f"{suite.name}: {error}") from None
