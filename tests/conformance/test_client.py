"""A client that openapi-python-client generated works with the server: it registers a device, starts a session, scans with every
optional field, and uploads. Only typed classes of the generated package are used."""

import datetime
import uuid

import pytest
from gate import OWNER_KEY, URL, Gate
from gate_client import AuthenticatedClient
from gate_client.api.devices import register_device
from gate_client.api.offline import sync
from gate_client.api.scans import scan, undo_scan
from gate_client.api.sessions import start_session
from gate_client.api.tickets import import_tickets, show_ticket_qr
from gate_client.models import (
    DeviceRegister,
    DeviceSettings,
    Direction,
    Override,
    Problem,
    Reason,
    ScanRequest,
    ScanResult,
    SessionStart,
    SyncRequest,
    SyncScan,
    SyncStatus,
    UndoRequest,
)

CODES = ["3KQR7F924M1XaB0z", "3KQR7F924M1XaB0y", "3KQR7F924M1XaB0x"]


@pytest.fixture(scope="module")
def gate():
    gate = Gate()
    for code in CODES:
        gate.add_ticket(code)
    return gate


@pytest.fixture(scope="module")
def owner():
    return AuthenticatedClient(base_url=URL, token=OWNER_KEY)


@pytest.fixture(scope="module")
def device(gate, owner):
    body = DeviceRegister(device_id="generated", name="Generated", settings=DeviceSettings(can_override=True))
    registered = register_device.sync(client=owner, body=body)
    client = AuthenticatedClient(base_url=URL, token=registered.token)
    body = SessionStart(event_id=uuid.UUID(gate.event_id), gate_id=uuid.UUID(gate.gate_id))
    session = start_session.sync(client=client, body=body)
    assert session.device_id == registered.id
    return client


def test_a_scan_is_retried_by_its_scan_id(device):
    request = ScanRequest(ticket_code=CODES[0], scan_id=uuid.uuid4(), direction=Direction.ENTRY)
    first = scan.sync(client=device, body=request)
    assert (first.result, first.reason, first.replayed) == (ScanResult.VALID, Reason.ADMITTED, False)
    again = scan.sync(client=device, body=request)
    assert (again.result, again.reason, again.replayed) == (ScanResult.VALID, Reason.ADMITTED, True)
    assert again.scan_id == first.scan_id == request.scan_id


def test_a_scan_takes_a_direction_a_dry_run_an_override_and_metadata(device):
    code = CODES[1]
    dry = scan.sync(client=device, body=ScanRequest(ticket_code=code, dry_run=True))
    assert (dry.reason, dry.scan_id) == (Reason.ADMITTED, None)
    assert scan.sync(client=device, body=ScanRequest(ticket_code=code)).reason == Reason.ADMITTED
    forced = ScanRequest(ticket_code=code, override=Override(reason="Seen by the steward"), scan_id=uuid.uuid4())
    assert scan.sync(client=device, body=forced).reason == Reason.OVERRIDDEN
    undone = undo_scan.sync(client=device, scan_id=forced.scan_id, body=UndoRequest(reason="By mistake"))
    assert undone.undone.reason == "By mistake"
    left = ScanRequest(ticket_code=code, direction=Direction.EXIT, scan_id=uuid.uuid4())
    assert scan.sync(client=device, body=left).reason == Reason.EXITED


def test_an_upload_is_typed(device, gate):
    now = datetime.datetime.now(datetime.timezone.utc)
    offline = SyncScan(
        scan_id=uuid.uuid4(),
        ticket_code=CODES[2],
        gate_id=uuid.UUID(gate.gate_id),
        scanned_at=now - datetime.timedelta(minutes=1),
        sequence=1,
        local_result=ScanResult.VALID,
        local_reason=Reason.ADMITTED,
    )
    answer = sync.sync(client=device, body=SyncRequest(batch_id=uuid.uuid4(), sent_at=now, scans=[offline]))
    assert [(one.scan_id, one.status) for one in answer.results] == [(offline.scan_id, SyncStatus.RECORDED)]
    assert answer.recorded == 1


def test_a_problem_is_typed(device):
    both = ScanRequest(ticket_code="x", qr="x")
    problem = scan.sync(client=device, body=both)
    assert isinstance(problem, Problem)
    assert problem.code == "validation_failed"
    assert {error.pointer for error in problem.errors} == {"/qr", "/ticket_code"}


def test_operations_that_are_not_json_are_generated(gate, owner):
    response = show_ticket_qr.sync_detailed(client=owner, id=uuid.UUID(gate.event_id), code=CODES[0])
    assert response.status_code == 200
    assert response.content.startswith(b"VG1.")
    assert callable(import_tickets.sync_detailed)
