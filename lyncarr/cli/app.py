"""The commands: their options and one call each. The modules beside this one do the work; a command imports its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lyncarr import __version__
from lyncarr.cli import options
from lyncarr.cli.choose import host_named
from lyncarr.core.limits import PLAN_DEADLINE_S

app = typer.Typer(
    name="lyncarr",
    help=(
        "Configures a Windows server as IIS/ARR reverse proxy for Lync or Skype for Business, over WinRM, and repairs drift.\n\n"
        "First run:\n\n"
        "\b\n"
        "  lyncarr bootstrap --controller IP   script that enables WinRM on the server\n"
        "  lyncarr init contoso.com            write a configuration file to fill in\n"
        "  lyncarr check                       check it; contacts no host\n"
        "  lyncarr doctor rp01                 check the connection to the server\n"
        "  lyncarr plan rp01                   show the changes; writes nothing\n"
        "  lyncarr provision rp01              show the changes, ask, apply, verify\n\n"
        "A second run finds no changes, or repairs what has drifted. Without a server: lyncarr lab --preset blank simulates one."
    ),
    epilog=(
        "Exit codes: 0 no changes or applied, 1 a step failed, 2 changes pending, 3 Windows must restart, 64 wrong usage, 65 wrong "
        "configuration file or certificate, 69 host unreachable, 70 internal error, 75 host in use by another run, 76 responses not "
        "trusted, 77 refused, 78 secret not available, 130 interrupted."
    ),
    add_completion=True,
    # Plain help: no boxes, one column for each option, and nothing heavy to import.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(given: bool) -> None:
    if given:
        typer.echo(f"lyncarr {__version__}")
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False) -> None:
    pass


@app.command(short_help="Write a configuration file to fill in.")
def init(
    domains: Annotated[
        list[str], typer.Argument(metavar="DOMAIN...", help="Your SIP domains, such as contoso.com, the primary one first.")
    ],
    site: options.SiteFile = options.DEFAULT_SITE,
) -> None:
    """Create a configuration file with comments for one or more SIP domains. Never replaces a file."""
    from lyncarr.cli.local import init_site

    init_site(domains, site)


@app.command(short_help="Print the script that enables WinRM on a server.")
def bootstrap(
    controller: Annotated[
        str | None,
        typer.Option("--controller", metavar="ADDRESS", help="IP address of this machine; several with commas."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the [hosts.NAME] table to print.")] = None,
    port: Annotated[int, options.port("--port", help="Port of the HTTPS listener. Default: 5986.")] = 5986,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Write the script to a new file, not to the screen."),
    ] = None,
) -> None:
    """Print a PowerShell script that enables WinRM over HTTPS on a server. Its administrator reads it and runs it at the console.

    The script creates an HTTPS listener with its own certificate and a firewall rule for this machine only, prints the host's table for
    the configuration file, and undoes everything with -Remove. Contacts no host.
    """
    from lyncarr.cli.bootstrap import print_script

    print_script(controller, name, port, file)


@app.command(short_help="Check the configuration file; contacts no host.")
def check(
    site: options.SiteFile = options.DEFAULT_SITE,
    output: options.OutputAs = options.Output.text,
    verbose: options.Verbose = False,
) -> None:
    """Check the configuration file, its names, certificates and installers on this machine. Contacts no host."""
    from lyncarr.cli.local import check_site

    check_site(site, output)


@app.command(short_help="Print the JSON Schema of the configuration file.")
def schema(
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Write it to FILE; needed in Windows PowerShell 5.1."),
    ] = None,
) -> None:
    """Print the JSON Schema of the configuration file. Editors use it to complete keys and mark mistakes. Contacts no host.

    Windows PowerShell 5.1 writes UTF-16 with `>`, which editors do not read as a schema: use --file there.
    """
    from lyncarr.cli.local import show_schema

    show_schema(file)


@app.command(short_help="Check the connection to a host.", epilog=options.CONNECTION)
def doctor(
    host: options.HostArgument = None,
    host_option: options.HostOption = None,
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
    log_file: options.LogFile = None,
) -> int:
    """Check the connection to a host: name, port, TLS, WinRM, clock, logon, shell, rights. Stops at the first failed check.

    Each check shows what it found, or what to do next. Writes nothing, and tries the password at most once.
    """
    from lyncarr.cli.doctor import run_doctor
    from lyncarr.runs.connection import Overrides

    overrides = Overrides(address, user, auth, port, tls, password_from, transport)
    return run_doctor(host_named(host, host_option), overrides, site, output, verbose, log_file)


@app.command(short_help="Show what would change on a host; writes nothing.", epilog=options.CONNECTION)
def plan(
    host: options.HostArgument = None,
    host_option: options.HostOption = None,
    site: options.SiteFile = options.DEFAULT_SITE,
    step: options.Steps = None,
    view: options.ViewBy = options.View.steps,
    address: options.Address = None,
    user: options.User = None,
    auth: options.AuthBy = None,
    port: options.Port = None,
    tls: options.Tls = None,
    transport: options.TransportBy = None,
    password_from: options.PasswordFrom = None,
    timeout: options.Timeout = PLAN_DEADLINE_S,
    output: options.OutputAs = options.Output.text,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> int:
    """Show what would change on a host, old -> new. Writes nothing and takes no lock. Exit code 0: no changes, 2: changes pending."""
    from lyncarr.cli.remote import Request, run
    from lyncarr.runs.connection import Overrides

    overrides = Overrides(address, user, auth, port, tls, password_from, transport)
    return run(
        Request(
            "plan",
            host_named(host, host_option),
            overrides,
            site,
            tuple(step or ()),
            timeout_s=timeout,
            output=output,
            view=view,
            verbose=verbose,
            log_file=log_file,
        )
    )


@app.command(short_help="Apply the configuration file to a host.", epilog=options.CONNECTION)
def provision(
    host: options.HostArgument = None,
    host_option: options.HostOption = None,
    site: options.SiteFile = options.DEFAULT_SITE,
    step: options.Steps = None,
    view: options.ViewBy = options.View.steps,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before applying.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as lyncarr plan.")] = False,
    address: options.Address = None,
    user: options.User = None,
    auth: options.AuthBy = None,
    port: options.Port = None,
    tls: options.Tls = None,
    transport: options.TransportBy = None,
    password_from: options.PasswordFrom = None,
    timeout: options.Timeout = PLAN_DEADLINE_S,
    output: options.OutputAs = options.Output.text,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> int:
    """Apply the configuration file to a host: show the plan, ask, apply, verify. Changes only what differs.

    --yes is required where there is no terminal, and with --output json. It needs the host on the command line, or a configuration file
    with one host.
    """
    from lyncarr.cli.remote import Request, run
    from lyncarr.runs.connection import Overrides

    overrides = Overrides(address, user, auth, port, tls, password_from, transport)
    return run(
        Request(
            "provision",
            host_named(host, host_option),
            overrides,
            site,
            tuple(step or ()),
            write=not dry_run,
            yes=yes,
            timeout_s=timeout,
            output=output,
            view=view,
            verbose=verbose,
            log_file=log_file,
        )
    )


@app.command(short_help="List the steps in order.")
def steps(output: options.OutputAs = options.Output.text) -> None:
    """List the stages and their steps, in the order in which they are applied."""
    from lyncarr.cli.teach import list_steps

    list_steps(output)


@app.command(short_help="Explain one step.")
def explain(
    step: Annotated[str, typer.Argument(metavar="STEP", autocompletion=options.step_names, help="A step, as lyncarr steps lists it.")],
) -> None:
    """Explain one step: what it sets, why this value, and where the value comes from."""
    from lyncarr.cli.teach import explain_step

    explain_step(step)


@app.command(short_help="Explain who answers a URL.")
def route(
    url: Annotated[list[str], typer.Argument(metavar="URL...", help="URLs such as https://dialin.contoso.com/.")],
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="A copy of applicationHost.config.")],
    output: options.OutputAs = options.Output.text,
) -> int:
    """Explain who answers a URL, by the rewrite rules and server farms in a copy of the host's applicationHost.config.

    Contacts no host. The exit code is 1 where an outcome depends on what this machine cannot know.
    """
    from lyncarr.cli.route import run_route

    return run_route(url, config, output)


@app.command(short_help="Simulate a Windows server on this machine.")
def lab(
    preset: Annotated[
        str, typer.Option("--preset", metavar="NAME", show_default=False, help="State: blank, drifted or finished. Default: blank.")
    ] = "blank",
    powershell: Annotated[
        str | None,
        typer.Option("--powershell", metavar="COMMAND", help="Run a real PowerShell instead of stored states."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", show_default=False, help="Folder for the files. Default: lab-site.")
    ] = Path("lab-site"),
    address: Annotated[
        str, typer.Option("--address", metavar="ADDRESS", show_default=False, help="Loopback address. Default: 127.0.0.1.")
    ] = "127.0.0.1",
    output: options.OutputAs = options.Output.text,
) -> int:
    """Simulate a Windows server on loopback until Ctrl-C, and write a configuration file for it.

    Needs the extra packages of the lab: pipx install '.[lab]' in the checkout.
    """
    from lyncarr.cli.local import run_lab

    return run_lab(preset, powershell, folder, address, output)
