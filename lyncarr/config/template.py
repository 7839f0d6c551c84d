"""The configuration file that `lyncarr init` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lyncarr.config.names import display, parse_fqdn
from lyncarr.core.errors import UsageError
from lyncarr.core.files import write_new


def template_text(domains: Sequence[str]) -> str:
    """The configuration file, with comments, for SIP domains given as A-labels. The first one has the names of the pool.

    Its server addresses are placeholders that loading rejects.
    """
    first, *others = domains
    head = _part("template.toml").replace("@DOMAINS@", _listed(domains)).replace("@DOMAIN@", first)
    return head + "".join(_part("template_domain.toml").replace("@DOMAIN@", domain) for domain in others)


def write_template(domains: Sequence[str], path: Path) -> None:
    """Write the configuration file for the SIP domains `domains` to `path`, which must not exist.

    Raises UsageError (exit 64) where a domain is invalid or given twice, SiteError (exit 65) where the file exists or cannot be written.
    """
    names: list[str] = []
    for domain in domains:
        try:
            name = parse_fqdn(domain, example="contoso.com")
        except ValueError as error:
            raise UsageError(f"Invalid SIP domain: {error}.") from None
        if name in names:
            raise UsageError(f"The SIP domain {display(name)} is given twice.", hint="Give each SIP domain once.")
        names.append(name)
    write_new(path, template_text(names).encode(), "--site")


def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
