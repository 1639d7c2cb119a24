"""Tables for a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import table


@dataclass(frozen=True)
class Table:
    """One table: a title, column heads and rows of text."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        lines = [self.heads, ["---"] * len(self.heads), *self.rows]
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])

    def rich(self) -> table.Table:
        columns = (table.Column(head, overflow="fold") for head in self.heads)
        shown = table.Table(*columns, title=self.title, title_justify="left")
        for row in self.rows:
            shown.add_row(*row)
        return shown
