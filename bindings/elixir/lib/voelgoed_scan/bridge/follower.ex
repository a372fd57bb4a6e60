defmodule VoelgoedScan.Bridge.Follower do
  @moduledoc false
  # Follows the stream of one event, and tells what it brings in the order in which it comes.
  #
  # The id of an event counts as reached once it is told. The next part of the stream is asked for once all of the last part is
  # told, so a slow broadcast slows the stream down and nothing piles up here.

  use GenServer

  require Logger

  alias VoelgoedScan.{Backoff, Problem, TransportError}
  alias VoelgoedScan.Bridge.{Connection, EventStream, Memory, Topics}

  defstruct [
    :event,
    :memory,
    :options,
    :client,
    :organization,
    :connection,
    :idle,
    :logged,
    parser: %EventStream{},
    waiting: [],
    failures: 0,
    refusals: 0
  ]

  @spec start_link({String.t(), Memory.t(), keyword()}) :: GenServer.on_start()
  def start_link(arguments), do: GenServer.start_link(__MODULE__, arguments)

  @impl true
  def init({event, memory, options}) do
    # This process does its own waiting.
    client = %{options[:client] | retries: 0}
    state = %__MODULE__{event: event, memory: memory, options: options, client: client}
    {:ok, state, {:continue, :connect}}
  end

  @impl true
  def handle_continue(:connect, state), do: {:noreply, connect(state)}

  @impl true
  def handle_info(:connect, state), do: {:noreply, connect(state)}

  def handle_info({:tell_again, connection}, %{connection: %{socket: connection}} = state),
    do: {:noreply, tell(state)}

  def handle_info({:tell_again, _former}, state), do: {:noreply, state}

  def handle_info({:idle, connection}, %{connection: %{socket: connection}, waiting: []} = state) do
    {:noreply, reconnect(state, %TransportError{reason: :idle})}
  end

  def handle_info({:idle, _former}, state), do: {:noreply, state}

  def handle_info(message, %{connection: %Connection{}} = state) do
    case Connection.handle(state.connection, message) do
      {:text, text, connection} -> {:noreply, read(text, %{state | connection: connection})}
      {:error, error} -> {:noreply, reconnect(state, error)}
      # Of a connection that was given up.
      :other -> {:noreply, state}
    end
  end

  def handle_info(_message, state), do: {:noreply, state}

  # The head of the response.
  defp read("", state), do: tell(state)

  defp read(text, state) do
    {events, parser} = EventStream.parse(state.parser, text)
    if state.logged, do: Logger.info("event #{state.event} is followed again")
    tell(%{state | parser: parser, waiting: events, failures: 0, logged: nil})
  end

  defp connect(state) do
    with {:ok, organization} <- organization(state),
         {:ok, connection} <- Connection.open(state.client, path(state), resume(state)) do
      tell(%{state | organization: organization, connection: connection})
    else
      {:error, error} -> reconnect(state, error)
    end
  end

  defp organization(%{organization: nil} = state) do
    with {:ok, event} <- VoelgoedScan.get_event(state.client, state.event) do
      {:ok, event["organization_id"]}
    end
  end

  defp organization(state), do: {:ok, state.organization}

  defp path(state) do
    "/api/v1/scanning/events/#{URI.encode(state.event, &URI.char_unreserved?/1)}/stream"
  end

  defp resume(state) do
    load = state.options[:load_position] || fn _event -> nil end

    case Memory.get(state.memory, {:last_id, state.event}) || load.(state.event) do
      nil -> []
      id -> [{"last-event-id", id}]
    end
  end

  # What was read and not told comes again, since the stream resumes behind what was told.
  defp reconnect(state, error) do
    failures = state.failures + 1
    wait = max(Backoff.delay(failures, state.options[:max_backoff]), asked_wait(error, state))
    Process.send_after(self(), :connect, wait)
    %{state | failures: failures} |> log(error) |> disconnect()
  end

  # With a wrong key, or without the event, nothing gets better by itself.
  defp asked_wait(%Problem{status: status}, state) when status in 400..428, do: state.options[:max_backoff]
  defp asked_wait(%Problem{retry_after: wait}, _state), do: wait || 0
  defp asked_wait(%TransportError{}, _state), do: 0

  # The end of a connection is not worth a line: servers restart, and proxies close connections. What keeps it from being
  # opened again is.
  defp log(state, %TransportError{reason: reason}) when reason in [:closed, :socket_closed_remotely],
    do: state

  defp log(state, error) do
    message = Exception.message(error)
    if message != state.logged, do: Logger.warning("event #{state.event} cannot be followed now: #{message}")
    %{state | logged: message}
  end

  defp disconnect(state) do
    if state.connection, do: Connection.close(state.connection)
    if state.idle, do: Process.cancel_timer(state.idle)
    %{state | connection: nil, idle: nil, parser: %EventStream{}, waiting: [], refusals: 0}
  end

  defp watch(state) do
    if state.idle, do: Process.cancel_timer(state.idle)

    %{
      state
      | idle: Process.send_after(self(), {:idle, state.connection.socket}, state.options[:idle_timeout])
    }
  end

  defp tell(%{waiting: []} = state) do
    _ = Connection.next(state.connection)
    watch(state)
  end

  defp tell(%{waiting: [event | rest]} = state) do
    case handle(event, state) do
      :ok ->
        reached(event, state)
        tell(%{state | waiting: rest, refusals: 0})

      {:error, reason} ->
        if state.refusals == 0, do: Logger.error("broadcast of event #{state.event} failed: #{reason}")
        wait = Backoff.delay(state.refusals + 1, state.options[:max_backoff])
        Process.send_after(self(), {:tell_again, state.connection.socket}, wait)
        %{state | refusals: state.refusals + 1}
    end
  end

  defp reached(%{id: nil}, _state), do: :ok

  defp reached(%{id: id}, state) do
    Memory.put(state.memory, {:last_id, state.event}, id)
    if save = state.options[:save_position], do: save.(state.event, id)
    :ok
  end

  defp handle(%{data: nil}, _state), do: :ok

  defp handle(%{name: "scan", data: data}, state) do
    scan = decode(state, data)

    case Topics.scan(scan) do
      nil -> :ok
      {decision, topic} -> tell_scan(decision, topic, scan, state)
    end
  end

  defp handle(%{name: "occupancy", data: data}, state) do
    broadcast(state, Topics.occupancy(state.organization, state.event), decode(state, data))
  end

  defp handle(%{name: "signal", data: data}, state) do
    signal = decode(state, data)
    told = {if(signal["closed_at"], do: :closed, else: :opened), signal["id"]}
    topic = Topics.signal(signal, state.organization, state.event)
    if topic, do: once(told, topic, signal, state), else: :ok
  end

  defp handle(%{name: "reset"}, state) do
    case state.options[:on_reset] do
      nil ->
        Logger.warning("event #{state.event}: the connection was interrupted for too long; scans were missed")
        :ok

      on_reset ->
        offer(fn -> on_reset.(state.event) end)
    end
  end

  # A later version of the server may send other events.
  defp handle(_event, _state), do: :ok

  # A scan comes again when an upload of others changes its decision. One that people were told of as admitted is not told as
  # denied: the conflict about it is.
  defp tell_scan(:denied, topic, %{"scan_id" => id} = scan, state) do
    if Memory.told?(state.memory, state.event, {:admitted, id}) do
      :ok
    else
      once({:denied, id}, topic, scan, state)
    end
  end

  defp tell_scan(:admitted, topic, %{"scan_id" => id} = scan, state) do
    once({:admitted, id}, topic, scan, state)
  end

  defp once(told, topic, message, state) do
    if Memory.told?(state.memory, state.event, told) do
      :ok
    else
      with :ok <- broadcast(state, topic, message), do: Memory.remember(state.memory, state.event, told)
    end
  end

  defp broadcast(state, topic, message), do: offer(fn -> state.options[:broadcast].(topic, message) end)

  defp offer(function) do
    case function.() do
      {:error, reason} -> {:error, inspect(reason)}
      _taken -> :ok
    end
  rescue
    error -> {:error, Exception.message(error)}
  catch
    kind, reason -> {:error, inspect({kind, reason})}
  end

  defp decode(state, data), do: state.client.json.decode!(data)
end
