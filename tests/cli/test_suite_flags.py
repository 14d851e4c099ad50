"""The arguments that `run` and `plan` share: read once, the same in both verbs."""

import dataclasses

import pytest
import typer
from typer.testing import CliRunner

from ondevice_bench.cli.app import app
from ondevice_bench.cli.suite_flags import SuiteFlags, with_suite_flags
from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.fake import FakeHost

SHARED = [field.name for field in dataclasses.fields(SuiteFlags)]


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_both_verbs_have_every_shared_argument(verb):
    command = typer.main.get_command(app).commands[verb]
    names = [parameter.name for parameter in command.params]
    assert names[: len(SHARED)] == SHARED


def test_a_verb_gets_the_record_and_its_own_arguments():
    calls = []
    small = typer.Typer()

    @small.command()
    @with_suite_flags
    def verb(flags: SuiteFlags, loud: bool = False) -> None:
        """Do it."""
        calls.append((flags, loud))

    words = ["--model", "mcunet", "--model", "minilm", "--batch", "8", "--loud"]
    result = CliRunner().invoke(small, words)
    assert result.exit_code == 0, result.output
    assert calls == [(SuiteFlags(models=["mcunet", "minilm"], batch=[8]), True)]
    assert "Do it." in CliRunner().invoke(small, ["--help"]).output


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (SuiteFlags(), "name a suite, or describe one with --model"),
        (SuiteFlags(suite="quick", models=["mcunet"]), "name a suite, or describe one with"),
        (SuiteFlags(suite="quick", rank=["8"]), "--rank: only with --model; a suite has this in"),
        (SuiteFlags(data="photos"), "--data: only with --model"),
        (SuiteFlags("quick", None, ["asi"], ["slices=4"]), "--method and --option: only with"),
        (SuiteFlags("quick", layers=["mlp"], allocators=["glibc"]), "--layers and --allocator: "),
    ],
)
def test_flags_that_contradict_each_other_are_refused(flags, says):
    with pytest.raises(BadInput, match=says):
        flags.load(FakeHost())


def test_a_model_takes_the_place_of_a_suite():
    suite = SuiteFlags(models=["mcunet"], methods=["asi"], rank=["2", "4"], batch=[8]).load(
        FakeHost()
    )
    (model,), (method,) = suite.models, suite.methods
    assert (model.name, model.batches) == ("mcunet", (8,))
    assert (method.name, method.axes[0].values) == ("asi", (2, 4))
