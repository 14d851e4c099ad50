from ondevice_bench.cli import names
from ondevice_bench.record.cell_names import cell_names
from ondevice_bench.record.store import FILE_NAME, OUT, Store
from tests.record.conftest import make_run
from tests.report import synthetic


def test_a_shell_is_given_the_cells_of_a_store(workplace):
    """The module knows where stores are and what their table is called, without loading them."""
    path = OUT / "s" / FILE_NAME
    path.parent.mkdir(parents=True)
    cells = synthetic.cells()
    with Store.create(path) as store:
        store.add_run(make_run(), synthetic.planned(cells))
        expected = {cell.id for cell in cells}
        assert set(cell_names(path)) == expected  # while another process writes, too
    assert set(names.cells("mcunet/")) == expected
    assert names.cells("vit") == []
    assert names.results("") == ["s"]


def test_what_is_no_store_has_no_cells(workplace):
    (workplace / "text").write_text("cells")
    assert cell_names(workplace / "text") == []
    assert cell_names(workplace / "missing") == []
    assert not (workplace / "missing").exists()
