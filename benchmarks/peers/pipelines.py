"""The peer 'pypsrp': one runspace pool, one plain pipeline for each setting."""

from __future__ import annotations

from typing import Any

import job as peer
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan


def main() -> None:
    job = peer.read()
    wsman = WSMan(
        job.address,
        port=job.port,
        auth="ntlm",
        username=job.user,
        password=job.password,
        cert_validation=job.ca,
        no_proxy=True,
    )
    with wsman, RunspacePool(wsman) as pool:

        def run(script: str, values: dict[str, Any]) -> str:
            pipeline = PowerShell(pool).add_script(peer.text_of(script))
            pipeline.add_parameters(values)
            output = pipeline.invoke()
            if pipeline.had_errors:
                raise SystemExit(f"{script}: {pipeline.streams.error[0]}")
            return str(output[0]) if output else ""

        peer.converge(job, run)


if __name__ == "__main__":
    main()
