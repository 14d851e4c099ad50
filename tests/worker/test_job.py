from ondevice_bench.protocol.job import Job, PassResult, Reply
from ondevice_bench.suite.cell import Cell, Train
from ondevice_bench.suite.suite import Sampling


def test_jobs_and_replies_survive_the_way_between_processes():
    job = Job(
        cell=Cell(
            id="x",
            model="m",
            method="v",
            batch=2,
            model_options=(("depth", 2),),
            train=Train(clip=None),
        ),
        pass_name="time",
        model="a.b",
        model_options={"depth": 2},
        methods=(("a.b:C", {"rank": "8x16"}), ("d:E", {}, "last:4")),
        layout={"head": "x"},
        inputs={"size": 3},
        batch_path="/tmp/x",
        weights={"kind": "spectrum", "decay": 0.5},
        sampling=Sampling(warmup=3),
        cpus=(0, 2),
        created_ns=17,
        ranks={"fc": {"activation": [8, 16], "weight": None}},
        sustain=1200.0,
        throttled_by="vcgencmd",
        power={"kind": "command", "command": ["meter", "-x"], "rails": [], "folder": "/boards"},
        source={"kind": "folder", "path": "/data/pets", "decay": None},
    )
    assert Job.from_text(job.to_text()) == job
    reply = Reply(
        "ok",
        result=PassResult(
            metrics={"step_seconds": 0.1},
            samples={"step_seconds": [0.1, 0.2]},
            unavailable={"x": "why"},
            details={"a": {"b": [1]}},
        ),
    )
    assert Reply.from_text(reply.to_text()) == reply
    assert reply.to_text().count("\n") == 1
