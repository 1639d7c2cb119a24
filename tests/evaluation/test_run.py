"""An evaluation scores every photo once, and names what it cannot score."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depthsvc.batch.estimators import Result
from depthsvc.errors import BrokenImage, ConfigurationError, ServiceUnreachable
from depthsvc.evaluation.contenders import Contender
from depthsvc.evaluation.layouts.registry import LAYOUTS, layout_of
from depthsvc.evaluation.pictures import Pictures
from depthsvc.evaluation.protocol import Fit
from depthsvc.evaluation.records import Records
from depthsvc.evaluation.run import Evaluation, Rules, Source, cases, check_units, find_sources
from depthsvc.evaluation.summary import ALL, Summary, summarize
from depthsvc.imaging.spec import DepthKind
from tests.evaluation.making import Guesser, contender, depth_of, make_data

USUAL = Rules()


class _Silent:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.begun: list[int | None] = []

    def begin(self, count: int | None) -> None:
        self.begun.append(count)

    def advance(self) -> None:
        pass

    def note(self, message: str) -> None:
        self.notes.append(message)

    def end(self) -> None:
        pass


def sources_in(*folders: Path, rules: Rules = USUAL, limit: int | None = None) -> list[Source]:
    return find_sources(folders, {folder: layout_of(folder) for folder in folders}, rules, limit)


@contextmanager
def records_in(folder: Path, rules: Rules) -> Iterator[Records]:
    folder.mkdir(exist_ok=True)
    with closing(Records(folder, rules.text())) as records:
        yield records


def evaluate(
    output: Path, sources: list[Source], *contenders: Contender, rules: Rules = USUAL
) -> tuple[Summary, _Silent]:
    shown = _Silent()
    with records_in(output, rules) as records:
        evaluation = Evaluation(sources, records, Pictures(output / "pictures"), shown)
        for one in contenders:
            evaluation.score(one)
        return summarize(records, rules.text(), sources), shown


def test_a_model_that_is_right_scores_best_and_one_that_guesses_worse(tmp_path: Path) -> None:
    sources = sources_in(make_data(tmp_path / "data", 6))
    right, wrong = contender("right", wrong_by=lambda _: 0), contender("wrong", wrong_by=lambda _: 0.2)
    summary, _ = evaluate(tmp_path / "out", sources, right, wrong)
    rows = {row.model: row for row in summary.rows}
    assert rows["right"].means["abs_rel"].value == pytest.approx(0, abs=1e-3)
    assert rows["right"].means["delta1"].value == 1
    assert 0.1 < rows["wrong"].means["abs_rel"].value < 0.3
    assert rows["wrong"].means["rank"].value < rows["right"].means["rank"].value
    assert (rows["right"].images, rows["right"].seconds, rows["right"].peak_memory) == (6, 0.25, 123_000_000)


def test_models_are_compared_photo_by_photo(tmp_path: Path) -> None:
    """Photos are so unlike that the models' own intervals overlap, but on each photo one of them is better."""
    hard = [0.02, 0.05, 0.1, 0.2, 0.3, 0.4]
    models = [
        contender("good", wrong_by=lambda number: hard[number % 6]),
        contender("worse", wrong_by=lambda number: 1.1 * hard[number % 6]),
        contender("uneven", wrong_by=lambda number: (1.4 if number // 6 % 2 else 0.7) * hard[number % 6]),
    ]
    folders = [make_data(tmp_path / name, 24) for name in ("one", "two")]
    summary, _ = evaluate(tmp_path / "out", sources_in(*folders), *models)
    for source in ("one", "two", ALL):
        rows = {row.model: row for row in summary.rows if row.source == source}
        good, worse = (rows[name].means["abs_rel"] for name in ("good", "worse"))
        assert worse.low < good.value < worse.value < good.high
        assert "abs_rel" not in rows["good"].differences
        difference = rows["worse"].differences["abs_rel"]
        assert difference.value == pytest.approx(worse.value - good.value)
        assert 0 < difference.low < difference.high < good.high - good.low
        assert not difference.may_be_zero
        assert rows["uneven"].differences["abs_rel"].may_be_zero


def test_what_has_a_score_is_not_computed_again(tmp_path: Path) -> None:
    sources = sources_in(make_data(tmp_path / "data", 6))
    first, again = Guesser(lambda _: 0.1, DepthKind.INVERSE_DEPTH), Guesser(lambda _: 0.1, DepthKind.INVERSE_DEPTH)
    one, _ = evaluate(tmp_path / "out", sources, contender(estimator=first))
    two, _ = evaluate(tmp_path / "out", sources, contender(estimator=again))
    assert (first.asked, again.asked) == (6 + 3, 0)  # three pictures
    assert one.json() == two.json()


def test_an_evaluation_that_stopped_goes_on_and_ends_with_the_same(tmp_path: Path) -> None:
    sources = sources_in(make_data(tmp_path / "data", 12))
    whole, _ = evaluate(tmp_path / "whole", sources, contender())

    class Dying(Guesser):
        def estimate(self, photo: bytes) -> Result:
            if self.asked >= 5:
                raise ServiceUnreachable("gone")
            return super().estimate(photo)

    dying = Dying(lambda number: 0.01 * number, DepthKind.INVERSE_DEPTH)
    with pytest.raises(ServiceUnreachable):
        evaluate(tmp_path / "out", sources, contender(estimator=dying))
    with (tmp_path / "out/scores.jsonl").open("a") as lines:
        lines.write('{"model": "gues')  # as when it is killed while writing
    rest = Guesser(lambda number: 0.01 * number, DepthKind.INVERSE_DEPTH)
    resumed, _ = evaluate(tmp_path / "out", sources, contender(estimator=rest))
    assert 6 <= rest.asked - 3 <= 11
    assert resumed.json() == whole.json()


def test_other_weights_are_scored_anew(tmp_path: Path) -> None:
    sources = sources_in(make_data(tmp_path / "data", 4))
    evaluate(tmp_path / "out", sources, contender(wrong_by=lambda _: 0.3))
    summary, _ = evaluate(tmp_path / "out", sources, contender(wrong_by=lambda _: 0, made_by="second"))
    assert summary.rows[0].means["abs_rel"].value == pytest.approx(0, abs=1e-3)


def test_models_of_earlier_runs_are_compared_too(tmp_path: Path) -> None:
    sources = sources_in(make_data(tmp_path / "data", 4))
    evaluate(tmp_path / "out", sources, contender("earlier"))
    summary, _ = evaluate(tmp_path / "out", sources, contender("later"))
    assert [row.model for row in summary.rows] == ["earlier", "later"]


def test_broken_pairs_are_named_counted_and_tried_again(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 5)
    whole = (data / "depth/001.png").read_bytes()
    (data / "depth/001.png").write_bytes(b"broken")
    (data / "rgb/002.png").unlink()
    summary, shown = evaluate(tmp_path / "out", sources_in(data), contender())
    assert (summary.rows[0].images, summary.rows[0].failed) == (3, 2)
    assert [(failure.key.pair, failure.code) for failure in summary.failures] == [
        ("001", "broken_pair"),
        ("002", "broken_pair"),
    ]
    assert any("001.png is not a picture" in note for note in shown.notes)
    (data / "depth/001.png").write_bytes(whole)
    summary, shown = evaluate(tmp_path / "out", sources_in(data), contender())
    assert (summary.rows[0].images, summary.rows[0].failed) == (4, 1)
    assert shown.begun == [2]


@pytest.mark.parametrize(
    ("error", "code"), [(BrokenImage("No."), "broken_image"), (RuntimeError("bug"), "internal_error")]
)
def test_what_a_model_refuses_is_a_failure_of_its_photo(tmp_path: Path, error: Exception, code: str) -> None:
    class Refusing(Guesser):
        def estimate(self, photo: bytes) -> Result:
            raise error

    refusing = contender(estimator=Refusing(lambda _: 0, DepthKind.METRES))
    summary, _ = evaluate(tmp_path / "out", sources_in(make_data(tmp_path / "data", 2)), refusing)
    assert [(failure.code, failure.reason) for failure in summary.failures] == [(code, str(error))] * 2
    assert summary.rows[0].means == {}


def test_each_source_counts_the_same_in_the_mean_over_them(tmp_path: Path) -> None:
    sources = sources_in(make_data(tmp_path / "few", 2), make_data(tmp_path / "many", 9))
    summary, _ = evaluate(tmp_path / "out", sources, contender(wrong_by=lambda number: 0.02 * number))
    few, many, both = summary.rows
    assert (few.source, many.source, both.source) == ("few", "many", ALL)
    assert both.means["rmse"].value == pytest.approx((few.means["rmse"].value + many.means["rmse"].value) / 2)
    assert both.images == 11


def test_a_model_that_has_not_seen_all_sources_has_no_mean_over_them(tmp_path: Path) -> None:
    first, second = sources_in(make_data(tmp_path / "a", 2), make_data(tmp_path / "b", 2))
    evaluate(tmp_path / "out", [first], contender("earlier"))
    summary, _ = evaluate(tmp_path / "out", [first, second], contender("later"))
    assert [(row.source, row.model) for row in summary.rows] == [
        ("a", "earlier"),
        ("a", "later"),
        ("b", "later"),
        (ALL, "later"),
    ]
    assert summary.missing == 2


def test_a_limit_spreads_the_photos_evenly(tmp_path: Path) -> None:
    [source] = sources_in(make_data(tmp_path / "data", 10), limit=3)
    assert [pair.name for pair in source.pairs] == ["000", "003", "006"]


def test_sources_of_one_name_are_told_apart(tmp_path: Path) -> None:
    sources = sources_in(make_data(tmp_path / "a/data", 1), make_data(tmp_path / "b/data", 1))
    assert [source.name for source in sources] == ["data", "b/data"]
    with pytest.raises(ConfigurationError, match="twice"):
        sources_in(tmp_path / "a/data", tmp_path / "a/data")


def test_the_cases_are_the_best_the_median_and_the_worst(tmp_path: Path) -> None:
    sources = sources_in(make_data(tmp_path / "data", 7))
    evaluate(tmp_path / "out", sources, contender(wrong_by=lambda number: 0.03 * number))
    with records_in(tmp_path / "out", Rules()) as records:
        found = [(name, record.key.pair) for name, record in cases(sources[0], "guesser", records)]
        assert found == [("best", "000"), ("median", "003"), ("worst", "006")]
        pictures = Pictures(tmp_path / "out/pictures")
        assert all(pictures.path(record).stat().st_size for _, record in cases(sources[0], "guesser", records))


@pytest.mark.parametrize(("count", "names"), [(1, ["best"]), (2, ["best", "worst"]), (3, ["best", "median", "worst"])])
def test_few_photos_are_few_cases(tmp_path: Path, count: int, names: list[str]) -> None:
    sources = sources_in(make_data(tmp_path / "data", count))
    evaluate(tmp_path / "out", sources, contender())
    with records_in(tmp_path / "out", USUAL) as records:
        assert [name for name, _ in cases(sources[0], "guesser", records)] == names


@pytest.mark.parametrize("fit", Fit)
def test_depth_without_a_unit_cannot_be_scored_as_metres(fit: Fit) -> None:
    metric, relative = contender("metric", kind=DepthKind.METRES), contender("relative")
    check_units([metric], fit)
    if fit is not Fit.NONE:
        check_units([metric, relative], fit)
        return
    with pytest.raises(ConfigurationError, match=r"^relative: depth without a unit"):
        check_units([metric, relative], fit)


def test_a_range_limits_what_is_scored(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 3)
    wrong = contender(wrong_by=lambda _: 0.2, kind=DepthKind.METRES)
    errors = {}
    for farthest in (2.0, 50.0):
        rules = Rules(Fit.NONE, farthest_m=farthest)
        summary, _ = evaluate(tmp_path / f"{farthest}", sources_in(data, rules=rules), wrong, rules=rules)
        errors[farthest] = summary.rows[0].means["rmse"].value
        assert summary.sources["data"]["scored"] == f"0.001 to {farthest:g} m"
    assert errors[2.0] < 0.5 * errors[50.0]
    with pytest.raises(ConfigurationError, match="No depth"):
        sources_in(data, rules=Rules(nearest_m=5, farthest_m=5))


def test_a_range_must_end(tmp_path: Path) -> None:
    """An infinite error would have no mean."""
    with pytest.raises(ConfigurationError, match="finite"):
        sources_in(make_data(tmp_path / "data", 1), rules=Rules(farthest_m=float("inf")))


def test_photos_whose_files_have_changed_are_scored_again(tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data", 5), tmp_path / "out"
    evaluate(out, sources_in(data), contender())
    np.save(data / "depth/003.npy", 3 * depth_of(3))
    (data / "depth/003.png").unlink()
    (data / "rgb/004.png").unlink()
    model = Guesser(lambda number: 0.01 * number, DepthKind.INVERSE_DEPTH)
    changed, _ = evaluate(out, sources_in(data), contender(estimator=model))
    fresh, _ = evaluate(tmp_path / "fresh", sources_in(data), contender())
    assert model.asked == 1 + 1  # scored and drawn
    assert changed.csv() == fresh.csv()
    assert [failure.key.pair for failure in changed.failures] == ["004"]


def test_another_layout_of_the_same_files_is_scored_again(tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data", 2), tmp_path / "out"
    evaluate(out, sources_in(data), contender())
    like_simple = replace(LAYOUTS["simple"], name="another")
    model = Guesser(lambda _: 0, DepthKind.INVERSE_DEPTH)
    evaluate(out, find_sources([data], {data: like_simple}, USUAL, None), contender(estimator=model))
    assert model.asked >= 2


def test_a_photo_that_cannot_be_drawn_any_more_does_not_end_it(tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data", 3), tmp_path / "out"
    sources = sources_in(data)
    evaluate(out, sources, contender())
    shutil.rmtree(out / "pictures")
    found = sources_in(data)
    assert found[0].key("guesser", found[0].pairs[0])  # the files are looked at
    shutil.rmtree(data)
    summary, shown = evaluate(out, found, contender())
    assert summary.rows[0].images == 3
    assert [note for note in shown.notes if "no picture" in note]


def test_a_model_that_fails_on_a_source_has_no_mean_over_sources(tmp_path: Path) -> None:
    """It would be compared with means over more of them."""
    folders = [make_data(tmp_path / name, 3) for name in ("a", "b")]
    shutil.copytree(folders[0], tmp_path / "c")
    sources = sources_in(*folders)

    class Half(Guesser):
        def estimate(self, photo: bytes) -> Result:
            if self.asked >= 3:
                raise BrokenImage("no")
            return super().estimate(photo)

    half = replace(contender("half", estimator=Half(lambda _: 0.1, DepthKind.METRES)), concurrency=1)
    summary, _ = evaluate(tmp_path / "out", sources, half, contender("whole"))
    means = {row.model: row.means for row in summary.rows if row.source == ALL}
    assert "abs_rel" in means["whole"]
    assert means["half"] == {}


def test_damaged_scores_are_named_by_their_line(tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(out, sources_in(make_data(tmp_path / "data", 1)), contender())
    with (out / "scores.jsonl").open("a") as lines:
        lines.write('{"model": "guesser"}\n')
    with pytest.raises(ConfigurationError, match="line 4 is damaged"), records_in(out, USUAL):
        pass


def test_scores_of_another_protocol_are_not_mixed(tmp_path: Path) -> None:
    sources = sources_in(make_data(tmp_path / "data", 1))
    evaluate(tmp_path / "out", sources, contender())
    with pytest.raises(ConfigurationError, match="another protocol"):
        evaluate(tmp_path / "out", sources, contender(), rules=Rules(Fit.MEDIAN))


def test_the_summary_has_the_same_numbers_in_every_form(tmp_path: Path) -> None:
    summary, _ = evaluate(tmp_path / "out", sources_in(make_data(tmp_path / "data", 5)), contender())
    mean = summary.rows[0].means["abs_rel"]
    as_json = summary.json()["rows"][0]["means"]["abs_rel"]
    assert as_json == {"value": mean.value, "low": mean.low, "high": mean.high, "count": 5}
    line = next(line for line in summary.csv().splitlines() if ",abs_rel," in line)
    assert line.startswith(f"data,guesser,abs_rel,{mean.value},{mean.low},{mean.high},5,0,0.25,")
    table = summary.table()
    assert table.rows[0][table.heads.index("AbsRel")].startswith(f"{mean.value:.3f} ")
    assert np.isfinite([mean.low, mean.high]).all()
