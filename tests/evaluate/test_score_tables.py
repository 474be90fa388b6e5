import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluate.pairs import load_side
from evaluate.score_tables import read_table
from store.errors import RunError
from tests.page_headers import write_number

ROWS = 2000
SCORE = np.random.default_rng(0).random(ROWS)
NAMES = ("row", "score", "label")


def write(path, **changes):
    """Write a table of scores in Parquet with some columns changed or added."""
    columns = {"row": np.arange(ROWS), "score": SCORE, "label": np.arange(ROWS) % 2, **changes}
    pq.write_table(pa.table(columns), path, use_dictionary=False)
    return path


def write_csv(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", NAMES)
def test_two_columns_of_one_name_are_refused(tmp_path, name):
    path = tmp_path / "a.parquet"
    pq.write_table(pq.read_table(write(path)).append_column(name, pa.array(SCORE)), path)
    csv = write_csv(tmp_path / "a.csv", f"row,score,label,{name}", "0,0.5,1,0.7", "1,0.5,0,0.7")
    for wrong in (path, csv):
        with pytest.raises(RunError, match=rf"^{wrong}: 2 columns are called '{name}'; rename or remove all but one$"):
            load_side(wrong, "test")


def test_columns_that_are_not_needed_may_have_any_name_type_and_number(tmp_path):
    path = tmp_path / "a.parquet"
    table = pq.read_table(write(path, file=["a"] * ROWS, time=pa.array(range(ROWS), pa.timestamp("s"))))
    pq.write_table(table.append_column("file", pa.array(SCORE)), path)
    assert np.array_equal(read_table(path)["score"], SCORE)
    csv = write_csv(tmp_path / "a.csv", '﻿"row",η,file,"score",file', '0,ä,"a, b",0.25,x', '1,ä,"a, b","0.5",y')
    assert {name: values.tolist() for name, values in read_table(csv).items()} == {
        "row": [0, 1],
        "score": [0.25, 0.5],
    }


LABEL = pa.array(np.arange(ROWS) % 2)


@pytest.mark.parametrize("label", [LABEL.dictionary_encode(), LABEL.cast(pa.decimal128(25, 2)), LABEL.cast(pa.bool_())])
def test_numbers_of_odd_types_are_read(tmp_path, label):
    assert np.array_equal(load_side(write(tmp_path / "a.parquet", label=label), "test").predictions.label, LABEL)


WRONG = {
    "null": (pa.nulls(ROWS), "score has type null, expected numbers"),
    "text": (["\x1b[2J"] * ROWS, "score has type string, expected numbers"),
    "time": (pa.array(range(ROWS), pa.timestamp("s")), r"score has type timestamp\[.*\], expected numbers"),
    "missing": (pa.array([*SCORE[:-1], None]), "scores must be finite, got nan in row 1999.*"),
    "struct": (pa.array([{"a": 1}] * ROWS), "score has type struct<a: int64>, expected numbers"),
}


@pytest.mark.parametrize(("score", "message"), WRONG.values(), ids=WRONG)
def test_scores_of_a_wrong_type_are_refused_with_the_file_and_the_column(tmp_path, score, message):
    path = write(tmp_path / "a.parquet", score=score)
    with pytest.raises(RunError, match=f"^{path}: {message}$"):
        load_side(path, "test")


def test_pages_that_promise_more_than_the_footer_are_not_read(tmp_path):
    path = write(tmp_path / "a.parquet")
    write_number(path, "score", "values")
    with pytest.raises(RunError, match=r"a\.parquet: score in row group 0: the pages promise 8,191 values, .* 2,000"):
        read_table(path)


def test_a_small_table_with_very_many_rows_is_refused(tmp_path):
    zeros = pa.DictionaryArray.from_arrays(np.zeros(10**6, np.int32), pa.array([0.0]))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"row": zeros, "score": zeros}), path, store_schema=False)
    with pytest.raises(RunError, match=r"a\.parquet: row promises 1,000,000 rows in a file of [\d,]+ bytes"):
        read_table(path)


def test_control_characters_of_a_table_stay_out_of_messages(tmp_path):
    with pytest.raises(RunError, match="not a table of numbers") as caught:
        read_table(write_csv(tmp_path / "a.csv", "row,score", "0,\x1b]0;title\x07"))
    assert str(caught.value).isprintable()
