defmodule VoelgoedScan.Bridge.Connection do
  @moduledoc false
  # One request for an event stream on a connection of its own, as messages to the process that opens it.
  #
  # `:httpc` is no use here: it hands out what arrives together with the head of a response only once more arrives, and the
  # next event of a quiet stream may be fifteen seconds away. The socket closes with the process that opened it.

  alias VoelgoedScan.{Client, HTTP, TransportError}

  @max_head 65_536
  @max_problem 65_536

  @enforce_keys [:client, :transport, :socket]
  defstruct @enforce_keys ++ [phase: :head, rest: "", status: nil, headers: %{}, problem: ""]

  @typedoc "`phase` is what comes next: the head, the size or the rest of a chunk, a body without chunks, or nothing."
  @type t :: %__MODULE__{
          client: Client.t(),
          transport: :gen_tcp | :ssl,
          socket: term(),
          phase: :head | :size | {:chunk, non_neg_integer()} | :plain | :done,
          rest: binary(),
          status: pos_integer() | nil,
          headers: %{String.t() => String.t()},
          problem: binary()
        }

  @spec open(Client.t(), String.t(), [{String.t(), String.t()}]) :: {:ok, t()} | {:error, TransportError.t()}
  def open(%Client{} = client, path, headers) do
    uri = URI.parse(client.server)

    with {:ok, transport, socket} <- connect(uri, client),
         :ok <- transport.send(socket, request(uri, path, HTTP.headers(client) ++ headers)) do
      {:ok, %__MODULE__{client: client, transport: transport, socket: socket}}
    else
      {:error, reason} -> {:error, %TransportError{reason: reason}}
    end
  end

  defp connect(uri, client) do
    with {:error, {:failed_connect, reason}} <- connect(uri, client, :inet),
         {:error, {:failed_connect, other}} <- connect(uri, client, :inet6) do
      # A name that has no address of a family says nothing of why the server cannot be reached.
      {:error, {:failed_connect, if(reason == :nxdomain, do: other, else: reason)}}
    end
  end

  defp connect(uri, client, family) do
    host = to_charlist(uri.host)

    options = [
      family,
      :binary,
      active: false,
      nodelay: true,
      keepalive: true,
      send_timeout: client.connect_timeout
    ]

    {transport, options} =
      if uri.scheme == "https", do: {:ssl, options ++ client.ssl}, else: {:gen_tcp, options}

    case transport.connect(host, uri.port, options, client.connect_timeout) do
      {:ok, socket} -> {:ok, transport, socket}
      {:error, reason} -> {:error, {:failed_connect, reason}}
    end
  end

  defp request(uri, path, headers) do
    host = if uri.port == URI.default_port(uri.scheme), do: host(uri), else: "#{host(uri)}:#{uri.port}"

    lines =
      for {name, value} <- [{"host", host}, {"accept", "text/event-stream"} | headers],
          do: "#{name}: #{value}\r\n"

    ["GET ", uri.path || "", path, " HTTP/1.1\r\n", lines, "\r\n"]
  end

  # An IPv6 address is in brackets.
  defp host(%URI{host: host}), do: if(String.contains?(host, ":"), do: "[#{host}]", else: host)

  @doc "Asks for the next message."
  @spec next(t()) :: :ok | {:error, term()}
  def next(%__MODULE__{transport: :ssl, socket: socket}), do: :ssl.setopts(socket, active: :once)
  def next(%__MODULE__{socket: socket}), do: :inet.setopts(socket, active: :once)

  @spec close(t()) :: :ok
  def close(%__MODULE__{transport: transport, socket: socket}) do
    _ = transport.close(socket)
    :ok
  end

  @doc "What a message brings: more text of the stream, or the end of it. `:other` for a message of something else."
  @spec handle(t(), term()) :: {:text, binary(), t()} | {:error, HTTP.error()} | :other
  def handle(%{socket: socket} = connection, {tag, socket, bytes}) when tag in [:tcp, :ssl] do
    read(%{connection | rest: connection.rest <> bytes}, [])
  end

  def handle(%{socket: socket} = connection, {tag, socket}) when tag in [:tcp_closed, :ssl_closed],
    do: ended(connection)

  def handle(%{socket: socket}, {tag, socket, reason}) when tag in [:tcp_error, :ssl_error] do
    {:error, %TransportError{reason: reason}}
  end

  def handle(_connection, _message), do: :other

  defp read(%{phase: :head, rest: rest} = connection, []) do
    case String.split(rest, "\r\n\r\n", parts: 2) do
      [head, rest] -> head(head, %{connection | rest: rest})
      [long] when byte_size(long) > @max_head -> {:error, %TransportError{reason: :not_http}}
      [_incomplete] -> {:text, "", connection}
    end
  end

  defp read(%{phase: :plain, rest: rest} = connection, text),
    do: text(%{connection | rest: ""}, [rest | text])

  defp read(%{phase: {:chunk, left}, rest: rest} = connection, text) when byte_size(rest) < left + 2 do
    # What is there of a chunk is handed out.
    size = min(left, byte_size(rest))
    <<part::binary-size(size), rest::binary>> = rest
    text(%{connection | phase: {:chunk, left - size}, rest: rest}, [part | text])
  end

  defp read(%{phase: {:chunk, left}, rest: rest} = connection, text) do
    case rest do
      <<part::binary-size(left), "\r\n", rest::binary>> ->
        read(%{connection | phase: :size, rest: rest}, [part | text])

      _other ->
        {:error, %TransportError{reason: :not_http}}
    end
  end

  defp read(%{phase: :size, rest: rest} = connection, text) do
    with [line, rest] <- String.split(rest, "\r\n", parts: 2),
         {size, _extensions} <- Integer.parse(line, 16) do
      phase = if size == 0, do: :done, else: {:chunk, size}
      read(%{connection | phase: phase, rest: rest}, text)
    else
      [short] when byte_size(short) < 1_024 -> text(connection, text)
      _other -> {:error, %TransportError{reason: :not_http}}
    end
  end

  defp read(%{phase: :done} = connection, text), do: text(connection, text)

  defp text(%{status: 200, phase: :done}, []), do: {:error, %TransportError{reason: :closed}}

  defp text(%{status: 200} = connection, text),
    do: {:text, text |> Enum.reverse() |> IO.iodata_to_binary(), connection}

  # The document of a problem, which is complete at its length or at the end of the connection.
  defp text(connection, text) do
    problem = IO.iodata_to_binary([connection.problem | Enum.reverse(text)])
    connection = %{connection | problem: problem}

    if connection.phase == :done or byte_size(problem) >= problem_length(connection) do
      ended(connection)
    else
      {:text, "", connection}
    end
  end

  defp problem_length(connection) do
    case Integer.parse(Map.get(connection.headers, "content-length", "")) do
      {length, ""} -> min(length, @max_problem)
      _none -> @max_problem
    end
  end

  defp ended(%{status: status} = connection) when is_integer(status) and status != 200 do
    {:error, HTTP.problem(connection.client, status, connection.headers, connection.problem)}
  end

  defp ended(_connection), do: {:error, %TransportError{reason: :closed}}

  defp head(text, connection) do
    [first | lines] = String.split(text, "\r\n")

    headers =
      for line <- lines, [name, value] <- [String.split(line, ":", parts: 2)], into: %{} do
        {String.downcase(name), String.trim(value)}
      end

    with <<"HTTP/1.", _, " ", code::binary-size(3), _::binary>> <- first,
         {status, ""} <- Integer.parse(code) do
      phase = if headers["transfer-encoding"] == "chunked", do: :size, else: :plain
      body(%{connection | status: status, headers: headers, phase: phase})
    else
      _other -> {:error, %TransportError{reason: :not_http}}
    end
  end

  defp body(%{status: status, rest: rest} = connection) when status in 100..199 do
    read(%{connection | phase: :head, rest: rest}, [])
  end

  defp body(%{status: 200, headers: headers} = connection) do
    case headers do
      %{"content-type" => "text/event-stream" <> _} -> read(connection, [])
      _other -> {:error, %TransportError{reason: :not_an_event_stream}}
    end
  end

  defp body(connection), do: read(connection, [])
end
