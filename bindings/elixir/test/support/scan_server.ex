defmodule VoelgoedScan.ScanServer do
  @moduledoc """
  The real scan server on a database of its own, with calls that a scanner app would make.

  `VOELGOED_SCAN_PROGRAMS` is the folder with its programs; by default that of a debug build of this repository. The server
  ends with the process that started it, however that ends.
  """

  use GenServer

  alias VoelgoedScan.HTTP

  @enforce_keys [:folder, :url, :organization, :client]
  defstruct @enforce_keys

  # Forwards a signal from its input to the server. At the end of its input it kills the server.
  @guard """
  "$@" </dev/null & server=$!
  read -r signal
  kill -s "${signal:-KILL}" $server; wait $server
  echo stopped
  """

  def start!(options \\ []) do
    folder = folder!()

    init = [
      "--output",
      "json",
      "init",
      "--organization",
      "Harbour Theatre",
      "--database-url",
      database(folder)
    ]

    # What the program says to people is not for the output of the tests.
    quietly = ["-c", ~s(exec "$@" 2>/dev/null), "quietly", program("voelgoed-scan")]
    {json, 0} = System.cmd("/bin/sh", quietly ++ init)
    %{"api_key" => key, "organization_id" => organization} = VoelgoedScan.JSON.decode!(json)
    url = run(folder, "127.0.0.1:0", options)

    client =
      VoelgoedScan.new([server: url, token: key, max_backoff: 50] ++ Keyword.take(options, [:cacertfile]))

    %__MODULE__{folder: folder, url: url, organization: organization, client: client}
  end

  @doc "A folder that is removed after the test."
  def folder! do
    name = "voelgoed-scan-elixir-#{System.unique_integer([:positive])}-#{System.pid()}"
    folder = Path.join(System.tmp_dir!(), name)
    File.mkdir_p!(folder)
    ExUnit.Callbacks.on_exit(fn -> File.rm_rf!(folder) end)
    folder
  end

  @doc "Stops the server with a signal and waits for its end."
  def stop!(%__MODULE__{folder: folder}, signal),
    do: :ok = GenServer.call(name(folder), {:stop, signal}, 30_000)

  @doc "Starts the server again, at the same address."
  def start_again!(%__MODULE__{folder: folder, url: url}) do
    run(folder, String.replace_prefix(url, "http://", ""), [])
    :ok
  end

  defp run(folder, address, options) do
    more =
      for {name, value} <- Keyword.take(options, [:tls_cert, :tls_key]) do
        "--#{String.replace(to_string(name), "_", "-")}=#{value}"
      end

    arguments =
      ["-c", @guard, "guard", program("voelgoed-scan-server"), "--listen", address, "--rate-limit", "0"] ++
        ["--database-url", database(folder)] ++ more

    process = %{id: make_ref(), start: {__MODULE__, :start_link, [folder, arguments]}, restart: :temporary}
    ExUnit.Callbacks.start_supervised!(process)
    GenServer.call(name(folder), :url, 30_000)
  end

  defp name(folder), do: {:global, folder}

  @doc false
  def start_link(folder, arguments), do: GenServer.start_link(__MODULE__, arguments, name: name(folder))

  @impl true
  def init(arguments) do
    port =
      Port.open({:spawn_executable, "/bin/sh"}, [:binary, :stderr_to_stdout, line: 65_536, args: arguments])

    {:ok, %{port: port, url: nil, log: [], waiting: nil}}
  end

  @impl true
  def handle_call(:url, from, %{url: nil} = state), do: {:noreply, %{state | waiting: from}}
  def handle_call(:url, _from, state), do: {:reply, state.url, state}

  def handle_call({:stop, signal}, from, state) do
    Port.command(state.port, signal <> "\n")
    {:noreply, %{state | waiting: from}}
  end

  @impl true
  def handle_info({port, {:data, {_end, "stopped"}}}, %{port: port} = state) do
    if is_nil(state.url), do: raise("the scan server did not start: #{inspect(Enum.reverse(state.log))}")
    if state.waiting, do: GenServer.reply(state.waiting, :ok)
    {:stop, :normal, state}
  end

  def handle_info({port, {:data, {_end, line}}}, %{port: port, url: nil} = state) do
    case Regex.run(~r"listening on (https?://[0-9.:]+)", line) do
      [_line, url] ->
        if state.waiting, do: GenServer.reply(state.waiting, url)
        {:noreply, %{state | url: url, waiting: nil}}

      nil ->
        {:noreply, %{state | log: [line | state.log]}}
    end
  end

  # The rest of the log, which is read so that a full pipe does not stop the server.
  def handle_info({_port, {:data, _line}}, state), do: {:noreply, state}

  defp database(folder), do: "sqlite://" <> Path.join(folder, "gate.db")

  defp program(name) do
    folder = System.get_env("VOELGOED_SCAN_PROGRAMS") || Path.expand("../../../../target/debug", __DIR__)
    Path.join(folder, name)
  end

  @doc "A UUID."
  def uuid do
    <<a::binary-size(8), b::binary-size(4), c::binary-size(3), d::binary-size(3), e::binary-size(12),
      _::binary>> = Base.encode16(:crypto.strong_rand_bytes(16), case: :lower)

    "#{a}-#{b}-4#{c}-8#{d}-#{e}"
  end

  @doc "A live event with a gate, `count` tickets, and a device in a session at the gate."
  def event!(%__MODULE__{client: client}, count) do
    {event, gate} = {uuid(), uuid()}

    {:ok, _event} =
      VoelgoedScan.put_event(client, event, %{name: "Opening night", status: "live", allow_unsigned: true})

    {:ok, _gate} = VoelgoedScan.put_gate(client, event, gate, %{name: "Main", status: "open"})
    codes = for _number <- 1..count, do: VoelgoedScan.new_ticket_code()

    {:ok, %{"inserted" => ^count}} =
      VoelgoedScan.import_tickets(client, event, Stream.map(codes, &%{code: &1}))

    %{event: event, gate: gate, codes: codes, device: device!(client, event, gate)}
  end

  @doc "The client of a device in a session at a gate."
  def device!(client, event, gate) do
    {:ok, %{"token" => token}} =
      VoelgoedScan.register_device(client, %{device_id: uuid(), name: "Gate", device_type: "scanner"})

    device = %{client | token: token}
    {:ok, _session} = post(device, "sessions", %{event_id: event, gate_id: gate})
    device
  end

  @doc "Scans a code, and again with the same id until there is an answer."
  def scan!(device, code, fields \\ %{}) do
    scan = Map.merge(%{ticket_code: code, scan_id: uuid()}, fields)
    {:ok, answer} = post(device, "scan", scan, repeatable: true)
    answer
  end

  def post(device, path, fields, options \\ []) do
    body = {"application/json", VoelgoedScan.JSON.encode!(fields)}
    HTTP.request(device, :post, "/api/v1/scanning/" <> path, body, options)
  end
end
