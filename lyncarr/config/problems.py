"""What is wrong with a site file or with a file that it names: collected, then told together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lyncarr.core.errors import SiteError

MAX_SHOWN = 50


@dataclass(frozen=True)
class Problem:
    """`key` is the place in the site file, 'farms[1].servers[0]', or empty for the file as a whole.

    `text` says what is wrong and what was expected; `farm` is the published name of the farm that `key` is of, where it is known: nobody
    counts to farms[17].
    """

    key: str
    text: str
    farm: str = ""

    def __str__(self) -> str:
        where = f"{self.key} of {self.farm}" if self.farm else self.key
        return f"{where}: {self.text}" if where else self.text


class SiteProblems(SiteError):
    """One or more problems; the message has one line for each, and each line names the site file."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"{path}: {problem}" for problem in self.problems[:MAX_SHOWN]]
        if len(self.problems) > MAX_SHOWN:
            lines.append(f"{path}: {len(self.problems) - MAX_SHOWN} more problems are not shown; mend these first")
        super().__init__("\n".join(lines))
