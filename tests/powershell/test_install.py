"""The steps before the farms in a real PowerShell, over a Windows of files (simulated/install_windows.ps1)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lyncarr.core.diff import diff
from lyncarr.core.model import Event, Request, State, Step, StepRequest
from lyncarr.materials.installers import MSI_MAGIC
from lyncarr.materials.prepare import Prepared, prepare
from lyncarr.materials.upload import pieces
from lyncarr.steps import STEPS
from tests.certs import NOW, Pair, make_ca, make_leaf, make_pfx
from tests.powershell.engine import Engine, HostDisk
from tests.powershell.hosts import configuration
from tests.sites import site_of

pytestmark = pytest.mark.powershell

RUN = "11111111-2222-3333-4444-555555555555"
FARMS = [{"name": "meet.contoso.com", "servers": ["fepool.contoso.local"]}]
ROOT = make_ca()
ISSUING = make_ca("Contoso Issuing CA", ROOT)
LEAF = make_leaf(["meet.contoso.com"], ISSUING)
MICROSOFT = "CN=Microsoft Corporation, O=Microsoft Corporation, L=Redmond, S=Washington, C=US"
DEFAULT_FEATURES = [
    "Web-Server",
    "Web-WebServer",
    "Web-Common-Http",
    "Web-Default-Doc",
    "Web-Dir-Browsing",
    "Web-Http-Errors",
    "Web-Static-Content",
    "Web-Health",
    "Web-Http-Logging",
    "Web-Performance",
    "Web-Stat-Compression",
    "Web-Security",
    "Web-Filtering",
    "Web-Mgmt-Tools",
    "Web-Mgmt-Console",
]
REWRITE_KEY = r"SOFTWARE\Microsoft\IIS Extensions\URL Rewrite"
ARR_KEY = r"SOFTWARE\Microsoft\IIS Extensions\Application Request Routing"
LAY_DOWN = f"""
case "$2" in
    *url_rewrite.msi) touch ../inetsrv/rewrite.dll; echo '{REWRITE_KEY}|Version|7.2.1993' >> registry.txt ;;
    *arr.msi) folder="Program Files/IIS/Application Request Routing"; mkdir -p "$folder"; touch "$folder/requestRouter.dll"
        echo '{ARR_KEY}|Version|3.0.05311' >> registry.txt ;;
    *external_cache.msi) echo 'Microsoft External Cache Version 1|1.0' >> uninstall.txt ;;
esac
echo "$2" >> installed.log
"""


LAY_DOWN_BY_WEBPI = f"""
echo "$*" >> webpi.log
case "$2" in
    */Products:UrlRewrite2) set -- x url_rewrite.msi ;;
    */Products:ARRv3_0) set -- x arr.msi ;;
esac
{LAY_DOWN}
"""
WEBPI = "Program Files/Microsoft/Web Platform Installer/WebpiCmd-x64.exe"
FEED = "https://files.contoso.com/webpi.xml"
RENAMES = r"SYSTEM\CurrentControlSet\Control\Session Manager|PendingFileRenameOperations|\??\C:\spool\scan.dll"
SERVICING = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending"


class Windows:
    """One simulated host and a shell on it. Files are those of simulated/install_windows.ps1."""

    def __init__(self, engine: Engine, folder: Path, site: Prepared, config: str | None = None) -> None:
        self.machine = HostDisk(folder / "host", config, modules=False)
        self.engine, self.site = engine, site
        self.data = self.machine.programdata
        (self.data / "lyncarr").mkdir()
        self.machine.inetsrv.mkdir(exist_ok=True)
        (self.machine.inetsrv.parent / "ucrtbase.dll").touch()
        self.write("netsh.exe.sh", "")
        self.write("msiexec.exe.sh", LAY_DOWN)
        self.write("signature.txt", f"Valid|{MICROSOFT}")
        self.fresh = True

    def write(self, name: str, text: str) -> None:
        (self.data / name).write_text(text)

    def features(self, **states: str) -> None:
        """The offered features, Available where nothing else is said (dashes of names as underscores); plus one that nobody wants."""
        lines = [f"{states.get(name.replace('-', '_'), 'Available')} {name}" for name in DEFAULT_FEATURES]
        self.write("features.txt", "\n".join([*(line for line in lines if not line.startswith("absent")), "Available Web-Ftp-Server"]))

    def has_iis(self) -> None:
        self.write("W3SVC.txt", "running")

    def has_webpi(self, script: str = LAY_DOWN_BY_WEBPI) -> None:
        program = self.data / WEBPI
        program.parent.mkdir(parents=True)
        program.touch()
        program.with_name(f"{program.name}.sh").write_text(script)

    def texts(self, kind: str) -> list[str]:
        """The notes of this kind of the last look."""
        return [note["text"] for note in self.notes if note["kind"] == kind]

    def send(self, operation: str, steps: tuple[Step, ...] = (), secrets: dict[str, str] | None = None, **extra: Any) -> list[Event]:
        fresh, self.fresh = self.fresh, False
        requests = tuple(StepRequest(s.name, s.desired(self.site), s.parameters(self.site)) for s in steps)
        request = Request(RUN, operation, requests, True, {"who": "tests", **extra})
        text = None if secrets is None else json.dumps(secrets)
        return self.engine.send(self.machine, request, fresh=fresh, pipeline_input=text)

    def observe(self, name: str) -> State:
        events = self.send("observe", (step(name),))
        self.notes = [event.data for event in events if event.name == "note"]
        states: dict[str, State] = next(event.data["steps"] for event in events if event.name == "observed")
        return states[name]

    def drift(self, name: str) -> set[tuple[str, str | None]]:
        return {(change.item, change.attribute) for change in diff(self.observe(name), step(name).desired(self.site))}

    def apply(self, name: str, send_packages: bool = True) -> dict[str, Any]:
        """What `applied` or `failed` say; packages and secrets go before it as in a run."""
        missing = frozenset(item for item, _ in self.drift(name))
        for file, installer in step(name).files(self.site, missing).items() if send_packages else ():
            for offset, data in pieces(installer):
                failed = self.failed(self.send("upload", file=file, offset=offset, data=data))
                if failed:
                    return failed
        secrets = {key: secret.reveal() for key, secret in step(name).secrets(self.site, 9600).items()}
        events = self.send("apply", (step(name),), secrets or None)
        self.progress = [event.data["text"] for event in events if event.name == "progress"]
        return self.failed(events) or dict(next(event.data for event in events if event.name == "applied"))

    @staticmethod
    def failed(events: list[Event]) -> dict[str, Any]:
        return next((dict(event.data) for event in events if event.name == "failed"), {})

    def in_place(self, name: str, outcome: dict[str, Any]) -> bool:
        assert "steps" in outcome, outcome
        return not diff(outcome["steps"][name], step(name).desired(self.site)) and not self.drift(name)

    @property
    def uploads(self) -> list[str]:
        return sorted(path.name for path in (self.data / "lyncarr").rglob("*.msi"))


def step(name: str) -> Step:
    return next(one for one in STEPS if one.name == name)


def plain_site(folder: Path, more: str = "") -> Prepared:
    return prepare(site_of(FARMS, folder, more=more), None, now=NOW)


def site_with_packages(folder: Path, more: str = "") -> Prepared:
    lines = []
    for role in ("url_rewrite", "arr"):
        data = MSI_MAGIC + role.encode()
        (folder / f"{role}.msi").write_bytes(data)
        lines.append(f'{role} = "{hashlib.sha256(data).hexdigest()}"')
    hashes = "\n".join(lines)
    return plain_site(
        folder, f'[installers]\nurl_rewrite = "url_rewrite.msi"\narr = "arr.msi"\n{more}\n[installers.sha256]\n{hashes}\n{EXTERNAL_HASH}'
    )


EXTERNAL = MSI_MAGIC + b"cache"
EXTERNAL_HASH = f'external_cache = "{hashlib.sha256(EXTERNAL).hexdigest()}"\n'


def site_with_certificates(folder: Path, monkeypatch: pytest.MonkeyPatch, leaf: Pair = LEAF) -> Prepared:
    (folder / "root.cer").write_bytes(ROOT.der)
    (folder / "public.pfx").write_bytes(make_pfx(leaf, [ISSUING, ROOT], "correct horse"))
    monkeypatch.setenv("LYNCARR_TEST_PFX", "correct horse")
    return plain_site(folder, '[certificates]\ntrusted_roots = ["root.cer"]\npublic = "public.pfx"\npassword = "env:LYNCARR_TEST_PFX"\n')


def thumbprint(pair: Pair) -> str:
    return hashlib.sha1(pair.der).hexdigest().upper()


# --- iis


def test_iis_on_a_bare_host(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    host.features()
    assert host.observe("iis") == {}
    assert host.in_place("iis", host.apply("iis"))
    assert (host.data / "W3SVC.txt").read_text() == "running"
    assert "Available Web-Ftp-Server" in (host.data / "features.txt").read_text()
    assert host.progress == ["installing 15 roles and features of Windows; this takes minutes"]


def test_iis_is_not_missing_what_the_edition_lacks(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    host.features(**{name.replace("-", "_"): "Installed" for name in DEFAULT_FEATURES} | {"Web_Mgmt_Console": "Removed"})
    host.has_iis()
    assert host.drift("iis") == set()
    host.features(**{name.replace("-", "_"): "Installed" for name in DEFAULT_FEATURES} | {"Web_Mgmt_Console": "absent"})
    assert host.drift("iis") == set()


def test_iis_installs_only_what_is_missing(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    host.features(**{name.replace("-", "_"): "Installed" for name in DEFAULT_FEATURES} | {"Web_Filtering": "Removed"})
    host.has_iis()
    assert host.observe("iis")["Web-Server"]["missing"] == ("Web-Filtering",)
    assert host.in_place("iis", host.apply("iis"))


def test_iis_starts_its_service(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    host.features(**{name.replace("-", "_"): "Installed" for name in DEFAULT_FEATURES})
    host.write("W3SVC.txt", "stopped")
    assert host.drift("iis") == {("W3SVC", "running")}
    assert host.in_place("iis", host.apply("iis"))
    host.write("W3SVC.txt", "disabled")
    assert "W3SVC does not start (The service is disabled.)" in host.apply("iis")["text"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("fails", "(Failed)"),
        ("throws", "(The source files could not be found.)"),
        ("nothing", "Windows reported success, but did not install Web-Server, Web-WebServer"),
    ],
)
def test_iis_that_does_not_install(bare_engine: Engine, tmp_path: Path, how: str, words: str) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    host.features()
    host.write("role.txt", how)
    failed = host.apply("iis")
    assert failed["kind"] == "feature"
    assert words in failed["text"]


def test_iis_that_needs_a_restart(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    host.features()
    host.write("role.txt", "restart")
    assert host.apply("iis")["reboot"] is True
    assert (host.data / "W3SVC.txt").read_text() == "stopped"


def test_iis_on_a_windows_without_roles(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    assert host.observe("iis") == {}
    assert host.apply("iis")["kind"] == "unfit"


# --- arr


def test_arr_from_packages(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path), configuration(modules=False))
    host.has_iis()
    assert host.observe("arr") == {}
    outcome = host.apply("arr")
    assert host.in_place("arr", outcome)
    assert outcome["backup"] == f"lyncarr-{RUN}"
    assert [Path(line).name for line in (host.data / "installed.log").read_text().splitlines()] == ["url_rewrite.msi", "arr.msi"]
    assert host.uploads == []
    assert {note["text"] for note in host.notes if note["kind"] == "version"} == {
        "URL Rewrite 7.2.1993",
        "Application Request Routing 3.0.05311",
    }


@pytest.mark.parametrize("lost", ["file", "key"])
def test_arr_is_there_only_with_file_and_key(bare_engine: Engine, tmp_path: Path, lost: str) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    assert host.in_place("arr", host.apply("arr"))
    if lost == "file":
        (host.machine.inetsrv / "rewrite.dll").unlink()
    else:
        host.write("registry.txt", f"{ARR_KEY}|Version|3.0.05311\n{REWRITE_KEY} 2|Version|1\n")
    assert host.drift("arr") == {("URL Rewrite", None)}


def test_arr_needs_iis_before_anything_is_sent(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    failed = host.apply("arr")
    assert (failed["kind"], failed["text"]) == ("needs", "needs step iis: IIS is not installed on this host")
    assert host.uploads == []
    assert any(note["text"].startswith("needs step iis") for note in host.notes)
    assert host.apply("arr", send_packages=False)["kind"] == "needs"


def test_arr_without_a_package(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    host.has_iis()
    failed = host.apply("arr")
    assert failed["kind"] == "needs"
    assert (failed["text"], failed["hint"]) == (
        "URL Rewrite needs an installer",
        "To continue, set installers.url_rewrite in the configuration file.",
    )
    needs = [(note["item"], note["text"]) for note in host.notes if note["kind"] == "needs"]
    assert needs[1] == (
        "Application Request Routing",
        "Application Request Routing needs an installer: set installers.arr in the configuration file",
    )


def test_arr_without_the_runtime(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    (host.machine.inetsrv.parent / "ucrtbase.dll").unlink()
    assert "KB2999226" in host.apply("arr")["hint"]
    assert not (host.data / "installed.log").exists()
    assert host.uploads == []


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        ("NotSigned", "a signature with the status NotSigned, not Valid"),
        (f"HashMismatch|{MICROSOFT}", "a signature with the status HashMismatch, not Valid"),
        ("Valid|CN=Evil, O=Microsoft Corporation", "signed by 'Evil'"),
        ("Valid|CN=Microsoft Corporation Ltd, O=Microsoft Corporation", "signed by 'Microsoft Corporation Ltd'"),
        ('Valid|CN=Evil, OU="x, CN=Microsoft Corporation"', "signed by 'Evil'"),
        ('Valid|OU="x"", CN=Microsoft Corporation", O=Evil', "signed by 'Evil'"),
        ("Valid|CN=Evil, CN=Microsoft Corporation", "signed by ''"),
        ("Valid|CN=Microsoft Corporation, broken", "signed by ''"),
        ("Valid|", "signed by ''"),
    ],
)
def test_arr_runs_nothing_of_another_signer(bare_engine: Engine, tmp_path: Path, signature: str, words: str) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    host.write("signature.txt", signature)
    failed = host.apply("arr")
    assert failed["kind"] == "installer"
    assert words in failed["text"]
    assert not (host.data / "installed.log").exists()
    assert host.uploads == []


@pytest.mark.parametrize(
    ("subject", "publisher"),
    [
        ("O=Contoso, C=US", "Contoso"),
        ('CN="Contoso, Ltd.", O="Contoso, Ltd.", C=US', "Contoso, Ltd."),
        ('CN="The ""Best"" Company", C=US', 'The "Best" Company'),
        ("SERIALNUMBER=1 + CN=Contoso, 2.5.4.15=Private Organization", "Contoso"),
    ],
)
def test_arr_takes_another_publisher_where_the_site_says_so(bare_engine: Engine, tmp_path: Path, subject: str, publisher: str) -> None:
    site = site_with_packages(tmp_path, f"publisher = '{publisher}'")
    host = Windows(bare_engine, tmp_path, site)
    host.has_iis()
    host.write("signature.txt", f"Valid|{subject}")
    assert host.in_place("arr", host.apply("arr"))


def test_arr_runs_nothing_that_was_exchanged(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    host.observe("arr")
    for role in ("url_rewrite", "arr"):
        host.send("upload", file=role, offset=0, data=base64.b64encode(b"exchanged").decode())
    failed = host.apply("arr", send_packages=False)
    assert "has SHA-256 " in failed["text"]
    assert not (host.data / "installed.log").exists()
    assert host.uploads == []


def test_arr_restart(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    host.write("msiexec.exe.sh", f"{LAY_DOWN}\necho 3010 > code.txt\n")
    assert host.apply("arr")["reboot"] is True
    assert len((host.data / "installed.log").read_text().splitlines()) == 1
    assert host.uploads == []


def test_arr_waits_for_another_installation(bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lyncarr.steps.arr.BUSY_WAIT_S", 0)
    monkeypatch.setattr("lyncarr.steps.arr.BUSY_TRIES", 3)
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    host.write("msiexec.exe.sh", f"echo x >> tries.log\n[ $(wc -l < tries.log) -gt 2 ] || {{ echo 1618 > code.txt; exit; }}\n{LAY_DOWN}")
    assert host.in_place("arr", host.apply("arr"))
    (host.machine.inetsrv / "rewrite.dll").unlink()
    host.write("msiexec.exe.sh", "echo x >> tries.log\necho 1618 > code.txt\n")
    host.write("tries.log", "")
    assert "msiexec ended with exit code 1618 for URL Rewrite" in host.apply("arr")["text"]
    assert len((host.data / "tries.log").read_text().splitlines()) == 3


def test_arr_failure_names_log_and_cause(bare_engine: Engine, tmp_path: Path) -> None:
    log = "MSI (s): running\\nAction start 1:00:03: CheckIIS.\\nCheckIIS: no W3SVC\\n\\nAction ended 1:00:03: CheckIIS. Return value 3.\\n"
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    host.write(
        "msiexec.exe.sh",
        f"printf '{log}Action ended 1:00:04: INSTALL. Return value 3.\\n' | iconv -t UTF-16 > \"$6\"\necho 1603 > code.txt\n",
    )
    failed = host.apply("arr")
    assert failed["kind"] == "installer"
    assert "msiexec ended with exit code 1603 for URL Rewrite" in failed["text"]
    assert failed["hint"].endswith("url_rewrite.log on the host.")
    assert failed["text"].endswith("CheckIIS: no W3SVC Action ended 1:00:03: CheckIIS. Return value 3.")
    assert host.uploads == []


def test_arr_exit_code_is_not_believed(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    host.write("msiexec.exe.sh", "exit 0\n")
    assert "msiexec ended with exit code 0 for URL Rewrite: its file or its registry key is missing" in host.apply("arr")["text"]


def test_arr_tells_that_it_still_works(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    host.write("msiexec.exe.sh", f"case $2 in *arr.msi) sleep 3.5;; esac\n{LAY_DOWN}")
    assert host.in_place("arr", host.apply("arr"))
    host.observe("arr")
    assert host.progress[0] == "installing URL Rewrite, 0 s"
    assert host.progress[-1] == "installing Application Request Routing, 3 s"


def test_external_cache_from_an_address_that_does_not_answer(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path, 'external_cache = "https://127.0.0.1:9/cache.msi"'))
    host.has_iis()
    failed = host.apply("arr")
    assert failed["kind"] == "installer"
    assert "the host cannot download https://127.0.0.1:9/cache.msi" in failed["text"]
    assert host.drift("arr") == {("External Cache", None)}
    host.write("uninstall.txt", "Microsoft External Cache Version 1|1.0")
    assert host.drift("arr") == set()


# --- arr by WebPI


def test_arr_by_webpi(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, f'[installers]\nfeed = "{FEED}"\n'), configuration(modules=False))
    host.has_iis()
    host.has_webpi()
    assert host.observe("arr") == {}
    assert host.texts("installer") == [
        f"URL Rewrite will be installed by WebPI as UrlRewrite2 from {FEED}; WebPI accepts its licence terms",
        f"Application Request Routing will be installed by WebPI as ARRv3_0 from {FEED}; WebPI accepts its licence terms",
    ]
    outcome = host.apply("arr")
    assert host.in_place("arr", outcome)
    assert (outcome["backup"], outcome["reboot"]) == (f"lyncarr-{RUN}", False)
    data = host.data / "lyncarr"
    assert (host.data / "webpi.log").read_text().splitlines() == [
        f"/Install /Products:UrlRewrite2 /AcceptEula /SuppressReboot /Log:{data}/webpi_url_rewrite.log /XML:{FEED}",
        f"/Install /Products:ARRv3_0 /AcceptEula /SuppressReboot /Log:{data}/webpi_arr.log /XML:{FEED}",
    ]
    assert host.texts("installer") == []


def test_arr_takes_the_package_that_is_given_and_webpi_for_the_rest(bare_engine: Engine, tmp_path: Path) -> None:
    data = MSI_MAGIC + b"arr"
    (tmp_path / "arr.msi").write_bytes(data)
    hashes = f'[installers.sha256]\narr = "{hashlib.sha256(data).hexdigest()}"\n'
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, f'[installers]\nfeed = "{FEED}"\narr = "arr.msi"\n{hashes}'))
    host.has_iis()
    host.has_webpi()
    assert host.observe("arr") == {}
    assert host.texts("installer")[1] == "Application Request Routing will be installed from its package (installers.arr)"
    assert host.in_place("arr", host.apply("arr"))
    assert "UrlRewrite2" in (host.data / "webpi.log").read_text()
    assert "ARRv3_0" not in (host.data / "webpi.log").read_text()


def test_webpi_of_an_older_version(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, f'[installers]\nfeed = "{FEED}"\n'))
    host.has_iis()
    host.has_webpi()
    for ending in ("", ".sh"):
        program = host.data / f"{WEBPI}{ending}"
        program.rename(program.with_name(f"WebpiCmd.exe{ending}"))
    assert host.in_place("arr", host.apply("arr"))


def test_retired_product_list_is_asked_only_where_the_site_says_webpi(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, '[installers]\nsource = "webpi"\n'))
    host.has_iis()
    host.has_webpi('echo "$*" >> webpi.log\nexit 0\n')
    failed = host.apply("arr")
    assert "retired that list in 2022, so set installers.feed to a list of your own" in host.texts("installer")[0]
    assert failed["kind"] == "installer"
    assert "WebpiCmd ended with exit code 0 for URL Rewrite: its file or its registry key is missing" in failed["text"]
    assert "set installers.feed to a list of your own" in failed["hint"]
    assert "/XML" not in (host.data / "webpi.log").read_text()

    host.site = plain_site(tmp_path)
    assert host.apply("arr")["text"] == "URL Rewrite needs an installer"


def test_arr_without_webpi_on_the_host(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, f'[installers]\nfeed = "{FEED}"\n'))
    host.has_iis()
    failed = host.apply("arr")
    assert failed["kind"] == "needs"
    assert failed["text"] == "URL Rewrite needs WebpiCmd, which is not installed on this host"
    assert failed["hint"].startswith("To continue, install the Web Platform Installer on the host")
    assert host.texts("needs")[0].startswith(f"{failed['text']}: install the Web Platform Installer on the host")


def test_product_list_that_is_not_on_the_host(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, "[installers]\nfeed = 'C:\\webpi\\list.xml'\n"))
    host.has_iis()
    host.has_webpi()
    failed = host.apply("arr")
    assert failed["kind"] == "needs"
    assert "URL Rewrite needs the product list C:\\webpi\\list.xml, which is not on this host" in failed["text"]


@pytest.mark.parametrize("code", [0, 1, 42])
def test_webpi_is_judged_by_what_is_there(bare_engine: Engine, tmp_path: Path, code: int) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, f'[installers]\nfeed = "{FEED}"\n'))
    host.has_iis()
    host.has_webpi(f"{LAY_DOWN_BY_WEBPI}\nexit {code}\n")
    assert host.in_place("arr", host.apply("arr"))


def test_dead_product_list(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, f'[installers]\nfeed = "{FEED}"\n'))
    host.has_iis()
    said = "WebPiCmd Information: 0 : Nobody answers.\\nDateTime=2026-01-01T00:00:00Z\\n"
    host.has_webpi(f"""printf '{said}' > "$(echo "$5" | cut -d: -f2-)"\nexit 255\n""")
    failed = host.apply("arr")
    assert failed["kind"] == "installer"
    assert failed["text"] == (
        "WebpiCmd ended with exit code 255 for URL Rewrite: its file or its registry key is missing. "
        "Its log says: WebPiCmd Information: 0 : Nobody answers."
    )
    assert failed["hint"].startswith(f"Check that the host reaches {FEED} and the files that it names, and that it lists UrlRewrite2")
    assert 'or set installers.url_rewrite to the package, with source = "auto". Read' in failed["hint"]
    assert failed["hint"].endswith("url_rewrite.log on the host.")


def test_webpi_that_does_not_end(bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lyncarr.steps.arr.WEBPI_LIMIT_S", 2)
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, f'[installers]\nfeed = "{FEED}"\n'))
    host.has_iis()
    host.has_webpi("exec sleep 60\n")
    failed = host.apply("arr")
    assert failed["kind"] == "installer"
    assert failed["text"] == "WebpiCmd was stopped after 2 s while it installed URL Rewrite; programs that it started may still run"


@pytest.mark.parametrize("sign", ["echo 3010 > code.txt", f"echo '{SERVICING}' >> registry.txt"])
def test_webpi_restart(bare_engine: Engine, tmp_path: Path, sign: str) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path, f'[installers]\nfeed = "{FEED}"\n'))
    host.has_iis()
    host.has_webpi(f"{LAY_DOWN_BY_WEBPI}\n{sign}\n")
    assert host.apply("arr")["reboot"] is True
    assert len((host.data / "webpi.log").read_text().splitlines()) == 1


# --- a restart that is due


def test_files_that_wait_for_a_restart(bare_engine: Engine, tmp_path: Path) -> None:
    """Those of a scanner are told where something is to be installed, and only there."""
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    host.write("registry.txt", f"{RENAMES}\n")
    assert host.observe("arr") == {}
    (text,) = host.texts("pending-reboot")
    assert "the first is C:\\spool\\scan.dll" in text
    assert host.in_place("arr", host.apply("arr"))
    assert host.texts("pending-reboot") == []


def test_why_a_restart_is_due_is_told_first(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.write("registry.txt", f"{SERVICING}\n")
    hello, note, *_ = host.send("observe")
    assert (hello.name, note.name, note.data["kind"], note.data["step"]) == ("hello", "note", "pending-reboot", None)
    assert note.data["text"] == "Windows must restart to finish the installation of roles, features or updates"


# --- uploads


@pytest.mark.parametrize("file", ["../arr", "a/b", "C:\\arr", "arr.msi", "", "ARR", "arr\n"])
def test_upload_takes_no_path(bare_engine: Engine, tmp_path: Path, file: str) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    host.has_iis()
    host.observe("arr")
    assert "are not the names of a run and a package" in host.failed(host.send("upload", file=file, offset=0, data="AAAA"))["text"]


def test_upload_pieces_come_once_and_in_order(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path))
    host.has_iis()
    host.observe("arr")
    assert host.failed(host.send("upload", file="arr", offset=3, data="AAAA"))
    assert not host.failed(host.send("upload", file="arr", offset=0, data="AAAA"))
    assert host.failed(host.send("upload", file="arr", offset=0, data="AAAA"))
    assert not host.failed(host.send("upload", file="arr", offset=3, data="BBBB"))
    assert host.failed(host.send("upload", file="arr", offset=3, data="BBBB"))
    assert (host.data / "lyncarr" / RUN / "arr.msi").read_bytes() == base64.b64decode("AAAABBBB")
    assert "300,000" in host.failed(host.send("upload", file="arr", offset=6, data="A" * 300_004))["text"]


def test_packages_of_an_earlier_run_are_removed(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, site_with_packages(tmp_path))
    host.has_iis()
    old = host.data / "lyncarr" / "22222222-2222-3333-4444-555555555555"
    old.mkdir()
    (old / "arr.msi").touch()
    assert host.in_place("arr", host.apply("arr"))
    assert not old.exists()


# --- certificates


def test_trusted_roots(bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Windows(bare_engine, tmp_path, site_with_certificates(tmp_path, monkeypatch))
    assert host.observe("trusted-roots") == {}
    assert host.in_place("trusted-roots", host.apply("trusted-roots"))
    assert (host.data / "stores" / "Root" / f"{thumbprint(ROOT)}.cer").read_bytes() == ROOT.der


def test_certificate_with_key_and_intermediate(bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Windows(bare_engine, tmp_path, site_with_certificates(tmp_path, monkeypatch))
    assert host.observe("certificate") == {}
    assert host.in_place("certificate", host.apply("certificate"))
    (host.data / "stores" / "CA" / f"{thumbprint(ISSUING)}.cer").unlink()
    assert [attribute for _, attribute in host.drift("certificate")] == [None]
    assert host.in_place("certificate", host.apply("certificate"))
    assert (host.data / "imports.log").read_text().split() == [thumbprint(LEAF)], "a key that opens is not imported again"
    assert (host.data / "added.log").read_text().split() == ["CA", "CA"]
    (host.data / "stores" / "My" / f"{thumbprint(LEAF)}.key").unlink()
    assert host.drift("certificate") == {("public certificate", "private_key")}
    assert host.in_place("certificate", host.apply("certificate"))
    assert (host.data / "added.log").read_text().split() == ["CA", "CA"], "an intermediate that is there is not added again"


@pytest.mark.parametrize(("how", "words"), [("dropped", "it is not in LocalMachine"), ("without key", "does not open after the import")])
def test_certificate_import_is_looked_at(
    bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, words: str
) -> None:
    host = Windows(bare_engine, tmp_path, site_with_certificates(tmp_path, monkeypatch))
    host.write("import.txt", how)
    failed = host.apply("certificate")
    assert failed["kind"] == "certificate"
    assert words in failed["text"]


def test_older_certificate_is_told_and_kept(bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Windows(bare_engine, tmp_path, site_with_certificates(tmp_path, monkeypatch, make_leaf(["meet.contoso.com"], ISSUING)))
    assert host.in_place("certificate", host.apply("certificate"))
    old = host.data / "stores" / "My" / f"{thumbprint(host_leaf(host))}.cer"
    host.site = site_with_certificates(tmp_path, monkeypatch)
    assert host.in_place("certificate", host.apply("certificate"))
    (note,) = [note for note in host.notes if note["kind"] == "old-certificate"]
    assert old.stem in note["text"]
    assert note["item"] == old.stem
    assert old.exists()


def host_leaf(host: Windows) -> Pair:
    assert host.site.public is not None
    return Pair(host.site.public.certificate, host.site.public.key)


# --- the binding


class Bound:
    """A host with the certificate in place, ready for its binding."""

    def __init__(self, engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = Windows(engine, folder, site_with_certificates(folder, monkeypatch), configuration(modules=False))
        self.host.has_iis()
        self.config = self.host.machine.configuration.parent
        self.host.write(
            "netsh.exe.sh", "sed -E 's/^(\\S+) (\\S+) .*/IP:Anschluss : \\1\\n    Zertifikathash : \\2\\n/' ../inetsrv/config/httpsys.txt"
        )
        (self.config / "httpsys.txt").write_text("")
        assert self.host.in_place("certificate", self.host.apply("certificate"))
        (self.config / "certificates.txt").write_text(f"{thumbprint(LEAF)}\n{'AB' * 20}\n")

    @property
    def records(self) -> str:
        return (self.config / "httpsys.txt").read_text()

    def kinds(self) -> list[str]:
        return [note["kind"] for note in self.host.notes]


@pytest.fixture
def bound(bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bound:
    return Bound(bare_engine, tmp_path, monkeypatch)


def test_binding_is_made_once(bound: Bound) -> None:
    host = bound.host
    assert host.drift("https-binding") == {("*:443:", None)}
    outcome = host.apply("https-binding")
    assert host.in_place("https-binding", outcome)
    assert outcome["backup"] == f"lyncarr-{RUN}"
    assert bound.records.split() == ["0.0.0.0:443", thumbprint(LEAF), "MY"]
    assert bound.kinds() == []
    text = host.machine.text
    assert text.count('bindingInformation="*:443:"') == 1
    host.apply("https-binding")
    assert host.machine.text == text


def test_other_certificate_is_replaced_in_place(bound: Bound) -> None:
    host = bound.host
    assert host.in_place("https-binding", host.apply("https-binding"))
    text = host.machine.text
    (bound.config / "httpsys.txt").write_text(f"0.0.0.0:443 {'AB' * 20} MY\n")
    assert host.drift("https-binding") == {("*:443:", "certificate")}
    assert bound.kinds() == []
    assert host.in_place("https-binding", host.apply("https-binding"))
    assert host.machine.text == text
    (bound.config / "httpsys.txt").write_text("")
    assert host.drift("https-binding") == {("*:443:", "certificate"), ("*:443:", "store")}
    assert host.in_place("https-binding", host.apply("https-binding"))


@pytest.mark.parametrize(
    ("record", "drift", "binding"),
    [
        (f"0.0.0.0:443 {thumbprint(LEAF)} MY\n", set(), ":443:"),
        (f"0.0.0.0:443 {'AB' * 20} MY\n", {("*:443:", "certificate")}, "*:443:"),
        ("", {("*:443:", "certificate"), ("*:443:", "store")}, "*:443:"),
    ],
    ids=["right", "other", "none"],
)
def test_binding_without_an_address_is_taken(record: str, drift: set[tuple[str, str]], binding: str, bound: Bound) -> None:
    """A second one for the same address would keep the site from starting."""
    host = bound.host
    by_hand = '<binding protocol="https" bindingInformation=":443:" />'
    host.machine.configuration.write_bytes(host.machine.text.replace("</bindings>", f"{by_hand}</bindings>", 1).encode())
    (bound.config / "httpsys.txt").write_text(record)
    assert host.drift("https-binding") == drift
    assert bound.kinds() == []
    assert host.in_place("https-binding", host.apply("https-binding"))
    assert re.findall(r'protocol="https" bindingInformation="([^"]*)"', host.machine.text) == [binding]
    assert bound.records.split() == ["0.0.0.0:443", thumbprint(LEAF), "MY"]


def test_sni_is_taken_off_and_other_flags_stay(bound: Bound) -> None:
    host = bound.host
    assert host.in_place("https-binding", host.apply("https-binding"))
    text = host.machine.text.replace('bindingInformation="*:443:"', 'bindingInformation="*:443:" sslFlags="33"')
    host.machine.configuration.write_bytes(text.encode())
    assert ("*:443:", "sni") in host.drift("https-binding")
    assert host.in_place("https-binding", host.apply("https-binding"))
    assert 'sslFlags="32"' in host.machine.text


def test_central_store_is_drift(bound: Bound) -> None:
    host = bound.host
    assert host.in_place("https-binding", host.apply("https-binding"))
    text = host.machine.text.replace('bindingInformation="*:443:"', 'bindingInformation="*:443:" sslFlags="2"')
    host.machine.configuration.write_bytes(text.encode())
    assert host.observe("https-binding")["*:443:"]["store"] == "the central certificate store"
    assert host.drift("https-binding") == {("*:443:", "certificate"), ("*:443:", "store")}


def test_stopped_site_is_started_after_the_commit(bound: Bound) -> None:
    host = bound.host
    (bound.config / "sitestate.txt").write_text("Stopped Default Web Site\n")
    assert host.drift("https-binding") == {("*:443:", None), ("Default Web Site", "started")}
    assert host.in_place("https-binding", host.apply("https-binding"))
    assert "Started Default Web Site" in (bound.config / "sitestate.txt").read_text()


def test_site_starts_with_windows(bound: Bound) -> None:
    host = bound.host
    assert host.in_place("https-binding", host.apply("https-binding"))
    text = host.machine.text
    host.machine.configuration.write_bytes(
        text.replace('<site name="Default Web Site"', '<site name="Default Web Site" serverAutoStart="false"').encode()
    )
    assert host.drift("https-binding") == {("Default Web Site", "autostart")}
    assert host.in_place("https-binding", host.apply("https-binding"))
    assert 'serverAutoStart="false"' not in host.machine.text


def test_site_without_bindings_starts_with_its_first(bound: Bound) -> None:
    """The service knows no site without a binding: its state cannot even be asked for before the commit."""
    host = bound.host
    lines = [line for line in host.machine.text.splitlines(keepends=True) if "*:80:" not in line]
    host.machine.configuration.write_bytes("".join(lines).encode())
    (bound.config / "sitestate.txt").write_text("Stopped Default Web Site\n")
    assert host.in_place("https-binding", host.apply("https-binding"))


def test_what_else_answers_on_the_port_is_told(bound: Bound) -> None:
    host = bound.host
    other = """<site name="Other" id="7"><bindings>
        <binding protocol="https" bindingInformation="*:443:owa.contoso.com" sslFlags="1" />
        <binding protocol="https" bindingInformation="*:8443:" /></bindings></site></sites>"""
    host.machine.configuration.write_bytes(host.machine.text.replace("</sites>", other).encode())
    records = [f"owa.contoso.com:443 {'CD' * 20} MY", f"192.0.2.1:443 {'EF' * 20} MY", f"192.0.2.1:8443 {'EF' * 20} MY"]
    (bound.config / "httpsys.txt").write_text("\n".join([*records, f"0.0.0.0:443 {'12' * 20} MY"]))
    assert host.drift("https-binding") == {("*:443:", None)}
    texts = [note["text"] for note in host.notes]
    assert bound.kinds() == ["other-site", "other-record", "other-record"]
    assert "'Other' also has an https binding on port 443 (*:443:owa.contoso.com)" in texts[0]
    assert "192.0.2.1:443" in texts[1]
    assert "0.0.0.0:443" in texts[2]
    assert "the binding of this step replaces it" in texts[2]
    assert [note["item"] for note in host.notes] == ["Other", "192.0.2.1:443", "0.0.0.0:443"]
    assert host.in_place("https-binding", host.apply("https-binding"))
    assert bound.kinds() == ["other-site", "other-record"]
    assert set(records) <= set(bound.records.splitlines())


def test_other_certificate_of_the_same_site_is_told(bound: Bound) -> None:
    """A name for SNI wins over the binding for all: its clients would go on to see the old certificate."""
    host = bound.host
    assert host.in_place("https-binding", host.apply("https-binding"))
    names = "".join(
        f'<binding protocol="https" bindingInformation="*:443:{name}.contoso.com" sslFlags="1" />' for name in ("meet", "dialin")
    )
    host.machine.configuration.write_bytes(host.machine.text.replace("</bindings>", f"{names}</bindings>", 1).encode())
    with (bound.config / "httpsys.txt").open("a") as records:
        records.write(f"meet.contoso.com:443 {'CD' * 20} MY\ndialin.contoso.com:443 {thumbprint(LEAF)} MY\n")
    assert host.drift("https-binding") == set()
    (note,) = host.notes
    assert note["kind"] == "other-record"
    assert f"(*:443:meet.contoso.com) with another certificate ({'CD' * 20})" in note["text"]


def test_stopped_site_needs_the_service(bound: Bound) -> None:
    host = bound.host
    before = host.machine.text
    (bound.config / "sitestate.txt").write_text("Stopped Default Web Site\n")
    host.write("W3SVC.txt", "stopped")
    failed = host.apply("https-binding")
    assert (failed["kind"], failed["text"]) == ("needs", "needs step iis: the service W3SVC is not running")
    assert bound.kinds() == ["needs"]
    assert host.machine.text == before


def test_binding_needs_its_certificate(bound: Bound) -> None:
    host = bound.host
    before = host.machine.text
    (host.data / "stores" / "My" / f"{thumbprint(LEAF)}.key").unlink()
    failed = host.apply("https-binding")
    assert failed["kind"] == "needs"
    assert failed["text"].startswith("needs step certificate")
    assert host.machine.text == before


def test_binding_needs_its_site(bound: Bound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = bound.host
    text = host.machine.text.replace('name="Default Web Site"', 'name="Proxy"')
    host.machine.configuration.write_bytes(text.encode())
    failed = host.apply("https-binding")
    assert failed["kind"] == "binding"
    assert failed["text"] == "the web site 'Default Web Site' does not exist on this host, which has 'Proxy'"
    assert failed["hint"] == "Set website.name in the configuration file."
    assert host.machine.text == text


def test_binding_on_a_bare_host(bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Windows(bare_engine, tmp_path, site_with_certificates(tmp_path, monkeypatch))
    assert host.observe("https-binding") == {}
    assert any(note["text"].startswith("needs step iis") for note in host.notes)
    assert host.apply("https-binding")["kind"] == "needs"


def test_refused_by_http_sys(bound: Bound) -> None:
    """The file is written by then; the next run mends the record."""
    host = bound.host
    (bound.config / "standin-faults.txt").write_text("httpsys\n")
    failed = host.apply("https-binding")
    assert failed["kind"] == "binding"
    assert "HTTP.sys refused the certificate" in failed["text"]
    assert host.in_place("https-binding", host.apply("https-binding"))


def test_steps_without_certificates_want_nothing(bare_engine: Engine, tmp_path: Path) -> None:
    host = Windows(bare_engine, tmp_path, plain_site(tmp_path), configuration(modules=False))
    for name in ("trusted-roots", "certificate", "https-binding"):
        assert host.observe(name) == {}
        assert host.notes == []
