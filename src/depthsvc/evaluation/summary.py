"""Means of the scores by model and source, as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from depthsvc.evaluation.confidence import Mean, mean_of_images, mean_of_sources
from depthsvc.evaluation.records import Record, Records
from depthsvc.evaluation.run import Source
from depthsvc.evaluation.table import Table

ALL = "all sources"
"""Name of the row for the mean over sources."""


@dataclass(frozen=True)
class Metric:
    """A score."""

    name: str
    head: str
    meaning: str
    digits: int = 3
    larger_is_better: bool = False


METRICS = (
    Metric("abs_rel", "AbsRel", "mean of |depth - truth| / truth"),
    Metric("sq_rel", "SqRel", "mean of (depth - truth)\N{SUPERSCRIPT TWO} / truth, in metres"),
    Metric("rmse", "RMSE", "root of the mean squared error, in metres"),
    Metric("rmse_log", "RMSE log", "the same of natural logarithms"),
    Metric("log10", "log10", "mean difference of decimal logarithms"),
    Metric("silog", "SILog", "a hundred times the standard deviation of the logarithms' difference", 2),
    Metric("delta1", "\N{GREEK SMALL LETTER DELTA}1", "fraction within a factor of 1.25", larger_is_better=True),
    Metric(
        "delta2",
        "\N{GREEK SMALL LETTER DELTA}2",
        "fraction within a factor of 1.25\N{SUPERSCRIPT TWO}",
        larger_is_better=True,
    ),
    Metric(
        "delta3",
        "\N{GREEK SMALL LETTER DELTA}3",
        "fraction within a factor of 1.25\N{SUPERSCRIPT THREE}",
        larger_is_better=True,
    ),
    Metric("rank", "rank", "Spearman's rank correlation, before anything is fitted", larger_is_better=True),
    Metric("whdr", "WHDR", "fraction of pairs of points whose order is wrong"),
    Metric("edge_accuracy", "edge acc.", "distance of predicted edges from true ones, in pixels", 2),
    Metric("edge_completeness", "edge compl.", "distance of edges of either kind from the other, in pixels", 2),
    Metric("coverage", "coverage", "fraction of the known pixels for which there is a depth", larger_is_better=True),
)


@dataclass(frozen=True)
class Row:
    """The means of a model over a source, or over all."""

    model: str
    source: str
    images: int
    """How many were scored."""
    failed: int
    means: Mapping[str, Mean]
    """By metric, those that the source allows."""
    differences: Mapping[str, Mean]
    """By metric in which another model is best: the mean minus that model's, on the photos of both."""
    seconds: float | None
    """Median time that a worker spends on a photo."""
    peak_memory: int | None
    """The most memory that a worker had, in bytes."""


@dataclass(frozen=True)
class Summary:
    """All models on all sources."""

    protocol: Mapping[str, object]
    models: Mapping[str, Mapping[str, Any]]
    """What is known of each, by name."""
    sources: Mapping[str, Mapping[str, str]]
    """The same of each source."""
    rows: Sequence[Row]
    """By source, then by model; the mean over several sources last."""
    failures: Sequence[Record]
    missing: int
    """How many photos have not been tried."""

    def table(self) -> Table:
        """The means, with half the width of their confidence intervals."""
        metrics = metrics_of(self.rows)
        heads = ["source", "model", "images", *(metric.head for metric in metrics), "ms", "MB"]
        return Table(f"Protocol {_protocol_text(self.protocol)}", heads, [_cells(row, metrics) for row in self.rows])

    def json(self) -> dict[str, Any]:
        """Everything, for programs."""
        rows = [
            {**vars(row), "means": _as_dicts(row.means), "differences": _as_dicts(row.differences)} for row in self.rows
        ]
        failures = [
            {
                "model": record.key.model,
                "source": record.key.source,
                "pair": record.key.pair,
                "code": record.code,
                "reason": record.reason,
            }
            for record in self.failures
        ]
        return {
            "protocol": self.protocol,
            "models": self.models,
            "sources": self.sources,
            "rows": rows,
            "failures": failures,
            "missing": self.missing,
        }

    def csv(self) -> str:
        """A line a model, source and metric."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        of_best = [f"{name}_from_best" for name in ("difference", "low", "high")]
        heads = ["source", "model", "metric", "mean", "low", "high", "images", "failed", "seconds", "peak_memory"]
        lines.writerow(heads + of_best)
        for row in self.rows:
            for name, mean in row.means.items():
                figures = [mean.value, mean.low, mean.high, mean.count, row.failed, row.seconds, row.peak_memory]
                difference = row.differences.get(name)
                from_best = [difference.value, difference.low, difference.high] if difference else [None] * 3
                lines.writerow([row.source, row.model, name, *figures, *from_best])
        return text.getvalue()


def _as_dicts(means: Mapping[str, Mean]) -> dict[str, dict[str, float]]:
    return {name: asdict(mean) for name, mean in means.items()}


def metrics_of(rows: Sequence[Row]) -> list[Metric]:
    """The scores that any of the rows has."""
    return [metric for metric in METRICS if any(metric.name in row.means for row in rows)]


def costs(row: Row) -> tuple[str, str]:
    """Milliseconds and megabytes."""
    milliseconds = "-" if row.seconds is None else f"{1000 * row.seconds:.0f}"
    return milliseconds, "-" if row.peak_memory is None else f"{row.peak_memory / 1e6:.0f}"


def _protocol_text(protocol: Mapping[str, object]) -> str:
    """A protocol in words."""
    return ", ".join(f"{name} {value}" for name, value in protocol.items())


def _cells(row: Row, metrics: Sequence[Metric]) -> list[str]:
    images = f"{row.images} ({row.failed} failed)" if row.failed else str(row.images)
    return [row.source, row.model, images, *(_cell(row, metric) for metric in metrics), *costs(row)]


def _cell(row: Row, metric: Metric) -> str:
    """A mean with half the width of its confidence interval, or a dash."""
    mean = row.means.get(metric.name)
    if not mean:
        return "-"
    return f"{mean.value:.{metric.digits}f} {mean.half_width(metric.digits)}".rstrip()


def summarize(records: Records, protocol: Mapping[str, object], sources: Sequence[Source]) -> Summary:
    """All models that have been scored on one of the sources, and their means over all sources if they have all."""
    found = {model: [_records(records, model, source) for source in sources] for model in records.models}
    found = {model: by_source for model, by_source in found.items() if any(by_source)}
    rows: list[Row] = []
    for number, source in enumerate(sources):
        groups = {model: [by_source[number]] for model, by_source in found.items() if by_source[number]}
        rows += _against_the_best([_row(model, source.name, group) for model, group in groups.items()], groups)
    if len(sources) > 1:
        groups = {model: by_source for model, by_source in found.items() if all(by_source)}
        over_all = [_comparable(_row(model, ALL, by_source), rows) for model, by_source in groups.items()]
        rows += _against_the_best(over_all, groups)
    tried = [record for by_source in found.values() for of_source in by_source for record in of_source]
    return Summary(
        protocol,
        {model: records.models[model] for model in found},
        {source.name: source.facts() for source in sources},
        rows,
        [record for record in tried if not record.is_ok],
        len(found) * sum(len(source.pairs) for source in sources) - len(tried),
    )


def _comparable(row: Row, rows: Sequence[Row]) -> Row:
    """The mean over sources, without scores that the model lacks on a source where another model has them."""
    measured = {(name, of_source.source) for of_source in rows for name in of_source.means}
    own = {(name, of_source.source) for of_source in rows if of_source.model == row.model for name in of_source.means}
    missing = {name for name, _ in measured - own}
    return replace(row, means={name: mean for name, mean in row.means.items() if name not in missing})


def _against_the_best(rows: list[Row], groups: Mapping[str, Sequence[Sequence[Record]]]) -> list[Row]:
    """Rows of one source, or over all, with the differences; `groups`: the records of each model by source."""
    best = {metric.name: _best(rows, metric) for metric in metrics_of(rows)}
    compared = []
    for row in rows:
        differences = {
            name: difference
            for name, other in best.items()
            if name in row.means
            and other != row.model
            and (difference := _difference(name, groups[row.model], groups[other]))
        }
        compared.append(replace(row, differences=differences))
    return compared


def _best(rows: Sequence[Row], metric: Metric) -> str:
    """The model whose mean is best."""
    sign = -1 if metric.larger_is_better else 1
    means = {row.model: sign * row.means[metric.name].value for row in rows if metric.name in row.means}
    return min(means, key=means.__getitem__)


def _difference(metric: str, mine: Sequence[Sequence[Record]], others: Sequence[Sequence[Record]]) -> Mean | None:
    """The mean of one model's scores minus another's on the same photos of each source."""
    differences = []
    for own_records, other_records in zip(mine, others, strict=True):
        own, other = (
            {record.key.pair: record.scores.get(metric) for record in group} for group in (own_records, other_records)
        )
        scores = ((score, other.get(pair)) for pair, score in own.items())
        differences.append(np.array([a - b for a, b in scores if a is not None and b is not None], np.float64))
    return mean_of_images(differences[0]) if len(differences) == 1 else mean_of_sources(differences)


def _records(records: Records, model: str, source: Source) -> list[Record]:
    return [record for pair in source.pairs if (record := records.get(source.key(model, pair)))]


def _row(model: str, source: str, groups: Sequence[Sequence[Record]]) -> Row:
    records = [record for group in groups for record in group]
    seconds = [record.seconds for record in records if record.seconds is not None]
    return Row(
        model,
        source,
        sum(record.is_ok for record in records),
        sum(not record.is_ok for record in records),
        dict(_means(groups)),
        {},
        median(seconds) if seconds else None,
        max((record.peak_memory for record in records if record.peak_memory), default=None),
    )


def _means(groups: Sequence[Sequence[Record]]) -> Iterator[tuple[str, Mean]]:
    for metric in METRICS:
        scores = [
            np.array([record.scores.get(metric.name, np.nan) for record in group if record.is_ok]) for group in groups
        ]
        mean = mean_of_images(scores[0]) if len(scores) == 1 else mean_of_sources(scores)
        if mean:
            yield metric.name, mean
