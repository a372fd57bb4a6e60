"""Scan event tickets, online and offline: the scanner client of the phones, for kiosks and tests."""

import atexit as _atexit
import dataclasses as _dataclasses
import threading as _threading

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

# A thread of the library that runs Python code while the interpreter ends would abort the process. So the interpreter ends
# only when none does: the results of calls are handed over completely, and no hook and no listener is called any more.
_handing_over = 0
_handed_over = _threading.Condition()


@_generated._UNIFFI_RUST_FUTURE_CONTINUATION_CALLBACK
def _continue(future_ptr, poll_code):
    """Does what the generated callback does, and counts the threads that are in it."""
    global _handing_over
    with _handed_over:
        _handing_over += 1
    try:
        loop, future = _generated._UniffiContinuationHandleMap.remove(future_ptr)
        loop.call_soon_threadsafe(_generated._uniffi_set_future_result, future, poll_code)
    finally:
        with _handed_over:
            _handing_over -= 1
            _handed_over.notify_all()


def _end():
    _generated.clear_log_hook()
    _generated.cancel_subscriptions()
    with _handed_over:
        _handed_over.wait_for(lambda: _handing_over == 0)


_generated._uniffi_continuation_callback = _continue
_atexit.register(_end)
