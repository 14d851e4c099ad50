"""Hosts without processes for the sessions of a test."""

from ondevice_bench.hardware.probe import probe
from ondevice_bench.hardware.profile import recognise
from ondevice_bench.running.hosts.fake import FakeHost

now = []  # the hosts of the test that runs


class FakeHosts:
    """Every host that a session asked for; `answer` may change between sessions."""

    def __init__(self, answer):
        self.answer = answer
        self.opened = []

    @property
    def jobs(self):
        return [job for host in self.opened for job in host.jobs]

    @property
    def cells(self):
        return [job.cell.id for job in self.jobs]

    def _answer(self, job):
        return self.answer(job)

    def host(self, hardware):
        machine = probe()
        profile = recognise(machine, hardware)
        host = FakeHost(self._answer, profile=profile, machine=machine)
        self.opened.append(host)
        return host
