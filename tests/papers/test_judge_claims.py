"""Claims with their accounts: each account is made once, and a refusal names its claim."""

import dataclasses

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.papers.claims_table import accounted
from ondevice_bench.papers.judge_claims import judge_claims, words_of
from ondevice_bench.papers.published import Paper, PublishedClaims, Query
from tests.papers.test_claims import CLAIM
from tests.papers.test_evidence import CELLS, records
from tests.record.conftest import make_run, planned

RATIO = dataclasses.replace(
    CLAIM, measured=(), query=Query("mcunet", "asi", "all", 8, method_options=(("rank", 2),))
)
PUBLISHED = PublishedClaims(
    (Paper("p", "A paper", ""),), (RATIO, dataclasses.replace(RATIO, id="d"))
)


def values(stored):
    return {"activation_bytes": stored, "stored_bytes": stored, "weight_bytes": 1.0, "flops": None}


def test_each_account_is_made_once_and_has_the_same_layers_in_plain_training():
    calls, kept = [], {}

    def accounts_of(wanted):
        calls.append([(list(words.methods), list(words.options), ranks) for words, ranks in wanted])
        return [{**values(50.0), "plain": values(100.0)}] * len(wanted)

    verdicts = judge_claims(PUBLISHED, (), accounts_of, kept)
    assert [(one.claim.id, one.verdict) for one in verdicts] == [
        ("c", "reproduced"),
        ("d", "reproduced"),
    ]
    assert calls == [[(["asi"], ["rank=2"], None)]]
    assert judge_claims(PUBLISHED, (), accounts_of, kept) == verdicts
    assert len(calls) == 1


def test_a_refused_account_names_the_claim():
    def accounts_of(wanted):
        return [BadInput("mcunet: no such layer")] * len(wanted)

    with pytest.raises(BadInput, match=r"^claim c: mcunet: no such layer"):
        judge_claims(PUBLISHED, (), accounts_of)
    placed = dataclasses.replace(RATIO, place="mine.yaml:6")
    with pytest.raises(BadInput, match=r"^mine\.yaml:6: claim c: mcunet: no such layer"):
        judge_claims(PublishedClaims(PUBLISHED.papers, (placed,)), (), accounts_of)


def test_a_cell_of_an_earlier_run_without_an_account_is_left_out_with_the_reason(summary_of):
    """Its options may be those of an earlier version."""
    summary = summary_of(records(), planned(*CELLS), make_run())
    published = PublishedClaims(PUBLISHED.papers, (CLAIM,))

    def accounts_of(wanted):
        return [BadInput("mcunet: no option 'old'")] * len(wanted)

    (found,) = judge_claims(published, [summary], accounts_of)
    assert [each.why_not for each in found.accounts] == ["mcunet: no option 'old'"]
    assert list(accounted(found)) == ["no account of mcunet/asi/all/b8/s0: mcunet: no option 'old'"]


def test_a_query_becomes_the_words_of_the_command_line():
    query = Query(
        "vit_b_32",
        "wasi",
        "last:2",
        4,
        model_options=(("depth", 2),),
        method_options=(("warm", True),),
    )
    words = words_of(query)
    assert (words.models, words.methods) == (["vit_b_32"], ["wasi"])
    assert words.options == ["depth=2", "warm=true"]
    assert (words.layers, words.batches) == (["last:2"], [4])
    assert words_of(Query("vit_b_32", "wasi", "all", None)).batches == []
