defmodule VoelgoedScan.BridgeTest do
  use ExUnit.Case, async: true

  alias VoelgoedScan.{Bridge, Network, ScanServer}

  @moduletag timeout: 120_000
  @moduletag :capture_log

  setup do
    server = ScanServer.start!()
    %{server: server, client: server.client}
  end

  # Starts a bridge that sends everything to the test, and waits until it follows its events.
  defp start_bridge(client, events, options \\ []) do
    test = self()
    name = :"bridge #{System.unique_integer([:positive])}"

    broadcast = fn topic, message ->
      send(test, {topic, message})
      :ok
    end

    options =
      [name: name, client: client, events: events, broadcast: broadcast, max_backoff: 50]
      |> Keyword.merge(options)

    start_supervised!({Bridge, options}, id: name)
    name
  end

  defp topic(server, event, name), do: "org:#{server.organization}:event:#{event}:scanning:#{name}"

  defp await_connection(server, event) do
    topic = topic(server, event, "occupancy:updated")
    assert_receive {^topic, %{"event" => %{"inside" => _}}}
  end

  # The ids of the scans of a topic, in their order, until the one with the last id has come.
  defp scans_until(topic, last) do
    receive do
      {^topic, %{"scan_id" => ^last}} -> [last]
      {^topic, %{"scan_id" => id}} -> [id | scans_until(topic, last)]
    after
      30_000 -> flunk("scan #{last} was not told")
    end
  end

  # Nothing of what was told is told again: the next scan is the next message of its topic.
  defp assert_next(topic, %{"scan_id" => id}), do: assert(scans_until(topic, id) == [id])

  test "admissions, denials and occupancy come on the topics of the platform", %{
    server: server,
    client: client
  } do
    %{event: event, codes: [code, other], device: device} = ScanServer.event!(server, 2)
    start_bridge(client, [event])
    await_connection(server, event)

    %{"scan_id" => first} = ScanServer.scan!(device, code)
    %{"scan_id" => second} = ScanServer.scan!(device, code)
    {admitted, denied} = {topic(server, event, "scan:admitted"), topic(server, event, "scan:denied")}

    assert_receive {^admitted,
                    %{"scan_id" => ^first, "ticket_code" => ^code, "reason" => "admitted"} = record}

    assert_receive {^denied, %{"scan_id" => ^second, "result" => "duplicate"}}
    assert {:ok, %{"data" => [_duplicate, ^record]}} = VoelgoedScan.list_scans(client, event_id: event)
    occupancy = topic(server, event, "occupancy:updated")
    assert_receive {^occupancy, %{"event" => %{"inside" => 1}}}

    # The undo has no topic of its own; the occupancy tells it.
    {:ok, _undone} = VoelgoedScan.undo_scan(client, first, "wrong queue")
    assert_receive {^occupancy, %{"event" => %{"inside" => 0}}}
    # So has an exit.
    %{"scan_id" => again} = ScanServer.scan!(device, code)
    assert_receive {^admitted, %{"scan_id" => ^again}}
    assert %{"reason" => "exited"} = ScanServer.scan!(device, code, %{direction: "exit"})
    assert_receive {^occupancy, %{"event" => %{"inside" => 0, "exits" => 1}}}
    assert_next(admitted, ScanServer.scan!(device, other))
    assert_next(denied, ScanServer.scan!(device, other))
  end

  test "nothing is lost or repeated over broken connections", %{server: server, client: client} do
    %{event: event, codes: [last | codes], device: device} = ScanServer.event!(server, 151)
    {network, url} = Network.start!(server.url)
    start_bridge(%{client | server: url}, [event])
    await_connection(server, event)
    # Each connection breaks somewhere in the middle of an event.
    Network.limit(network, 7_001)
    Network.cut(network)

    scans = for code <- codes, do: ScanServer.scan!(device, code)["scan_id"]
    admitted = topic(server, event, "scan:admitted")
    assert scans_until(admitted, List.last(scans)) == scans
    assert Network.connections(network) > 10

    Network.limit(network, :infinity)
    Network.cut(network)
    assert_next(admitted, ScanServer.scan!(device, last))
  end

  test "nothing is lost or repeated over restarts of the server", %{server: server, client: client} do
    %{event: event, codes: [last | codes], device: device} = ScanServer.event!(server, 91)
    start_bridge(client, [event])
    await_connection(server, event)

    device = %{device | retries: 1_000}
    test = self()

    scanning =
      Task.async(fn ->
        for {code, number} <- Enum.with_index(codes) do
          if rem(number, 30) == 15, do: send(test, :restart)
          ScanServer.scan!(device, code)["scan_id"]
        end
      end)

    for signal <- ["TERM", "KILL", "TERM"] do
      assert_receive :restart
      ScanServer.stop!(server, signal)
      ScanServer.start_again!(server)
    end

    scans = Task.await(scanning, 60_000)
    admitted = topic(server, event, "scan:admitted")
    assert scans_until(admitted, List.last(scans)) == scans
    assert_next(admitted, ScanServer.scan!(device, last))
  end

  test "a follower that is killed goes on where it was", %{server: server, client: client} do
    %{event: event, codes: [first, second, third], device: device} = ScanServer.event!(server, 3)
    bridge = start_bridge(client, [event])
    await_connection(server, event)
    admitted = topic(server, event, "scan:admitted")
    %{"scan_id" => scan} = ScanServer.scan!(device, first)
    assert_receive {^admitted, %{"scan_id" => ^scan}}

    [{^event, follower, _type, _modules}] = Supervisor.which_children(bridge)
    Process.exit(follower, :kill)
    assert_next(admitted, ScanServer.scan!(device, second))
    assert_next(admitted, ScanServer.scan!(device, third))
  end

  test "a message that the platform does not take is offered again, in its order", %{
    server: server,
    client: client
  } do
    %{event: event, codes: codes, device: device} = ScanServer.event!(server, 6)
    test = self()
    admitted = topic(server, event, "scan:admitted")
    refusals = :counters.new(1, [])

    broadcast = fn topic, message ->
      :counters.add(refusals, 1, if(topic == admitted, do: 1, else: 0))

      case topic == admitted and rem(:counters.get(refusals, 1), 4) do
        1 -> raise "no such registry"
        2 -> exit(:noproc)
        3 -> {:error, :overloaded}
        _taken -> send(test, {topic, message})
      end
    end

    start_bridge(client, [event], broadcast: broadcast)
    await_connection(server, event)
    scans = for code <- codes, do: ScanServer.scan!(device, code)["scan_id"]
    assert scans_until(admitted, List.last(scans)) == scans
    assert :counters.get(refusals, 1) == 4 * length(scans)
  end

  test "events are followed and given up while it runs, each once", %{server: server, client: client} do
    one = ScanServer.event!(server, 1)
    other = ScanServer.event!(server, 2)
    bridge = start_bridge(client, [one.event])
    await_connection(server, one.event)
    assert :ok = Bridge.follow(bridge, other.event)
    assert :ok = Bridge.follow(bridge, other.event)
    assert Enum.sort(Bridge.followed(bridge)) == Enum.sort([one.event, other.event])
    await_connection(server, other.event)
    admitted = topic(server, other.event, "scan:admitted")
    for code <- other.codes, do: assert_next(admitted, ScanServer.scan!(other.device, code))

    assert :ok = Bridge.unfollow(bridge, other.event)
    assert Bridge.followed(bridge) == [one.event]
    # From here on no process follows the other event.
    ScanServer.scan!(other.device, hd(other.codes), %{direction: "exit"})
    assert_next(topic(server, one.event, "scan:admitted"), ScanServer.scan!(one.device, hd(one.codes)))
    refute_received {^admitted, _message}
  end

  test "a bridge goes on where the one before it stopped, if the platform keeps the place", %{
    server: server,
    client: client
  } do
    %{event: event, codes: [first, second, third], device: device} = ScanServer.event!(server, 3)
    places = :ets.new(:places, [:public])

    keep = [
      load_position: fn event ->
        with [{^event, id}] <- :ets.lookup(places, event), do: id, else: (_none -> nil)
      end,
      save_position: fn event, id -> :ets.insert(places, {event, id}) end
    ]

    bridge = start_bridge(client, [event], keep)
    await_connection(server, event)
    admitted = topic(server, event, "scan:admitted")
    %{"scan_id" => scan} = ScanServer.scan!(device, first)
    assert_receive {^admitted, %{"scan_id" => ^scan}}
    stop_supervised!(bridge)

    scan = ScanServer.scan!(device, second)
    start_bridge(client, [event], keep)
    assert_next(admitted, scan)
    assert_next(admitted, ScanServer.scan!(device, third))
  end

  test "a place that the server has forgotten is told", %{server: server, client: client} do
    %{event: event} = ScanServer.event!(server, 1)
    test = self()
    options = [load_position: fn _event -> "0-1" end, on_reset: &send(test, {:reset, &1})]
    start_bridge(client, [event], options)
    assert_receive {:reset, ^event}
    await_connection(server, event)
  end

  test "an event that comes later is followed then, and the log says why it is not yet", %{
    server: server,
    client: client
  } do
    event = ScanServer.uuid()
    forward_log(event)
    start_bridge(client, [event])
    assert_receive {:log, :warning, reason}
    assert reason =~ "404 not_found"
    {:ok, _event} = VoelgoedScan.put_event(client, event, %{name: "Late", status: "live"})
    await_connection(server, event)
    assert_receive {:log, :info, _followed_again}
    # Each cause is logged once, however often it is met.
    refute_received {:log, _level, _message}
  end

  # Sends what is logged about an event to the test.
  defp forward_log(event) do
    id = :"log #{event}"
    :ok = :logger.add_handler(id, VoelgoedScan.LogForwarder, %{config: {self(), event}})
    on_exit(fn -> :logger.remove_handler(id) end)
  end

  describe "over a stream that is made up" do
    setup %{server: server, client: client} do
      scanning = ScanServer.event!(server, 1)
      {network, url} = Network.start!(server.url)
      Map.merge(scanning, %{network: network, client: %{client | server: url}})
    end

    defp stream(events),
      do: response("200 OK", "text/event-stream", chunks(Enum.map_join(events, &event_text/1)))

    defp event_text({id, name, data}),
      do: "id: #{id}\nevent: #{name}\ndata: #{VoelgoedScan.JSON.encode!(data)}\n\n"

    defp response(status, type, body) do
      "HTTP/1.1 #{status}\r\nContent-Type: #{type}\r\nTransfer-Encoding: chunked\r\nRetry-After: 0\r\n\r\n#{body}"
    end

    # Chunks of 13 bytes, so that they end anywhere in an event. The last one is missing, as after a crash of the server.
    defp chunks(<<part::binary-size(13), rest::binary>>), do: "d\r\n#{part}\r\n" <> chunks(rest)
    defp chunks(rest), do: "#{Integer.to_string(byte_size(rest), 16)};last=1\r\n#{rest}\r\n"

    defp signal(id, kind, closed_at \\ nil),
      do: %{"id" => id, "kind" => kind, "closed_at" => closed_at, "details" => %{}}

    test "signals come once as they open and once as they close", %{server: server, event: event} = context do
      now = "2026-11-29T18:00:00.000Z"
      opened = [{1, "signal", signal("a", "device_silent")}, {1, "signal", signal("b", "duplicate_spam")}]

      closed = [
        {1, "signal", signal("a", "device_silent", now)},
        {1, "signal", signal("b", "duplicate_spam", now)}
      ]

      at_once = [{1, "signal", signal("c", "late_batch", now)}, {1, "signal", signal("d", "occupancy_90")}]
      # Each connection tells what is open again.
      Network.answer_streams(context.network, [
        stream(opened),
        stream(opened ++ closed ++ at_once),
        stream(at_once)
      ])

      start_bridge(context.client, [event])
      await_connection(server, event)

      devices = "org:#{server.organization}:scanning:device:"

      {offline, online, alert} =
        {devices <> "offline", devices <> "online", topic(server, event, "fraud:alert")}

      assert told() == [
               {offline, signal("a", "device_silent")},
               {alert, signal("b", "duplicate_spam")},
               {online, signal("a", "device_silent", now)},
               {alert, signal("b", "duplicate_spam", now)},
               {alert, signal("c", "late_batch", now)}
             ]
    end

    test "a scan that an upload decides anew is told as admitted, or as denied before that",
         %{server: server} = context do
      scan = fn id, result ->
        {1, "scan",
         %{
           "scan_id" => id,
           "organization_id" => server.organization,
           "event_id" => context.event,
           "direction" => "entry",
           "result" => result,
           "undone" => nil
         }}
      end

      Network.answer_streams(context.network, [
        stream([scan.("a", "valid"), scan.("b", "duplicate")]),
        stream([scan.("a", "duplicate"), scan.("b", "valid"), scan.("b", "valid"), scan.("b", "duplicate")])
      ])

      start_bridge(context.client, [context.event])
      await_connection(server, context.event)

      {admitted, denied} =
        {topic(server, context.event, "scan:admitted"), topic(server, context.event, "scan:denied")}

      assert [
               {^admitted, %{"scan_id" => "a"}},
               {^denied, %{"scan_id" => "b"}},
               {^admitted, %{"scan_id" => "b"}}
             ] = told()
    end

    test "it is opened again after a page, a problem and bytes that are no HTTP",
         %{server: server} = context do
      forward_log(context.event)
      problem = ~s({"code":"overloaded","status":503,"detail":"Too many."})

      Network.answer_streams(context.network, [
        response("200 OK", "text/html", chunks("<h1>Your room number?</h1>")),
        response("503 Service Unavailable", "application/problem+json", chunks(problem)),
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        response("200 OK", "text/event-stream", "zz\r\n")
      ])

      start_bridge(context.client, [context.event])
      await_connection(server, context.event)

      for cause <- ["not_an_event_stream", "503 overloaded: Too many.", "not_http"] do
        assert_receive {:log, :warning, message}
        assert message =~ cause
      end
    end

    # What was broadcast, but for the occupancy.
    defp told do
      receive do
        {"org:" <> _ = topic, message} ->
          if String.ends_with?(topic, "occupancy:updated"), do: told(), else: [{topic, message} | told()]
      after
        0 -> []
      end
    end
  end
end
