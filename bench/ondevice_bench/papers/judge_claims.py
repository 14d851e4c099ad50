"""The verdict on every published claim, with the accounts that it needs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.errors import BadInput
from ondevice_bench.papers.accounts import Account, AccountQuery, account, account_queries
from ondevice_bench.papers.claims import JudgedClaim, judge
from ondevice_bench.papers.evidence import measured
from ondevice_bench.papers.published import Claim, PublishedClaims, Query
from ondevice_bench.suite.from_flags import Words

AccountValues: TypeAlias = Mapping[str, Any]
# the numbers of an account, or why there is none
AccountAnswer: TypeAlias = AccountValues | BadInput
# makes the account of each cell, with its own ranks or those beside it
Accountant: TypeAlias = Callable[
    [Sequence[tuple[Words, Mapping[str, Any] | None]]], Sequence[AccountAnswer]
]


def judge_claims(
    published: PublishedClaims,
    summaries: Sequence[RunSummary],
    accounts_of: Accountant,
    kept: dict[str, AccountAnswer] | None = None,
) -> tuple[JudgedClaim, ...]:
    """Every claim with its accounts and measurements. Equal accounts are made only once.

    `kept` has the accounts of an earlier call, and gets the new ones.
    """
    known = {} if kept is None else kept
    queries = {claim.id: account_queries(claim, summaries) for claim in published.claims}
    new = {
        key: query
        for claim in published.claims
        for query in queries[claim.id]
        if (key := _key(query)) not in known
    }
    if new:
        asked = [(words_of(each.query), each.ranks) for each in new.values()]
        known.update(zip(new, accounts_of(asked), strict=True))
    return tuple(
        judge(
            claim,
            [_account(claim, query, known) for query in queries[claim.id]],
            measured(claim, summaries),
        )
        for claim in published.claims
    )


def _key(query: AccountQuery) -> str:
    return f"{query.query} {query.ranks}"


def _account(claim: Claim, query: AccountQuery, known: Mapping[str, AccountAnswer]) -> Account:
    """The claim's number; BadInput with the place of the claim if its own cell has no account.

    A cell of a run may be of an earlier version, whose options this one does not know.
    """
    found = known[_key(query)]
    if isinstance(found, BadInput) and query.is_of_run:
        return Account(query.cell, None, None, query.differs, found.lines[0])
    if isinstance(found, BadInput):
        place = f"{claim.place}: " if claim.place else ""
        raise BadInput(f"{place}claim {claim.id}: {found.lines[0]}")
    return account(claim, query, found, found["plain"] if claim.ratio_of else None)


def words_of(query: Query) -> Words:
    """The query as words of the command line."""
    options = (*query.model_options, *query.method_options)
    return Words(
        [str(query.model)],
        methods=[str(query.method)],
        options=[f"{name}={_text(value)}" for name, value in options],
        layers=[str(query.layers)],
        batches=[] if query.batch is None else [query.batch],
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
