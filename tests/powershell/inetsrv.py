"""An inetsrv folder for the stand-in of Microsoft.Web.Administration: a server with IIS, and with the packages asked for."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

STANDINS = Path(__file__).parents[2] / "lyncarr" / "lab" / "real" / "standins"
IIS_SCHEMA = "IIS_schema.xml"
REWRITE = "package-rewrite.xml"
ARR = "package-arr.xml"


def lay_out(root: Path, packages: tuple[str, ...] = (REWRITE, ARR)) -> Path:
    """Make `root` (what %windir%\\System32\\inetsrv is on a server) and return its applicationHost.config.

    `packages` are file names in config/: what each adds is declared there and added here as its installer would.
    An existing configuration is written over.
    """
    config = root / "config"
    schema = config / "schema"
    schema.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(STANDINS / "config" / "redirection.config", config / "redirection.config")
    shutil.copyfile(STANDINS / "schema" / IIS_SCHEMA, schema / IIS_SCHEMA)
    configuration = _parse(STANDINS / "config" / "applicationHost.config")
    for name in packages:
        package = _parse(STANDINS / "config" / name)
        for file in package.attrib["schema"].split():
            shutil.copyfile(STANDINS / "schema" / file, schema / file)
        _add_package(configuration, package)
    ElementTree.indent(configuration, "    ")
    text = '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(configuration, "unicode") + "\n"
    target = config / "applicationHost.config"
    # As IIS writes it: CRLF, UTF-8 without byte order mark.
    target.write_bytes(text.replace("\n", "\r\n").encode())
    return target


def _parse(file: Path) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    return ElementTree.fromstring(file.read_text(encoding="utf-8"), parser)


def _add_package(configuration: ElementTree.Element, package: ElementTree.Element) -> None:
    """Declare the package's sections and register its modules."""
    for section in package.findall("section"):
        *groups, name = section.attrib.pop("path").split("/")
        place = _required(configuration, "configSections")
        for group in groups:
            inner = place.find(f"sectionGroup[@name='{group}']")
            place = ElementTree.SubElement(place, "sectionGroup", name=group) if inner is None else inner
        ElementTree.SubElement(place, "section", {"name": name, **section.attrib})
    modules = _required(configuration, "system.webServer/globalModules")
    for module in package.findall("module"):
        ElementTree.SubElement(modules, "add", module.attrib)


def _required(configuration: ElementTree.Element, path: str) -> ElementTree.Element:
    found = configuration.find(path)
    if found is None:
        raise ValueError(f"the configuration has no {path}: restore config/applicationHost.config")
    return found
