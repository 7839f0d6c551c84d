"""The site file that `lyncarr init` writes."""

from __future__ import annotations

from pathlib import Path

from lyncarr.config.names import parse_fqdn
from lyncarr.core.errors import UsageError
from lyncarr.core.files import write_new


def template_text(domain: str) -> str:
    """The commented site file for a SIP domain, given as an A-label. Its server addresses are placeholders that loading rejects."""
    return Path(__file__).with_name("template.toml").read_text("utf-8").replace("@DOMAIN@", domain)


def write_template(domain: str, path: Path) -> None:
    """Write the site file for `domain` to `path`, which must not exist yet.

    Raises UsageError (exit 64) where `domain` is none, SiteError (exit 65) where the file is there or cannot be written.
    """
    try:
        name = parse_fqdn(domain)
    except ValueError as error:
        raise UsageError(f"The domain {error}.") from None
    write_new(path, template_text(name).encode(), "--site")
