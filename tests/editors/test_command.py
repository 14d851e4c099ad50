import json

from jsonschema import Draft202012Validator


def test_a_schema_has_the_names_of_the_working_directory(bench, workplace):
    (workplace / "hardware").mkdir()
    (workplace / "hardware/attic.yaml").write_text("schema: 1\ntitle: A board in the attic\n")
    (workplace / "suites").mkdir()
    ended = bench("schema", "suite", "--out", "suites/suite.schema.json")
    assert (ended.code, ended.out) == (0, "schema: suites/suite.schema.json\n")
    written = (workplace / "suites/suite.schema.json").read_text()
    ended = bench("schema", "fleet", "--out", "fleet.schema.json")
    assert (ended.code, ended.out) == (0, "schema: fleet.schema.json\n")
    assert bench("schema", "suite").out == written
    suite = {"schema": 1, "title": "t", "models": "mcunet", "methods": "vanilla"}
    validator = Draft202012Validator(json.loads(written))
    assert validator.is_valid({**suite, "hardware": "attic"})
    assert not validator.is_valid({**suite, "hardware": "cellar"})


def test_a_kind_that_there_is_not_is_one_line(bench, workplace):
    ended = bench("schema", "suit")
    assert ended.code == 2
    assert ended.err == (
        "bench: unknown kind of file 'suit'; did you mean 'suite'? "
        "(known: claims, fleet, hardware, hosts, layout, search, suite)\n"
    )


def test_a_shell_that_there_is_not_is_one_line(bench):
    ended = bench("completion", "tcsh")
    assert ended.code == 2
    assert (
        ended.err == "bench: unknown shell 'tcsh'; did you mean 'zsh'? (known: bash, fish, zsh)\n"
    )
