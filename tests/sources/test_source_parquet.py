from __future__ import annotations

from datetime import date
from pathlib import Path

import fsspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlframe.errors import DataError
from mlframe.sources.parquet import ParquetSource

FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})


def refused(source: ParquetSource) -> str:
    with pytest.raises(DataError) as caught:
        source.read()
    return str(caught.value)


def hive(root: Path) -> Path:
    for year in (2023, 2024):
        for kind in ("a", "__HIVE_DEFAULT_PARTITION__"):
            folder = root / f"year={year}" / f"kind={kind}" / f"day={year}-01-02"
            folder.mkdir(parents=True)
            FRAME.write_parquet(folder / "part.parquet")
    (root / "_SUCCESS").touch()
    return root


def test_one_file_and_a_choice_of_columns(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "x.parquet")
    path = str(tmp_path / "x.parquet")
    assert ParquetSource(path).read().equals(FRAME)
    assert ParquetSource(path, columns=["b"]).read().columns == ["b"]
    assert "did you mean 'b'?" in refused(ParquetSource(path, columns=["B"]))


def test_globs_and_folders(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "p1.parquet")
    FRAME.select("b", "a").write_parquet(tmp_path / "p2.parquet")
    for path in (tmp_path, tmp_path / "*.parquet"):
        frame = ParquetSource(str(path)).read()
        assert frame.columns == ["a", "b"]
        assert frame["a"].to_list() == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("pattern", ["", "year=*/**/*.parquet"])
def test_hive_partitions_become_typed_columns(tmp_path: Path, pattern: str) -> None:
    frame = ParquetSource(str(hive(tmp_path / "lake") / pattern)).read()
    assert frame.schema == {"a": pl.Int64, "b": pl.String, "year": pl.Int64, "kind": pl.String, "day": pl.Date}
    assert frame["year"].value_counts().sort("year").rows() == [(2023, 6), (2024, 6)]
    assert frame["kind"].null_count() == 6
    assert frame["day"].unique().sort().to_list() == [date(2023, 1, 2), date(2024, 1, 2)]


def test_partition_columns_can_be_picked(tmp_path: Path) -> None:
    frame = ParquetSource(str(hive(tmp_path / "lake")), columns=["year", "b"]).read()
    assert frame.columns == ["year", "b"]
    assert frame.height == 12


def test_a_partition_that_is_a_column_too_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a=1").mkdir()
    FRAME.write_parquet(tmp_path / "a=1" / "x.parquet")
    assert "in the file and in the folders' names" in refused(ParquetSource(str(tmp_path)))


def test_remote_files(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "x.parquet")
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/lake/year=2024/x.parquet", (tmp_path / "x.parquet").read_bytes())
    source = ParquetSource("memory://lake")
    assert source.read().columns == ["a", "b", "year"]
    assert source.fingerprint() == source.fingerprint()


def test_a_sample_reads_the_first_rows(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "p1.parquet")
    FRAME.write_parquet(tmp_path / "p2.parquet")
    assert ParquetSource(str(tmp_path)).sample(4)["a"].to_list() == [1, 2, 3, 1]


def test_other_columns_no_rows_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    assert "holds no file" in refused(ParquetSource(str(tmp_path)))
    FRAME.head(0).write_parquet(tmp_path / "p1.parquet")
    assert "no rows" in refused(ParquetSource(str(tmp_path)))
    FRAME.drop("b").write_parquet(tmp_path / "p2.parquet")
    assert "p2.parquet lacks 'b'" in refused(ParquetSource(str(tmp_path)))


def test_the_reserved_name_is_refused(tmp_path: Path) -> None:
    FRAME.rename({"a": "__row__"}).write_parquet(tmp_path / "x.parquet")
    assert "is reserved" in refused(ParquetSource(str(tmp_path / "x.parquet")))


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PAR1" * 10])
def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    text = refused(ParquetSource(str(tmp_path / "x.parquet")))
    assert "corrupted" in text
    assert "x.parquet" in text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 0.999))
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, cut: float) -> None:
    whole = tmp_path / "whole.parquet"
    FRAME.write_parquet(whole)
    content = whole.read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[: int(len(content) * cut)])
    assert "corrupted" in refused(ParquetSource(str(tmp_path / "cut.parquet")))
