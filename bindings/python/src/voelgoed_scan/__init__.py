"""Scan event tickets, online and offline: the scanner client of the phones, for kiosks and tests."""

import atexit as _atexit
import dataclasses as _dataclasses

from .voelgoed_scan import *
from .voelgoed_scan import voelgoed_scan as _generated

__all__ = _generated.__all__


def _show_fields(container):
    """Lets `repr` show the fields. The generated classes are dataclasses whose fields `repr` does not know."""
    for value in vars(container).values():
        if isinstance(value, type) and _dataclasses.is_dataclass(value):
            value.__repr__ = value.__str__


_show_fields(_generated)
_show_fields(_generated.TicketReading)
_show_fields(_generated.VerificationResult)

# The library calls the hook on a thread of its own, which must not run Python while the interpreter ends.
_atexit.register(_generated.clear_log_hook)
