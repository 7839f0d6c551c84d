"""The peer 'pywinrm': one Session, one run_ps for each setting. The text contains quoted values, because run_ps has no parameters."""

from __future__ import annotations

from typing import Any

import job as peer
import winrm


def main() -> None:
    job = peer.read()
    session = winrm.Session(
        f"https://{job.address}:{job.port}/wsman",
        auth=(job.user, job.password),
        transport="ntlm",
        ca_trust_path=job.ca,
        server_cert_validation="validate",
        proxy=None,
    )

    def run(script: str, values: dict[str, Any]) -> str:
        words = " ".join(f"-{name}:{literal(value)}" for name, value in values.items())
        done = session.run_ps(f"& {{\n{peer.text_of(script)}}} {words}")
        if done.status_code:
            raise SystemExit(f"{script}: {done.std_err.decode(errors='replace')}")
        return str(done.std_out.decode("ascii").strip())

    peer.converge(job, run)


def literal(value: str | int) -> str:
    if isinstance(value, bool):
        return f"${value}"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


if __name__ == "__main__":
    main()
