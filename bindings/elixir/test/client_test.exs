defmodule VoelgoedScan.ClientTest do
  use ExUnit.Case, async: true

  alias VoelgoedScan.{Problem, ScanServer, TransportError}

  setup do
    server = ScanServer.start!()
    %{server: server, client: server.client}
  end

  test "an event, its gates and its tickets are written and read", %{client: client} do
    {event, gate} = {ScanServer.uuid(), ScanServer.uuid()}
    {:ok, created} = VoelgoedScan.put_event(client, event, %{name: "Opera", status: "live", capacity: 3})
    assert %{"id" => ^event, "name" => "Opera", "capacity" => 3} = created
    assert {:ok, ^created} = VoelgoedScan.get_event(client, event)

    assert {:ok, %{"name" => "West"}} =
             VoelgoedScan.put_gate(client, event, gate, %{name: "West", status: "closed"})

    assert {:ok, %{"status" => "closed"}} = VoelgoedScan.get_gate(client, event, gate)
    assert {:ok, %{"data" => [%{"id" => ^gate}]}} = VoelgoedScan.list_gates(client, event)

    tickets = [
      %{code: "AAAAAAAAAAAAAAAA", holder_name: "Ada"},
      %{"code" => "BBBBBBBBBBBBBBBB", "ticket_class" => "VIP"}
    ]

    assert {:ok, %{"inserted" => 2, "rejected" => 0}} = VoelgoedScan.import_tickets(client, event, tickets)
    assert {:ok, %{"inserted" => 0, "unchanged" => 2}} = VoelgoedScan.import_tickets(client, event, tickets)

    assert {:ok, %{"data" => [%{"holder_name" => "Ada"}]}} =
             VoelgoedScan.list_tickets(client, event, q: "ada")

    assert {:ok, %{"ticket_class" => "VIP"}} = VoelgoedScan.get_ticket(client, event, "BBBBBBBBBBBBBBBB")

    assert {:ok, %{"status" => "voided"}} =
             VoelgoedScan.set_ticket_status(client, event, "BBBBBBBBBBBBBBBB", "voided")

    assert [%{"code" => "BBBBBBBBBBBBBBBB"}] =
             client |> VoelgoedScan.stream_tickets(event, status: "voided") |> Enum.to_list()

    assert {:ok, "VG1." <> _ = payload} = VoelgoedScan.ticket_qr(client, event, "AAAAAAAAAAAAAAAA")
    assert {:ok, %{"code" => "AAAAAAAAAAAAAAAA"}} = VoelgoedScan.get_ticket(client, event, payload)

    assert {:ok, <<0x89, "PNG", _::binary>>} =
             VoelgoedScan.ticket_qr(client, event, "AAAAAAAAAAAAAAAA", as: :png)
  end

  test "an import takes any enumerable in chunks and counts its lines through", %{client: client} do
    event = ScanServer.uuid()
    {:ok, _event} = VoelgoedScan.put_event(client, event, %{name: "Opera", status: "live"})
    test = self()

    tickets =
      Stream.map(1..2_500, fn number ->
        if number == 2_500, do: send(test, {:imported, VoelgoedScan.list_tickets(client, event, limit: 500)})
        if number in [700, 2_300], do: %{code: "no code"}, else: %{holder_name: "Guest #{number}"}
      end)

    assert {:ok, counts} = VoelgoedScan.import_tickets(client, event, tickets)
    assert %{"inserted" => 2_498, "updated" => 0, "unchanged" => 0, "rejected" => 2} = counts
    assert [700, 2_300] = Enum.map(counts["errors"], & &1["line"])
    # Earlier chunks were on record while the last line was made.
    assert_received {:imported, {:ok, %{"data" => data}}} when length(data) == 500
    codes = client |> VoelgoedScan.stream_tickets(event) |> MapSet.new(& &1["code"])
    assert MapSet.size(codes) == 2_498
    assert {:ok, %{"inserted" => 0}} = VoelgoedScan.import_tickets(client, event, [])
  end

  test "devices are registered, changed and revoked", %{client: client} do
    fields = %{device_id: "gate-1", name: "Gate 1", device_type: "scanner"}
    {:ok, %{"id" => id, "token" => "vgd_" <> _}} = VoelgoedScan.register_device(client, fields)
    assert {:error, %Problem{status: 409, code: "conflict"}} = VoelgoedScan.register_device(client, fields)
    assert {:ok, %{"name" => "North"}} = VoelgoedScan.update_device(client, id, %{name: "North"})
    assert {:ok, %{"token" => token}} = VoelgoedScan.rotate_device_token(client, id)
    assert {:ok, _events} = VoelgoedScan.list_events(%{client | token: token})
    assert {:ok, %{"uri" => "voelgoed-scan://enroll?" <> _}} = VoelgoedScan.enroll_device(client, id)

    assert [%{"device_id" => "gate-1"}] =
             client |> VoelgoedScan.stream_devices(device_id: "gate-1") |> Enum.to_list()

    assert :ok = VoelgoedScan.revoke_device(client, id)
    assert {:ok, %{"status" => "inactive"}} = VoelgoedScan.get_device(client, id)
    assert {:error, %Problem{status: 401}} = VoelgoedScan.list_events(%{client | token: token})
  end

  test "scans and occupancy are read page by page, and an admission is undone", %{
    server: server,
    client: client
  } do
    %{event: event, codes: codes, device: device} = ScanServer.event!(server, 7)
    for code <- codes, do: assert(%{"reason" => "admitted"} = ScanServer.scan!(device, code))
    assert %{"result" => "duplicate"} = ScanServer.scan!(device, hd(codes))

    assert {:ok, %{"event" => %{"inside" => 7}, "results" => %{"duplicate" => 1}}} =
             VoelgoedScan.occupancy(client, event)

    scans = client |> VoelgoedScan.stream_scans(event_id: event, result: "valid", limit: 3) |> Enum.to_list()
    assert Enum.map(scans, & &1["ticket_code"]) == Enum.reverse(codes)

    last = hd(scans)["scan_id"]

    assert {:ok, %{"undone" => %{"reason" => "wrong queue"}}} =
             VoelgoedScan.undo_scan(client, last, "wrong queue")

    assert {:ok, %{"event" => %{"inside" => 6}}} = VoelgoedScan.occupancy(client, event)
  end

  test "a refusal is a problem with the fields of the document", %{client: client} do
    assert {:error, %Problem{} = problem} =
             VoelgoedScan.put_event(client, ScanServer.uuid(), %{name: "", status: "live"})

    assert %{status: 422, code: "validation_failed", errors: [%{"pointer" => "/name"}]} = problem
    assert problem.type == "urn:voelgoed-scan:problem:validation_failed"
    assert is_binary(problem.request_id)
    assert Exception.message(problem) =~ "/name"
    assert {:error, %Problem{code: "not_found"}} = VoelgoedScan.get_event(client, ScanServer.uuid())
    assert {:error, %Problem{code: "not_found"}} = VoelgoedScan.get_event(client, "../devices")

    assert {:error, %Problem{code: "invalid_token"}} =
             VoelgoedScan.list_events(%{client | token: "vgk_wrong"})

    assert_raise Problem, fn ->
      %{client | token: "vgk_wrong"} |> VoelgoedScan.stream_events() |> Enum.to_list()
    end
  end

  test "a call that may be repeated survives a restart of the server", %{server: server, client: client} do
    ScanServer.stop!(server, "KILL")

    assert {:error, %TransportError{reason: {:failed_connect, _}}} =
             VoelgoedScan.list_events(%{client | retries: 1})

    waiting = Task.async(fn -> VoelgoedScan.list_events(%{client | retries: 1_000}) end)
    ScanServer.start_again!(server)
    assert {:ok, %{"data" => []}} = Task.await(waiting, 30_000)
  end

  test "the token does not show", %{client: client} do
    refute inspect(client) =~ client.token
    assert_raise ArgumentError, fn -> VoelgoedScan.new(server: client.server, token: "two\r\nlines") end

    assert_raise ArgumentError, fn ->
      VoelgoedScan.new(server: "https://user:secret@example.org", token: "vgk_x")
    end
  end

  test "another JSON module may be given", %{client: client} do
    defmodule Recorded do
      def encode!(value) do
        send(self(), {:encoded, value})
        VoelgoedScan.JSON.encode!(value)
      end

      def decode!(text), do: {:decoded, VoelgoedScan.JSON.decode!(text)}
    end

    client = VoelgoedScan.new(server: client.server, token: client.token, json: Recorded)
    fields = %{name: "Opera", status: "draft"}
    assert {:ok, {:decoded, %{"name" => "Opera"}}} = VoelgoedScan.put_event(client, ScanServer.uuid(), fields)
    assert_received {:encoded, ^fields}
  end
end
