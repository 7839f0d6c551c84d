"""What hosts/ relies on inside pypsrp, beyond its documented interface. A new pypsrp that fails here must be read, not pinned away."""

from __future__ import annotations

import inspect
import re

from pypsrp import powershell, shell, wsman
from pypsrp.serializer import Serializer

from lyncarr.hosts.http.transport import PYPSRP_GRACE_S, Transport
from lyncarr.hosts.psrp import ESCAPED


def used(of: object, name: str) -> set[str]:
    return set(re.findall(rf"\b{name}\.(\w+)", inspect.getsource(of)))  # type: ignore[arg-type]


def test_wsman_asks_its_transport_for_three_things_only() -> None:
    """hosts/http/transport.py stands in for it, and has no more."""
    assert used(wsman.WSMan, "self.transport") == {"endpoint", "send", "close"}
    for name in ("endpoint", "send", "close"):
        assert name in {*dir(Transport), "endpoint"}


def test_a_runspace_pool_reaches_http_through_wsman_only() -> None:
    for module in (powershell, shell):
        assert used(module, "transport") == set()


def test_a_read_is_marked_by_its_retries() -> None:
    """And nothing but Receive is marked: the mark says that a message may be sent again."""
    methods = inspect.getmembers(wsman.WSMan, inspect.isfunction)
    marked = [name for name, method in methods if "retries_on_read_timeout=5" in inspect.getsource(method)]
    assert marked == ["receive"]


def test_the_http_time_out_is_the_operations_and_two_seconds() -> None:
    assert f"http_timeout = timeout + {PYPSRP_GRACE_S}" in inspect.getsource(wsman.WSMan.invoke)


def test_a_pool_reads_through_its_fragmenter_and_its_receive() -> None:
    """hosts/psrp.py replaces both."""
    pool = powershell.RunspacePool(wsman.WSMan("127.0.0.1"))
    assert isinstance(pool._fragmenter, powershell.Fragmenter)
    assert "self._fragmenter.defragment(" in inspect.getsource(powershell.RunspacePool._parse_responses)
    assert "self.runspace_pool._receive(" in inspect.getsource(powershell.PowerShell.poll_invoke)
    assert "self._receive(" in inspect.getsource(powershell.RunspacePool.open)
    assert used(powershell.RunspacePool, "_fragmenter") | used(powershell.PowerShell, "_fragmenter") == {
        "fragment",
        "fragment_multiple",
        "defragment",
        "max_size",
    }


def test_a_pipeline_runs_once_its_first_fragment_was_answered() -> None:
    """hosts/psrp.py sets the same two where that answer was lost."""
    begun = inspect.getsource(powershell.PowerShell._invoke)
    assert "command_id=self.id" in begun
    assert begun.index("fragments.pop(0)") < begun.index("self._command_id = ") < begun.index("self.state = PSInvocationState.RUNNING")
    assert "command_id = pipeline._command_id" in inspect.getsource(powershell.RunspacePool._receive)


def test_a_line_feed_goes_as_it_is_and_nothing_else_that_pypsrp_escapes() -> None:
    """hosts/psrp.py replaces the expression by which pypsrp's serializer knows what to write as _xHHHH_."""
    odd = "a\tb\rc\x00d\x9fe\U0001f600f"
    plain, ours = Serializer(), Serializer()
    assert plain._serialize_string("a\nb") == "a_x000A_b"
    ours._serial_str = ESCAPED
    assert ours._serialize_string("a\nb") == "a\nb"
    assert ours._serialize_string(odd) == plain._serialize_string(odd)
