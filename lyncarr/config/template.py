"""The site file that `lyncarr init` writes."""

from __future__ import annotations

from pathlib import Path

from lyncarr.config.names import parse_fqdn
from lyncarr.core.errors import SiteError, UsageError


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
    text = template_text(name).encode()
    try:
        file = path.open("xb")
    except FileExistsError:
        raise SiteError(f"{path} is there already and is left alone; remove it first, or write another with --site FILE.") from None
    except OSError as error:
        raise _not_written(path, error) from None
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a site file would only be left alone by the next attempt
        raise _not_written(path, error) from None


def _not_written(path: Path, error: OSError) -> SiteError:
    return SiteError(f"{path} cannot be written; name a file in a folder that exists and is yours, with --site FILE.", detail=str(error))
