"""How a worker loads and calls the user's own step."""

import sys
import time

import pytest

from ondevice_bench.errors import Refusal
from ondevice_bench.protocol.job import Job
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.suite import Sampling
from ondevice_bench.worker.passes import step_trace
from ondevice_bench.worker.user_step import prepare, require_arguments, require_done

SOURCE = """\
from . import beside

def setup():
    return {given}

def step(*arguments):
    return beside.NAME, arguments
"""


def job_of(step):
    """A job that measures this step."""
    return Job(
        cell=Cell(id="x", model="x", method="vanilla", batch=1),
        pass_name="step_time",
        model="x",
        model_options={},
        methods=(),
        layout=None,
        inputs={},
        batch_path="",
        weights={"kind": "unset"},
        sampling=Sampling(),
        cpus=(0,),
        created_ns=time.monotonic_ns(),
        step=step,
    )


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call the step of a module in a package, with what its set-up returns."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    number = iter(range(100))

    def make(given="None", *, setup=True, package=True):
        name = f"package_{tmp_path.name}_{next(number)}".replace("-", "_")
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "beside.py").write_text("NAME = 'beside'\n")
        source = SOURCE.format(given=given)
        file = folder / "mine.py"
        file.write_text(
            source
            if package
            else source.replace("from . import beside", "class beside: NAME = 'alone'")
        )
        function = {"module": f"{name}.mine" if package else "mine", "file": str(file)}
        step = {
            "step": {**function, "name": "step"},
            "setup": {**function, "name": "setup"} if setup else None,
            "path": [str(tmp_path), *sys.path],
        }
        job = job_of(step)
        return prepare(Job.from_text(job.to_text()))()

    return make


@pytest.mark.parametrize(
    ("given", "arguments"),
    [("(1, 'b')", (1, "b")), ("[1, 2]", ([1, 2],)), ("5", (5,)), ("None", ()), ("()", ())],
)
def test_a_tuple_is_the_arguments_nothing_is_none_and_all_else_the_only_one(call, given, arguments):
    assert call(given) == ("beside", arguments)


def test_without_a_setup_there_are_no_arguments(call):
    assert call(setup=False) == ("beside", ())


def test_a_file_that_its_name_does_not_lead_to_is_loaded_by_its_path(call):
    assert call("7", package=False) == ("alone", (7,))


def test_the_set_up_starts_from_the_same_seed_each_time(call):
    given = "__import__('torch').rand(4).tolist()"
    assert call(given) == call(given)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("(n for n in ())", "generator"),
        ("type('Later', (), {'__await__': iter})()", "Later"),
    ],
)
def test_a_set_up_that_returns_work_not_done_is_refused(call, given, kind):
    with pytest.raises(Refusal, match=f"^setup returned a {kind}, which was never run: "):
        call(given)


def test_a_coroutine_is_closed_and_all_else_is_done():
    async def waits():
        pass

    with pytest.raises(Refusal, match=r"^step returned a coroutine, "):
        require_done("step", waits())
    for value in (None, 1, [], iter(()), map(str, ())):
        require_done("step", value)


WITHOUT_FORMULA = """\
import torch

def step():
    torch.linalg.eigvals(torch.eye(3))
"""


def test_a_step_without_backward_still_names_the_operators_without_a_formula(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / "mine.py"
    file.write_text(WITHOUT_FORMULA)
    function = {"module": "mine", "file": str(file), "name": "step"}
    job = job_of({"step": function, "setup": None, "path": [str(tmp_path), *sys.path]})
    found = step_trace.measure(job)
    assert set(found.unavailable) == {"activation_bytes", "activation_allocated_bytes"}
    assert found.details["notes"] == [
        "the FLOPs of the step leave out operators without a formula: linalg_eig"
    ]


@pytest.mark.parametrize(
    ("arguments", "has_setup", "says"),
    [
        (
            (1, 2, 3),
            True,
            "too many positional arguments; setup gives 3: each part of a tuple is an argument",
        ),
        ((), True, "missing a required argument: 'state'; setup gives 0: "),
        ((), False, "missing a required argument: 'state'; there is no setup, which"),
    ],
)
def test_a_step_that_the_set_up_does_not_fit_is_refused(arguments, has_setup, says):
    def step(state):
        raise AssertionError("it is not called")

    with pytest.raises(Refusal) as caught:
        require_arguments(step, arguments, has_setup=has_setup)
    assert str(caught.value).startswith(f"step(state) cannot be called: {says}")
    require_arguments(step, (1,), has_setup=True)


def test_a_step_whose_arguments_python_cannot_list_is_left_alone():
    require_arguments(max, (1, 2), has_setup=True)
