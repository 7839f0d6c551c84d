"""`lyncarr init`, `check` and `lab`: what runs on this machine only."""

from __future__ import annotations

import json
from pathlib import Path

from lyncarr.cli.ask import asker
from lyncarr.cli.options import Output
from lyncarr.core.errors import UsageError


def init_site(domain: str, path: Path) -> None:
    from lyncarr.config.template import write_template

    write_template(domain, path)
    print(f"Wrote {path}. Fill in the server addresses and certificates, then: lyncarr check --site {path}")


def check_site(path: Path, output: Output) -> None:
    from lyncarr.config.check import prepare
    from lyncarr.config.loader import load_site

    prepared = prepare(load_site(path), asker())
    if output is Output.json:
        farms = [{"name": farm.name, "servers": list(farm.servers), "host_pattern": farm.host_pattern} for farm in prepared.farms]
        print(json.dumps({"schema": 1, "event": "check", "warnings": list(prepared.warnings), "farms": farms}))
        return
    for farm in prepared.farms:
        print(f"  {farm.name} -> {', '.join(farm.servers)} ({farm.http_port}/{farm.https_port}), {{HTTP_HOST}} {farm.host_pattern}")
    for warning in prepared.warnings:
        print(f"warning: {warning}")
    print(f"{path} is good. lyncarr plan --host NAME shows what would change.")


def run_lab(preset: str, powershell: str | None, folder: Path, address: str, output: Output) -> int:
    try:
        from lyncarr.lab.command import run
    except ModuleNotFoundError as missing:
        raise UsageError(f"The lab needs the package {missing.name}: install lyncarr[lab].") from missing
    return run(preset, powershell, folder, address, output.value)
