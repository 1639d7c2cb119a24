"""The report is one file that needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from depthsvc.evaluation.contenders import Contender
from depthsvc.evaluation.pictures import Pictures
from depthsvc.evaluation.report import write_report
from depthsvc.evaluation.run import Rules
from tests.evaluation.making import contender, make_data
from tests.evaluation.test_run import evaluate, records_in, sources_in


class _Elements(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.found if attribute in attributes]


def _report(tmp_path: Path, *contenders: Contender) -> str:
    data = make_data(tmp_path / "data", 6)
    (data / "depth/004.png").write_bytes(b"broken")
    sources = sources_in(data)
    summary, _ = evaluate(tmp_path / "out", sources, *contenders)
    with records_in(tmp_path / "out", Rules()) as records:
        write_report(tmp_path / "report.html", summary, sources, records, Pictures(tmp_path / "out/pictures"))
    return (tmp_path / "report.html").read_text()


@pytest.fixture
def report(tmp_path: Path) -> str:
    return _report(tmp_path, contender("good", wrong_by=lambda _: 0.01), contender("<bad>", wrong_by=lambda _: 0.2))


def test_nothing_is_fetched(report: str) -> None:
    elements = _Elements(report)
    assert all(value.startswith("data:image/jpeg;base64,") for value in elements.values("src"))
    assert all(value.startswith("#") for value in elements.values("href"))
    assert {tag for tag, _ in elements.found} & {"script", "link", "iframe", "object"} == set()
    assert "default-src 'none'" in report
    assert "url(" not in report


def test_every_link_leads_somewhere(report: str) -> None:
    elements = _Elements(report)
    assert {value[1:] for value in elements.values("href")} <= set(elements.values("id"))


def test_it_has_the_scores_the_better_one_in_bold(report: str) -> None:
    row = re.search(r"<tr><td><a [^>]*>good</a>.*?</tr>", report, re.DOTALL)
    assert row
    assert 'class="best"' in row[0]
    assert "0.008" in row[0] or "0.009" in row[0] or "0.010" in row[0]
    assert "&lt;bad&gt;" in report
    assert "<bad>" not in report


def test_it_marks_what_may_be_as_good(tmp_path: Path) -> None:
    alternating = contender("alternating", wrong_by=lambda number: 0.12 if number % 2 else 0.09)
    report = _report(tmp_path, contender("steady", wrong_by=lambda _: 0.1), alternating)
    assert 'class="tied"' in report
    assert "from the best on the same photos" in report


def test_it_has_three_pictures_a_model_and_plots(report: str) -> None:
    elements = _Elements(report)
    assert len(elements.values("src")) == 6
    assert [tag for tag, _ in elements.found].count("svg") == 3
    for case in ("best: 00", "median: 00", "worst: 00"):
        assert case in report


def test_it_names_what_failed(report: str) -> None:
    assert report.count("004.png is not a picture") == 1  # of all models
    assert "1 photo failed" in report
    assert re.search(r"<td>data</td><td[^>]*>004</td><td[^>]*>all</td>", report)


def test_nothing_is_best_where_all_are_the_same(tmp_path: Path) -> None:
    report = _report(tmp_path, contender("one"), contender("two"))
    assert 'class="best"' not in report


def test_names_need_not_be_utf_8(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 2).rename(tmp_path / "da\udcffta")
    (data / "rgb/001.png").rename(data / "rgb/b\udcfe.png")
    sources = sources_in(data)
    summary, _ = evaluate(tmp_path / "out", sources, contender())
    with records_in(tmp_path / "out", Rules()) as records:
        write_report(tmp_path / "report.html", summary, sources, records, Pictures(tmp_path / "out/pictures"))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "There are 0 files depth/b?." in text
    assert "da\N{REPLACEMENT CHARACTER}ta" in summary.table().markdown()


def test_it_can_be_made_of_nothing_but_failures(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 2)
    for path in (data / "rgb").iterdir():
        path.unlink()
    sources = sources_in(data)
    summary, _ = evaluate(tmp_path / "out", sources, contender())
    with records_in(tmp_path / "out", Rules()) as records:
        write_report(tmp_path / "report.html", summary, sources, records, Pictures(tmp_path / "out/pictures"))
    assert "Nothing has been measured." in (tmp_path / "report.html").read_text()
