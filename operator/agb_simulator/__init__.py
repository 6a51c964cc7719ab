"""A simulator of the AGB session lifecycle API, as a program and as a library.

`Api` is the whole of it without I/O, `Server` puts it on a port, `SimulatorControl` is the client for its
test hooks, `Settings` and the effects of `agb_simulator.effects` say how it behaves. It shares no code
with the operator: what both know about AGB is written down twice, so that one can check the other.
"""

from agb_simulator.api import Api
from agb_simulator.control import HookRefused, SimulatorControl
from agb_simulator.requestlog import Entry
from agb_simulator.server import Server
from agb_simulator.settings import Settings
from agb_simulator.wire import Reply, Request

__all__ = ["Api", "Entry", "HookRefused", "Reply", "Request", "Server", "Settings", "SimulatorControl"]
