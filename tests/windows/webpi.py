"""WebPI on a simulated Windows server: its command line, and a product list on the host or behind https."""

from __future__ import annotations

import shutil
from pathlib import Path

from lyncarr.config.loader import load_site
from lyncarr.lab.real.packages import ARR, URL_REWRITE, Package
from lyncarr.lab.real.wine import WineMachine
from lyncarr.materials.prepare import Prepared, prepare
from tests.windows.sites import write_full_site

FEED = r"C:\Program Files\webpi\feeds\latest\webproductlist.xml"
PROGRAM = Path("Program Files") / "Microsoft" / "Web Platform Installer" / "WebpiCmd-x64.exe"


def lay_webpi(machine: WineMachine) -> None:
    """What the package of WebPI would leave: the stand-in of its command line, at its place."""
    program = machine.drive / PROGRAM
    program.parent.mkdir(parents=True)
    shutil.copyfile(machine.lab / "programs" / "webpicmd.exe", program)


def lay_feed(machine: WineMachine, *, rewrite: Package = URL_REWRITE, arr: Package = ARR) -> None:
    """The product list at FEED, as an offline cache has it."""
    path = machine.drive / Path(*FEED.split("\\")[1:])
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = (_entry(product, package) for product, package in (("UrlRewrite2", rewrite), ("ARRv3_0", arr)))
    path.write_text(f'<?xml version="1.0"?>\n<feed xmlns="http://www.w3.org/2005/Atom">{"".join(entries)}</feed>\n', encoding="ascii")


def _entry(product: str, package: Package) -> str:
    return (
        f"<entry><productId>{product}</productId><installers><installer><installerFile>"
        rf"<installerURL>C:\windows\lab\packages\{package.file}</installerURL>"
        "</installerFile></installer></installers></entry>"
    )


def write_webpi_site(
    folder: Path,
    machine: WineMachine,
    installers: str,
    *,
    port: int = 5986,
    user: str = "Administrator",
    password: str = "",
    ca: bytes = b"",
) -> Path:
    """The full site with `installers` as the text of its table [installers]; the path of the file."""
    path = write_full_site(folder, machine, port=port, user=user, password=password, ca=ca)
    text = path.read_text(encoding="utf-8")
    begin = text.index("[installers]")
    end = text.index("[[farms]]")
    path.write_text(f"{text[:begin]}[installers]\n{installers}\n\n{text[end:]}", encoding="utf-8")
    return path


def webpi_site(folder: Path, machine: WineMachine, installers: str = f"feed = '{FEED}'") -> Prepared:
    """The same, read and checked."""
    return prepare(load_site(write_webpi_site(folder, machine, installers)), lambda *_: "")
