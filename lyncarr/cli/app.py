"""The commands. Each is its options and one call; what they do is in the modules beside this one, imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lyncarr import __version__
from lyncarr.cli import options

app = typer.Typer(
    name="lyncarr",
    help=(
        "Turn a Windows server into the IIS/ARR reverse proxy of a Lync or Skype for Business deployment, and keep it that way.\n\n"
        "A first run: `lyncarr bootstrap` prints the script that opens a new server for you, "
        "`lyncarr init contoso.com` writes a site file to fill in, `lyncarr check` reads it without touching anything, "
        "`lyncarr doctor --host rp01` says what is in the way to the server, "
        "`lyncarr plan --host rp01` shows what would change on the server as old -> new, `lyncarr provision --host rp01` asks and "
        "changes it. Run it again at any time: it finds nothing to do, or repairs what drifted.\n\n"
        "No server at hand? `lyncarr lab --preset blank` starts a simulated one on this machine."
    ),
    epilog=(
        "Exit codes: 0 in place, 2 changes pending, 1 a step failed, 3 stopped for a reboot, 64 misuse, 65 bad site file or certificate, "
        "69 unreachable, 70 a fault in lyncarr, 75 another run holds the host, 76 not this protocol, 77 refused, 78 unusable secret, "
        "130 Ctrl-C."
    ),
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lyncarr {__version__}")
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False) -> None:
    pass


@app.command()
def init(
    domains: Annotated[
        list[str], typer.Argument(metavar="DOMAIN...", help="Your SIP domains, such as contoso.com, the primary one first.")
    ],
    site: options.SiteFile = options.DEFAULT_SITE,
) -> None:
    """Create a configuration file with comments for one or more SIP domains. Never replaces a file."""
    from lyncarr.cli.local import init_site

    init_site(domains, site)


@app.command()
def bootstrap(
    controller: Annotated[
        str | None,
        typer.Option(
            "--controller",
            metavar="ADDRESS",
            help="The address of this machine as the server sees it: the firewall will let in nobody else. Several with commas between.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What the site file calls the server; without it, the server's own name.")
    ] = None,
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="The port of the HTTPS listener.")] = 5986,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Write the script there instead of to standard output. Never overwrites a file."),
    ] = None,
) -> None:
    """Print a PowerShell script that opens WinRM over HTTPS on a server, for its administrator to read and run at the console.

    It makes an HTTPS listener with a certificate of its own and a firewall rule for this machine alone, prints the table for the site
    file with the certificate's pin, and undoes itself with -Remove. Contacts no host.
    """
    from lyncarr.cli.bootstrap import print_script

    print_script(controller, name, port, file)


@app.command()
def check(
    site: options.SiteFile = options.DEFAULT_SITE,
    output: options.OutputAs = options.Output.text,
    verbose: options.Verbose = False,
) -> None:
    """Check the site file, its names, certificates and installers on this machine. Contacts no host."""
    from lyncarr.cli.local import check_site

    check_site(site, output)


@app.command()
def schema(
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="Write it to FILE instead of standard output: `>` of Windows PowerShell 5.1 makes UTF-16, which editors do not read.",
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of the site file, with which editors complete keys and underline mistakes. Contacts no host."""
    from lyncarr.cli.local import show_schema

    show_schema(file)


@app.command()
def doctor(
    host: options.Host = None,
    site: options.SiteFile = options.DEFAULT_SITE,
    address: options.Address = None,
    user: options.User = None,
    auth: options.AuthBy = None,
    port: options.Port = None,
    tls: options.Tls = None,
    transport: options.TransportBy = None,
    password_from: options.PasswordFrom = None,
    output: options.OutputAs = options.Output.text,
    verbose: options.Verbose = False,
) -> int:
    """Say why a host cannot be reached: name, port, TLS, WinRM, clock, log-on, shell, rights. Stops at the first that fails.

    Each comes with what was learned or the next move. Writes nothing, and tries the password once at most.
    """
    from lyncarr.cli.doctor import run_doctor
    from lyncarr.runs.connection import Overrides

    return run_doctor(host, Overrides(address, user, auth, port, tls, password_from, transport), site, output, verbose)


@app.command()
def plan(
    host: options.Host = None,
    site: options.SiteFile = options.DEFAULT_SITE,
    step: options.Steps = None,
    address: options.Address = None,
    user: options.User = None,
    auth: options.AuthBy = None,
    port: options.Port = None,
    tls: options.Tls = None,
    transport: options.TransportBy = None,
    password_from: options.PasswordFrom = None,
    timeout: options.Timeout = 45.0,
    output: options.OutputAs = options.Output.text,
    verbose: options.Verbose = False,
) -> int:
    """Show what would change on the host, old -> new. Writes nothing and locks nothing. Exit 0: in place, 2: changes pending."""
    from lyncarr.cli.remote import run
    from lyncarr.runs.connection import Overrides

    overrides = Overrides(address, user, auth, port, tls, password_from, transport)
    return run(host, overrides, site, step or [], write=False, yes=False, timeout=timeout, output=output, verbose=verbose)


@app.command()
def provision(
    host: options.Host = None,
    site: options.SiteFile = options.DEFAULT_SITE,
    step: options.Steps = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal to ask on, and with `--output json`.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as lyncarr plan.")] = False,
    address: options.Address = None,
    user: options.User = None,
    auth: options.AuthBy = None,
    port: options.Port = None,
    tls: options.Tls = None,
    transport: options.TransportBy = None,
    password_from: options.PasswordFrom = None,
    timeout: options.Timeout = 45.0,
    output: options.OutputAs = options.Output.text,
    verbose: options.Verbose = False,
) -> int:
    """Bring the host to what the site file says: plan, question, apply, look again. Repairs only what differs."""
    from lyncarr.cli.remote import run
    from lyncarr.runs.connection import Overrides

    overrides = Overrides(address, user, auth, port, tls, password_from, transport)
    return run(host, overrides, site, step or [], write=not dry_run, yes=yes, timeout=timeout, output=output, verbose=verbose)


@app.command()
def steps(output: options.OutputAs = options.Output.text) -> None:
    """List the runbook: the stages and their steps, in the order in which they are done."""
    from lyncarr.cli.teach import list_steps

    list_steps(output)


@app.command()
def explain(step: Annotated[str, typer.Argument(metavar="STEP", help="A step, as lyncarr steps lists it.")]) -> None:
    """Explain one step: what it sets, why this value, and where that comes from."""
    from lyncarr.cli.teach import explain_step

    explain_step(step)


@app.command()
def lab(
    preset: Annotated[
        str, typer.Option("--preset", metavar="NAME", help="The simulated host's state: blank, drifted or finished.")
    ] = "blank",
    powershell: Annotated[
        str | None,
        typer.Option("--powershell", metavar="COMMAND", help="Run a real PowerShell behind the wire instead of replaying stored states."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where the site file, its certificates and the password file are written.")
    ] = Path("lab-site"),
    address: Annotated[
        str, typer.Option("--address", metavar="ADDRESS", help="The address to serve on, a loopback one: 127.x.y.z.")
    ] = "127.0.0.1",
    output: options.OutputAs = options.Output.text,
) -> int:
    """Serve a simulated Windows host on loopback until Ctrl-C; it writes a ready site file. Needs the extra: pipx install '.[lab]'."""
    from lyncarr.cli.local import run_lab

    return run_lab(preset, powershell, folder, address, output)
