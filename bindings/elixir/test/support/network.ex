defmodule VoelgoedScan.Network do
  @moduledoc """
  A network between a client and a server that tests interrupt: a TCP proxy, whose connections can be cut.
  """

  use GenServer

  def start!(url) do
    [host, port] = url |> String.replace_prefix("http://", "") |> String.split(":")

    network =
      ExUnit.Callbacks.start_supervised!({__MODULE__, {host, String.to_integer(port)}}, id: make_ref())

    {network, GenServer.call(network, :url)}
  end

  @doc """
  Limits each connection from now on to so many bytes from the server, by which it is cut in the middle of what it carries;
  `:infinity` for no limit.
  """
  def limit(network, bytes), do: GenServer.call(network, {:limit, bytes})

  @doc "Cuts all connections. Those that follow are served."
  def cut(network), do: GenServer.call(network, :cut)

  @doc "Answers the next requests for a stream with these responses, one each, and ends each connection after it."
  def answer_streams(network, responses), do: GenServer.call(network, {:answer_streams, responses})

  @doc "The number of connections so far."
  def connections(network), do: GenServer.call(network, :connections)

  def start_link(server), do: GenServer.start_link(__MODULE__, server)

  @impl true
  def init(server) do
    {:ok, listener} = :gen_tcp.listen(0, [:binary, active: false, ip: {127, 0, 0, 1}, reuseaddr: true])
    {:ok, port} = :inet.port(listener)
    network = self()
    spawn_link(fn -> accept(listener, network) end)

    {:ok,
     %{server: server, url: "http://127.0.0.1:#{port}", limit: :infinity, answers: [], open: [], count: 0}}
  end

  defp accept(listener, network) do
    {:ok, client} = :gen_tcp.accept(listener)
    :ok = :gen_tcp.controlling_process(client, network)
    send(network, {:accepted, client})
    accept(listener, network)
  end

  @impl true
  def handle_call(:url, _from, state), do: {:reply, state.url, state}
  def handle_call({:limit, bytes}, _from, state), do: {:reply, :ok, %{state | limit: bytes}}

  def handle_call({:answer_streams, responses}, _from, state),
    do: {:reply, :ok, %{state | answers: responses}}

  def handle_call(:next_answer, _from, state) do
    {answer, rest} = List.pop_at(state.answers, 0)
    {:reply, answer, %{state | answers: rest}}
  end

  def handle_call(:connections, _from, state), do: {:reply, state.count, state}

  def handle_call(:cut, _from, state) do
    for pid <- state.open, do: Process.exit(pid, :kill)
    {:reply, :ok, %{state | open: []}}
  end

  @impl true
  def handle_info({:accepted, client}, %{server: {host, port}, limit: limit} = state) do
    network = self()

    forwarder =
      spawn(fn ->
        receive do
          :go -> serve(client, {to_charlist(host), port}, limit, network)
        end
      end)

    :ok = :gen_tcp.controlling_process(client, forwarder)
    send(forwarder, :go)
    {:noreply, %{state | open: [forwarder | state.open], count: state.count + 1}}
  end

  defp serve(client, {host, port}, limit, network) do
    with {:ok, request} <- :gen_tcp.recv(client, 0),
         nil <- if(request =~ ~r"\AGET \S+/stream ", do: GenServer.call(network, :next_answer)),
         {:ok, server} <- :gen_tcp.connect(host, port, [:binary, active: true]) do
      :gen_tcp.send(server, request)
      :inet.setopts(client, active: true)
      forward(client, server, limit)
    else
      response when is_binary(response) -> :gen_tcp.send(client, response)
      {:error, _closed} -> :ok
    end
  end

  # The sockets close with the process that owns them.
  defp forward(client, server, left) do
    receive do
      {:tcp, ^client, bytes} ->
        :gen_tcp.send(server, bytes)
        forward(client, server, left)

      {:tcp, ^server, bytes} when left == :infinity or byte_size(bytes) <= left ->
        :gen_tcp.send(client, bytes)
        forward(client, server, if(left == :infinity, do: left, else: left - byte_size(bytes)))

      {:tcp, ^server, bytes} ->
        :gen_tcp.send(client, binary_part(bytes, 0, left))

      {:tcp_closed, _socket} ->
        :ok
    end
  end
end
