"""Decorators to see and guard calls with: `log`, `timing`, `require`.

Each works bare and with arguments, on functions, methods, class and static methods, properties,
coroutines, generators, async generators, whole classes, and objects with `__call__`; keeps name,
doc and signature; and stacks with the others, and with anybody else's, in any order.

    @timing
    @require("model:write")
    @log("DEBUG")
    def save(model, path): ...
"""

from pellucid.instrument.describe import describe as describe
from pellucid.instrument.logs import log as log
from pellucid.instrument.permissions import Grants as Grants
from pellucid.instrument.permissions import PermissionDenied as PermissionDenied
from pellucid.instrument.permissions import granted as granted
from pellucid.instrument.permissions import grants as grants
from pellucid.instrument.permissions import require as require
from pellucid.instrument.stopwatch import Timing as Timing
from pellucid.instrument.stopwatch import Timings as Timings
from pellucid.instrument.stopwatch import timing as timing
from pellucid.instrument.stopwatch import timings as timings
