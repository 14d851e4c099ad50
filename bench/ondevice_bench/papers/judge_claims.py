"""The verdict on every published claim, with the accounts that it needs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.errors import BadInput
from ondevice_bench.papers.accounts import AccountQuery, account, account_queries
from ondevice_bench.papers.claims import JudgedClaim, judge
from ondevice_bench.papers.evidence import measured
from ondevice_bench.papers.published import PublishedClaims, Query
from ondevice_bench.suite.from_flags import Words

AccountValues: TypeAlias = Mapping[str, Any]
# makes the account of one cell, with its own ranks or those of the second argument
AccountOf: TypeAlias = Callable[[Words, Mapping[str, Any] | None], AccountValues]


def judge_claims(
    published: PublishedClaims,
    summaries: Sequence[RunSummary],
    account_of: AccountOf,
    accounts: dict[str, AccountValues] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[JudgedClaim, ...]:
    """Every claim with its accounts and measurements. Equal accounts are made only once.

    `accounts` keeps them for another call. `tell` gets a text before each claim.
    """
    kept: dict[str, AccountValues] = {} if accounts is None else accounts

    def cached(cell: AccountQuery) -> AccountValues:
        key = f"{cell.query} {cell.ranks}"
        if key not in kept:
            kept[key] = account_of(words_of(cell.query), cell.ranks)
        return kept[key]

    verdicts = []
    for number, claim in enumerate(published.claims, 1):
        tell(f"{number}/{len(published.claims)} · {claim.id}")
        values = []
        for cell in account_queries(claim, summaries):
            try:
                own = cached(cell)
                base = cached(cell.plain) if claim.ratio_of else None
            except BadInput as error:
                place = f"{claim.place}: " if claim.place else ""
                raise BadInput(f"{place}claim {claim.id}: {error.lines[0]}") from None
            values.append(account(claim, cell, own, base))
        verdicts.append(judge(claim, values, measured(claim, summaries)))
    return tuple(verdicts)


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
