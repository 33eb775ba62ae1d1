"""CitaPlanner: a small booking core that books appointments and tells plugins about them.

`create_app` is loaded on first use, so that `import citaplanner_core.phones` stays cheap.
"""

import zoneinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from citaplanner_core.app import create_app as create_app

__version__ = "0.1.0"
__all__ = ["__version__", "create_app"]


# Every machine of a deployment knows the same clock changes: those of the pinned tzdata, not of its own system.
zoneinfo.reset_tzpath(())


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from citaplanner_core.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
