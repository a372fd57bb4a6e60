defmodule VoelgoedScan.Bridge.Follower do
  @moduledoc false
  # Follows the stream of one event, and tells what it brings in the order in which it comes.
  #
  # The id of an event counts as reached once it is told. The next part of the stream is asked for once all of the last part is
  # told, so a slow broadcast slows the stream down and nothing piles up here.

  use GenServer, shutdown: 5_000

  require Logger

  alias VoelgoedScan.{Backoff, HTTP, Problem, TransportError}
  alias VoelgoedScan.Bridge.{EventStream, Memory, Topics}

  defstruct [
    :event,
    :memory,
    :options,
    :client,
    :organization,
    :request,
    :handler,
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
    # `terminate/2` closes the connection.
    Process.flag(:trap_exit, true)
    # This process does its own waiting.
    client = %{options[:client] | retries: 0}
    state = %__MODULE__{event: event, memory: memory, options: options, client: client}
    {:ok, state, {:continue, :connect}}
  end

  @impl true
  def handle_continue(:connect, state), do: {:noreply, connect(state)}

  @impl true
  def handle_info(:connect, state), do: {:noreply, connect(state)}

  def handle_info({:http, {request, :stream_start, headers, handler}}, %{request: request} = state) do
    if event_stream?(headers) do
      HTTP.stream_next(handler)
      {:noreply, watch(%{state | handler: handler})}
    else
      {:noreply, reconnect(state, %TransportError{reason: :not_an_event_stream})}
    end
  end

  def handle_info({:http, {request, :stream, text}}, %{request: request} = state) do
    {events, parser} = EventStream.parse(state.parser, text)
    if state.logged, do: Logger.info("event #{state.event} is followed again")
    {:noreply, tell(%{state | parser: parser, waiting: events, failures: 0, logged: nil})}
  end

  def handle_info({:http, {request, :stream_end, _headers}}, %{request: request} = state) do
    {:noreply, reconnect(state, %TransportError{reason: :closed})}
  end

  def handle_info({:http, {request, {:error, reason}}}, %{request: request} = state) do
    {:noreply, reconnect(state, %TransportError{reason: reason})}
  end

  def handle_info({:http, {request, response}}, %{request: request} = state) do
    {:noreply, reconnect(state, HTTP.problem(state.client, response))}
  end

  # Of a connection that was given up.
  def handle_info({:http, _message}, state), do: {:noreply, state}

  def handle_info({:tell_again, request}, %{request: request} = state), do: {:noreply, tell(state)}
  def handle_info({:tell_again, _former}, state), do: {:noreply, state}

  def handle_info({:idle, request}, %{request: request, waiting: []} = state) do
    {:noreply, reconnect(state, %TransportError{reason: :idle})}
  end

  def handle_info({:idle, _request}, state), do: {:noreply, state}
  def handle_info({:EXIT, _pid, _reason}, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, state), do: disconnect(state)

  defp connect(state) do
    with {:ok, organization} <- organization(state),
         {:ok, request} <- HTTP.open_stream(state.client, path(state), resume(state)) do
      watch(%{state | organization: organization, request: request})
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

  defp event_stream?(headers) do
    Enum.any?(headers, fn {name, value} ->
      to_string(name) == "content-type" and String.starts_with?(to_string(value), "text/event-stream")
    end)
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
    if state.request, do: HTTP.close_stream(state.request)
    if state.idle, do: Process.cancel_timer(state.idle)
    %{state | request: nil, handler: nil, idle: nil, parser: %EventStream{}, waiting: [], refusals: 0}
  end

  defp watch(state) do
    if state.idle, do: Process.cancel_timer(state.idle)
    %{state | idle: Process.send_after(self(), {:idle, state.request}, state.options[:idle_timeout])}
  end

  defp tell(%{waiting: []} = state) do
    HTTP.stream_next(state.handler)
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
        Process.send_after(self(), {:tell_again, state.request}, wait)
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
