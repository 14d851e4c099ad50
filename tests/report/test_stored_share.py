"""What the page says a method stores of its inputs: bytes, or the elements of an early record."""

from dataclasses import replace

from ondevice_bench.report.sections import layers, scopes
from ondevice_bench.report.sections.section import ReportData
from tests.report import synthetic


def shown(summary_of, **sizes):
    """The first column of the first method's line, and its shares layer by layer."""
    cells = synthetic.cells()
    records = synthetic.records(cells)
    for number, record in enumerate(records):
        if "treated" in record.details:
            treated = {
                name: {**layer, **sizes} for name, layer in record.details["treated"].items()
            }
            records[number] = replace(record, details={**record.details, "treated": treated})
    summary = summary_of(records, synthetic.planned(cells), synthetic.run_of())
    data = ReportData.from_summaries((summary,))
    line = scopes.content(data)["lines"][0]
    plot = layers.stored_shares(data.groups[0]).plain()
    return line[2][0], [row[0] for row in plot["data"][0]["z"]]


def test_a_method_that_stores_integers_is_shown_in_bytes(summary_of):
    # 1024 of 2048 elements in the network's type, as many again in int64: half, and one whole more
    quantity, shares = shown(
        summary_of, stored_elements=2048, stored_bytes=1024 * 12, input_bytes=2048 * 4
    )
    assert (quantity.estimate, quantity.interval) == ("1.50×", "")
    assert "24,576 of 16,384 bytes of the inputs of 2 changed layers" in quantity.meaning
    assert shares == [1.5, 1.5]


def test_an_early_record_shows_the_elements_that_it_has(summary_of):
    quantity, shares = shown(summary_of)
    assert (quantity.estimate, quantity.interval) == ("0.375×", "2.7 to 1")
    assert "1,536 of 4,096 elements of the inputs of 2 changed layers" in quantity.meaning
    assert shares == [0.25, 0.5]
