"""report.html: one file with the scores, their confidence, what they cost, and pictures. It needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from depthsvc.evaluation.pictures import WORST_ERROR, Pictures
from depthsvc.evaluation.plots import intervals, scatter
from depthsvc.evaluation.records import Records
from depthsvc.evaluation.run import Source, cases
from depthsvc.evaluation.summary import ALL, METRICS, Metric, Row, Summary, costs, metrics_of
from depthsvc.version import __version__

_STYLE = Path(__file__).with_name("report.css")
_MOST_FAILURES = 200
_FIRST = ("abs_rel", "whdr")
"""What is plotted: the first of these that a source has."""


def write_report(path: Path, summary: Summary, sources: Sequence[Source], records: Records, pictures: Pictures) -> None:
    """Write the report, whole or not at all. Raises OSError."""
    temporary = path.with_suffix(".part")
    page = "\n".join(_page(summary, sources, records, pictures))
    temporary.write_bytes(page.encode(errors="replace"))  # a name need not be UTF-8
    temporary.replace(path)


def _page(summary: Summary, sources: Sequence[Source], records: Records, pictures: Pictures) -> Iterator[str]:
    style = _STYLE.read_text()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    yield '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Depth models compared</title>\n<style>{style}</style>"
    yield "<h1>Depth models compared</h1>"
    yield f"<p>{_opening(summary)}</p>"
    yield '<nav><a href="#scores">Scores</a><a href="#cost">Cost</a><a href="#cases">Cases</a>'
    yield '<a href="#failures">Failures</a><a href="#settings">Settings</a></nav>'
    yield from _scores(summary)
    yield from _side_by_side(summary)
    yield from _cost(summary)
    yield from _cases(summary, sources, records, pictures)
    yield from _failures(summary, sources)
    yield from _settings(summary)


def _opening(summary: Summary) -> str:
    models, failed = len(summary.models), len({(record.key.source, record.key.pair) for record in summary.failures})
    text = f"{models} model{'s' if models != 1 else ''}, by depthsvc {__version__}. Means with 95 % confidence."
    if failed or summary.missing:
        text += f' <a href="#failures">{failed} photo{"s" if failed != 1 else ""} failed</a>, '
        text += f"{summary.missing} have not been tried."
    return text


def _scores(summary: Summary) -> Iterator[str]:
    yield '<h2 id="scores">Scores</h2>'
    if len(summary.models) > 1:
        yield '<p class="quiet">Bold: the best mean. Underlined: one that may be as good; on the same photos its '
        yield "difference from the best may be chance (95 %).</p>"
    for source in dict.fromkeys(row.source for row in summary.rows):
        rows = [row for row in summary.rows if row.source == source]
        metrics = metrics_of(rows)
        yield f"<h3>{escape(source)}</h3>"
        if source == ALL:
            yield '<p class="quiet">The mean of the sources’ means: each source counts the same.</p>'
        heads = "".join(f'<th><a href="#{metric.name}">{metric.head}</a>{_arrow(metric)}</th>' for metric in metrics)
        yield f'<div class="wide"><table><tr><th>model</th><th>images</th>{heads}<th>ms</th><th>MB</th></tr>'
        best = {metric.name: _best(rows, metric) for metric in metrics}
        for row in rows:
            cells = "".join(_cell(row, metric, best[metric.name]) for metric in metrics)
            images = f"{row.images}<small>{row.failed} failed</small>" if row.failed else str(row.images)
            milliseconds, megabytes = costs(row)
            yield f'<tr><td><a href="#{_anchor(row.model)}">{escape(row.model)}</a></td><td>{images}</td>{cells}'
            yield f"<td>{milliseconds}</td><td>{megabytes}</td></tr>"
        yield "</table></div>"


def _side_by_side(summary: Summary) -> Iterator[str]:
    yield '<h3>Side by side</h3><div class="panels">'
    for source in dict.fromkeys(row.source for row in summary.rows):
        rows = [row for row in summary.rows if row.source == source]
        if metric := _plotted(rows):
            means = [(row.model, row.means[metric.name]) for row in rows if metric.name in row.means]
            yield f"<figure>{intervals(means, metric.head)}<figcaption>{escape(source)}: {metric.head}, "
            yield f"{'larger' if metric.larger_is_better else 'smaller'} is better</figcaption></figure>"
    yield "</div>"


def _arrow(metric: Metric) -> str:
    return " ↑" if metric.larger_is_better else " ↓"


def _best(rows: Sequence[Row], metric: Metric) -> float | None:
    """The best mean as it is shown; None if there is nothing to compare."""
    values = [round(row.means[metric.name].value, metric.digits) for row in rows if metric.name in row.means]
    return (max(values) if metric.larger_is_better else min(values)) if len(set(values)) > 1 else None


def _cell(row: Row, metric: Metric, best: float | None) -> str:
    mean = row.means.get(metric.name)
    if not mean:
        return "<td>–</td>"
    difference = row.differences.get(metric.name)
    tied = best is not None and difference is not None and difference.may_be_zero
    kind = ' class="best"' if round(mean.value, metric.digits) == best else ' class="tied"' if tied else ""
    limits = f"{mean.low:.{metric.digits}f} to {mean.high:.{metric.digits}f}, {mean.count} photos"
    if difference:
        low, value, high = (
            f"{number:+.{metric.digits}f}" for number in (difference.low, difference.value, difference.high)
        )
        limits += f"; {value} ({low} to {high}) from the best on the same photos"
    half = mean.half_width(metric.digits)
    return f'<td{kind} title="{limits}">{mean.value:.{metric.digits}f}<small>{half}</small></td>'


def _plotted(rows: Sequence[Row]) -> Metric | None:
    """The score that says most of a source."""
    found = (name for name in _FIRST if any(name in row.means for row in rows))
    name = next(found, None)
    return next((metric for metric in METRICS if metric.name == name), None)


def _cost(summary: Summary) -> Iterator[str]:
    yield '<h2 id="cost">Cost and accuracy</h2>'
    rows = [row for row in summary.rows if row.source == summary.rows[-1].source]
    metric = _plotted(rows)
    drawn = False
    yield '<div class="panels">'
    for head, cost_of in (("ms a photo", _milliseconds), ("MB of a worker", _megabytes)):
        found = [(row, cost_of(row)) for row in rows if metric and metric.name in row.means]
        points = [(row.model, cost, row.means[metric.name]) for row, cost in found if cost and metric]
        if points and metric:
            drawn = True
            yield f"<figure>{scatter(points, head, metric.head)}</figure>"
    yield "</div>"
    if not drawn:
        yield "<p>Nothing has been measured.</p>"
    yield '<p class="quiet">Median time that a worker spends on a photo, while all workers are busy, and the most '
    yield "memory that one had. A service says nothing of its memory.</p>"


def _milliseconds(row: Row) -> float | None:
    return None if row.seconds is None else 1000 * row.seconds


def _megabytes(row: Row) -> float | None:
    return None if row.peak_memory is None else row.peak_memory / 1e6


def _cases(summary: Summary, sources: Sequence[Source], records: Records, pictures: Pictures) -> Iterator[str]:
    yield '<h2 id="cases">Best, median and worst</h2>'
    yield '<p class="quiet">Photo, true depth, predicted depth as fitted, and relative error from 0 (black) to '
    yield f"{100 * WORST_ERROR:.0f} % and more (white). Bright is near; grey does not count.</p>"
    for source in sources:
        for model in summary.models:
            shown = [(name, record) for name, record in cases(source, model, records) if pictures.path(record).exists()]
            if shown:
                yield f"<h3>{escape(model)} on {escape(source.name)}</h3>"
            for name, record in shown:
                data = base64.b64encode(pictures.path(record).read_bytes()).decode()
                metric = next(metric for metric in METRICS if metric.name in _FIRST and metric.name in record.scores)
                text = f"{name}: {record.key.pair}, {metric.head} {record.scores[metric.name]:.{metric.digits}f}"
                yield f'<figure class="case"><img alt="{escape(text)}" src="data:image/jpeg;base64,{data}">'
                yield f"<figcaption>{escape(text)}</figcaption></figure>"


def _failures(summary: Summary, sources: Sequence[Source]) -> Iterator[str]:
    yield '<h2 id="failures">Failures</h2>'
    if not summary.failures:
        yield "<p>None.</p>"
        return
    names = {str(source.path): source.name for source in sources}
    yield '<div class="wide"><table><tr><th>source</th><th class="text">photo</th><th class="text">model</th>'
    yield '<th class="text">reason</th></tr>'
    failed: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for record in summary.failures:
        failed[names[record.key.source], record.key.pair, f"{record.reason} ({record.code})"].append(record.key.model)
    for (source, pair, reason), models in list(failed.items())[:_MOST_FAILURES]:
        of_models = "all" if len(models) == len(summary.models) else ", ".join(models)
        texts = "".join(f'<td class="text">{escape(cell)}</td>' for cell in (pair, of_models, reason))
        yield f"<tr><td>{escape(source)}</td>{texts}</tr>"
    yield "</table></div>"
    if len(failed) > _MOST_FAILURES:
        yield f"<p>And {len(failed) - _MOST_FAILURES} more, in scores.jsonl.</p>"


def _settings(summary: Summary) -> Iterator[str]:
    yield '<h2 id="settings">Settings</h2><h3>Protocol</h3>'
    yield _facts({name: str(value) for name, value in summary.protocol.items()})
    for model, about in summary.models.items():
        yield f'<section id="{_anchor(model)}"><h3>{escape(model)}</h3>'
        yield _facts({name: value for name, value in about.items() if name != "made_by"})
        yield "</section>"
    yield "<h3>Sources</h3>"
    yield _facts(
        {
            name: f"{facts['data']}, {facts['photos']} photos, {facts['scored']}"
            for name, facts in summary.sources.items()
        }
    )
    yield "<h3>Scores</h3><dl>"
    for metric in METRICS:
        yield f'<dt id="{metric.name}">{metric.head}{_arrow(metric)}</dt><dd>{escape(metric.meaning)}</dd>'
    yield "</dl>"


def _facts(facts: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in facts.items())}</dl>"


def _anchor(model: str) -> str:
    return f"model-{hashlib.sha256(model.encode()).hexdigest()[:8]}"
