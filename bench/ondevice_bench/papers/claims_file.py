"""Files of published claims: their schema, and the folders that are searched for them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from ondevice_bench import metrics
from ondevice_bench.declare.check import check
from ondevice_bench.declare.document import Document, read
from ondevice_bench.declare.folders import search_path
from ondevice_bench.declare.schema import StrictSchema, Version
from ondevice_bench.declare.shown import JsonSchema, ShownAs, reads, text
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.papers import shown
from ondevice_bench.papers.conditions import impossible
from ondevice_bench.papers.dialects import DIALECTS, EARLIER, EXACT
from ondevice_bench.papers.published import (
    ACCOUNTED,
    UNITS_OF_METRICS,
    Claim,
    Computed,
    Paper,
    PublishedClaims,
    Query,
    Reach,
    Unit,
)
from ondevice_bench.specs import registry, single_layer
from ondevice_bench.specs.layer_choice import parse
from ondevice_bench.suite.cell import Train
from ondevice_bench.suite.schema import TRAIN
from ondevice_bench.suite.shown import one_choice_of_layers

KIND, NAME = "reports", "claims.yaml"


def load_published(named: Path | None = None) -> PublishedClaims:
    """The claims of the named file; without one, of the working directory and the built-in ones.

    If two claims or papers have the same name, the first one counts.
    """
    found = [folder / NAME for folder in search_path(KIND) if (folder / NAME).is_file()]
    paths = found if named is None else [named]
    papers: dict[str, Paper] = {}
    claims: dict[str, Claim] = {}
    for path in paths:
        file = claims_of(read(path))
        for paper in file.papers:
            papers.setdefault(paper.name, paper)
        for claim in file.claims:
            claims.setdefault(claim.id, replace(claim, origin=str(named or "")))
    return PublishedClaims(tuple(papers.values()), tuple(claims.values()))


def claims_of(document: Document) -> PublishedClaims:
    """The claims of one file; BadInput has all mistakes together."""
    file = check(ClaimsSchema, document)
    problems = [
        f"{document.place(('claims', place, 'paper'))}: claims[{place}].paper: "
        f"{unknown('paper', claim.paper, file.papers)}"
        for place, claim in enumerate(file.claims)
        if claim.paper not in file.papers
    ]
    ids = [claim.id for claim in file.claims]
    problems += [
        f"{document.place(('claims', place, 'id'))}: claims[{place}].id: {name!r} appears twice"
        for place, name in enumerate(ids)
        if name in ids[:place]
    ]
    if problems:
        raise BadInput(*problems)
    papers = tuple(Paper(name, each.title, each.reference) for name, each in file.papers.items())
    claims = (
        claim.claim(str(document.place(("claims", place))), file.papers[claim.paper].train)
        for place, claim in enumerate(file.claims)
    )
    return PublishedClaims(papers, tuple(claims))


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _digits(value: object) -> object:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"\d+(\.\d+)?", value):
        raise ValueError(
            f'must be the number as printed, in quotes: "62" or "2349.00", got {value!r}'
        )
    return value


_Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class _Paper(StrictSchema):
    title: str = Field(min_length=1)
    reference: str = ""
    train: TRAIN | None = None


def _checked_pattern(text: str) -> str:
    """A pattern of models; ValueError if no network and no kind of single layer begins like it."""
    begin = text.partition("*")[0]
    kinds = [f"{kind}(" for kind in single_layer.KINDS]
    names = [*registry.models(), *kinds]
    is_layer = any(begin.startswith(kind) for kind in kinds)
    if not is_layer and not any(name.startswith(begin) for name in names):
        raise ValueError(unknown("model", text, names))
    return text


class _Query(StrictSchema):
    model: Annotated[str | None, ShownAs(shown.model)] = None
    method: Annotated[str | None, ShownAs(shown.method)] = None
    layers: Annotated[Any, ShownAs(one_choice_of_layers)] = None
    batch: Annotated[int | None, Field(ge=1)] = None
    weights: str | None = None
    data: str | None = None
    dtype: Literal["float32", "float64", "bfloat16"] = "float32"
    model_options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    method_options: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @field_validator("model")
    @classmethod
    def _check_model(cls, name: str | None) -> str | None:
        if name is None or registry.is_own_model(name):
            return name
        if "*" in name:
            return _checked_pattern(name)
        try:
            return registry.model(name).name
        except BadInput as error:
            raise ValueError(str(error)) from None

    @field_validator("method")
    @classmethod
    def _check_method(cls, name: str | None) -> str | None:
        for part in () if name is None or registry.is_own(name) else name.split("+"):
            if part not in registry.methods():
                raise ValueError(unknown("method", part, registry.methods()))
        return name

    @field_validator("layers")
    @classmethod
    def _check_layers(cls, value: Any) -> str | None:
        if value is None:
            return None
        choices = parse(value)
        if len(choices) != 1:
            raise ValueError(f"must be one choice of layers, got {value!r}")
        return choices[0]

    @model_validator(mode="after")
    def _check_that_a_cell_can_have_them(self) -> "_Query":
        problem = impossible(self.query())
        if problem is not None:
            raise ValueError(f"no cell can have this condition: {problem}")
        return self

    def query(self) -> Query:
        return Query(
            **self.model_dump(exclude={"model_options", "method_options"}),
            model_options=tuple(sorted(self.model_options.items())),
            method_options=tuple(sorted(self.method_options.items())),
        )


class _Claim(StrictSchema):
    id: Annotated[str, Field(pattern=r"^[\w.-]+$"), ShownAs(lambda: text(r"[\w.-]+"))]
    paper: str
    says: str = Field(min_length=1)
    source: str = ""
    scope: str = Field(min_length=1)
    computed: Computed
    published: Annotated[str | None, reads(_digits, shown.published)] = None
    unit: Unit = "x"
    reach: Reach = "exactly"
    quantity: str | None = None
    dialect: Annotated[str, ShownAs(shown.dialect)] = EXACT
    ratio_of: Annotated[str | None, ShownAs(shown.ratio_of)] = None
    measured: Annotated[_Names, ShownAs(shown.measured)] = ()
    boards: _Names = ()
    of: _Query = _Query()
    needs: str = ""
    untestable: str = ""
    remark: str = ""
    epochs: Annotated[int | None, Field(ge=1)] = None
    command: str = ""

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        return {**found, **shown.quantity()}

    @field_validator("dialect")
    @classmethod
    def _check_dialect(cls, name: str) -> str:
        name = EARLIER.get(name, name)
        if name not in DIALECTS:
            raise ValueError(unknown("dialect", name, DIALECTS))
        return name

    @field_validator("measured")
    @classmethod
    def _check_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in metrics.BY_NAME:
                raise ValueError(unknown("metric", name, metrics.BY_NAME))
        return names

    @field_validator("ratio_of")
    @classmethod
    def _check_ratio_of(cls, name: str | None) -> str | None:
        if name is not None and name not in registry.methods():
            raise ValueError(unknown("method", name, registry.methods()))
        return name

    @model_validator(mode="after")
    def _check_consistency(self) -> "_Claim":
        if self.computed == "accounted" and self.quantity not in ACCOUNTED:
            raise ValueError(
                unknown("accounted quantity", str(self.quantity), ACCOUNTED)
                if self.quantity
                else f"an accounted claim needs a quantity: {', '.join(ACCOUNTED)}"
            )
        if self.computed != "accounted" and self.quantity is not None:
            raise ValueError(f"only an accounted claim has a quantity; this one is {self.computed}")
        if self.computed == "secondary" or self.untestable or self.published is None:
            return self
        if self.computed == "measured" and not self.measured:
            raise ValueError("a measured claim needs a metric in measured")
        is_share = self.unit == "%" and self.computed == "accounted"
        if self.ratio_of is None and (self.unit == "x" or is_share):
            raise ValueError(
                f"a number in {self.unit} needs ratio_of: the method that it is compared with"
            )
        of_flops = "flops" in str(self.quantity)
        if self.unit in ("KiB", "MiB", "GiB") and (self.ratio_of or of_flops):
            raise ValueError(
                f"a number in {self.unit} means bytes of one method: no ratio_of, no FLOPs"
            )
        is_accounted = self.computed == "accounted"
        if self.unit in ("MFLOP", "GFLOP") and (self.ratio_of or (is_accounted and not of_flops)):
            raise ValueError(f"a number in {self.unit} means FLOPs of one method: no ratio_of")
        if self.ratio_of is None and self.measured:
            self._check_unit(metrics.BY_NAME[self.measured[0]])
        return self

    def _check_unit(self, deciding: metrics.Metric) -> None:
        if UNITS_OF_METRICS[self.unit][0] != deciding.unit:
            raise ValueError(
                f"a number in {self.unit} without ratio_of is no number of {deciding.name}, which "
                f"is in {deciding.unit or 'shares'}"
            )

    def claim(self, place: str, train: Train | None) -> Claim:
        return Claim(
            **self.model_dump(exclude={"of"}),
            query=replace(self.of.query(), train=train),
            place=place,
        )


class ClaimsSchema(StrictSchema):
    """A file of claims."""

    schema_version: Version = Field(alias="schema")
    title: str = Field(min_length=1)
    papers: dict[str, _Paper] = Field(min_length=1)
    claims: Annotated[tuple[_Claim, ...], BeforeValidator(_as_tuple)]
