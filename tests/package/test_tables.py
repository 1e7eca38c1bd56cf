"""What chapters say of scores with intervals."""

import matplotlib.pyplot as plt
import pytest

from lulc_utils import data, guide, results, tables


def test_intervals_as_text():
    assert tables.span((0.5, 0.25, 0.75)) == "0.50 (0.25 to 0.75)"
    assert tables.signed((0.05, -0.01, 0.123), 3) == "+0.050 (−0.010 to +0.123)"
    assert tables.signed((-0.0002, -0.008, 0.0075)) == "−0.00 (−0.01 to +0.01)", "a loss is no gain"
    assert tables.apart((0.5, 0.25, 0.75), 1) == ("0.5", "0.2 to 0.8")
    assert tables.apart((0.0, -0.25, 0.25), 1) == ("0.0", "−0.2 to 0.2")


def test_a_table_of_measures_has_a_row_for_each_and_a_column_for_what_was_measured():
    table = tables.measures({"a": {"x": (1, 0, 2), "y": (3, 2, 4)}, "b": {"x": (5, 4, 6)}}, "C", 1)
    assert table.header[1:] == ["a", "b"]
    assert table.rows == [["x", "1.0 (0.0 to 2.0)", "5.0 (4.0 to 6.0)"], ["y", "3.0 (2.0 to 4.0)", "–"]]


def test_tables_of_descriptions_have_their_numbers_where_they_belong():
    table = tables.columns({"color": {"road": 0.2, "lake": 0.4}, "net": {"road": 0.5, "lake": 0.7}}, "class", "C")
    assert table.rows == [["road", "0.20", "0.50"], ["lake", "0.40", "0.70"], ["mean", "0.30", "0.60"]]
    scores = {"Dubai": {"k-NN": {"color": (0.3, 0.1, 0.5), "net": (0.4, 0.2, 0.6)}}}
    assert tables.by_set(scores, "C").rows == [["Dubai", "k-NN", "0.30", "0.40"]]
    assert tables.shares(scores["Dubai"], "right", "C").rows[1] == ["k-NN", "net", "0.40", "0.20 to 0.60"]


def test_means_are_over_repeats():
    value, low, high = tables.means([{"a": 1.0}, {"a": 3.0}])["a"]
    assert value == 2 and low == pytest.approx(2 - 12.706, abs=1e-3) and high - 2 == pytest.approx(2 - low)


def test_missing_data_is_a_notice_and_no_scenes(capsys):
    def load(tile):
        raise data.DataUnavailable(f"tile {tile} is not here")

    assert tables.data_or_notice(load, 3) == [] and "tile 3 is not here" in capsys.readouterr().out
    assert tables.data_or_notice(lambda: [1]) == [1]


def test_the_guide_reads_every_line_from_a_result_file():
    choices = guide.by_budget()
    assert len({choice.source for choice in choices}) == 5 and len(choices) > 12
    assert [c.budget for c in choices] == sorted(c.budget for c in choices)
    assert choices[0].labels == "no labels" and choices[-1].labels.startswith("all pixels")
    figure = guide.chart()
    for axis, real in zip(figure.axes, (False, True), strict=True):
        of = [[c.do, *c.instead] for c in choices if c.real == real]
        for i, marks in enumerate(axis.containers):
            assert marks[0].get_xdata().tolist() == [named[i][1][0] for named in of if len(named) > i]
            assert [int(y + 0.5) for y in marks[0].get_ydata()] == [
                row for row, named in enumerate(of) if len(named) > i
            ]
        assert len(axis.containers) == max(map(len, of)) == 3
    plt.close(figure)


def test_the_guide_and_the_sentences_of_chapter_2_read_the_same_five_trainings():
    runs = results.measured("stego_runs", "simulated")
    assert runs["seeds"] > 1
    by_method = {name: value for c in guide.by_budget() for name, value in (c.do, *c.instead) if c.images == "aerial"}
    assert by_method["linear probe on ViT"] == runs["scores"]["mIoU"]["linear probe"]
    assert by_method["STEGO + CRF"] == runs["scores"]["mIoU"]["STEGO + CRF"]
    assert by_method["k-means + CRF"] == runs["scores"]["mIoU"]["k-means, frozen features + CRF"]


def test_a_finding_reads_its_numbers_from_the_results(monkeypatch):
    kept = {"gains": {"a b": {"in": [0.0213, -0.004, 0.05]}}, "n": {"all": 9600}}
    monkeypatch.setattr(tables.results, "measured", lambda chapter, part: kept[part] if chapter == "some" else None)
    text = tables.finding("some", "It gains {gains/a b/in|points},\n  or {gains/a b/in|percent}, in {n/all|integer}.")
    assert text.data == "It gains +2.1 points (−0.4 to +5.0), or 2 %, in 9 600."
    kept["gains"] |= {"up": [0.2, 0.1, 0.3], "down": [-0.2, -0.3, -0.1]}
    verdicts = [tables.finding("some", f"{{gains/{way}|verdict}}").data for way in ("a b/in", "up", "down")]
    assert verdicts == ["no difference that the repeats can show", "a gain", "a loss"]
    with pytest.raises(ValueError, match="have no gains/a b/out: there is no 'out'"):
        tables.finding("some", "{gains/a b/out|points}")
