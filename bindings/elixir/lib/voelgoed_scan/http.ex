defmodule VoelgoedScan.HTTP do
  @moduledoc false
  # Requests to the scan server through OTP's `:httpc`.
  #
  # Certificates and host names are verified. A call that may be repeated (`repeatable: true`) is repeated with growing
  # waiting times where there is no answer, or where the answer asks for it (429, 502, 503, 504). Any other call is repeated
  # only where it has certainly not reached the server, or was refused by a rate limit.

  alias VoelgoedScan.{Backoff, Client, Problem, TransportError}

  @profile :voelgoed_scan
  # An answer that asks for a longer wait is the caller's to handle.
  @longest_retry_after 60_000

  @type method :: :get | :put | :post | :patch | :delete
  @type body :: nil | {content_type :: String.t(), iodata()}
  @type error :: Problem.t() | TransportError.t()

  @spec start_profile() :: :ok | {:error, term()}
  def start_profile do
    case :inets.start(:httpc, profile: @profile) do
      {:ok, _pid} -> configure()
      {:error, {:already_started, _pid}} -> configure()
      {:error, reason} -> {:error, reason}
    end
  end

  defp configure do
    # Connections are reused only while idle: no request waits behind another one. IPv4 is tried where IPv6 fails.
    :httpc.set_options([max_sessions: 20, max_keep_alive_length: 0, ipfamily: :inet6fb4], @profile)
  end

  @spec stop_profile() :: term()
  def stop_profile, do: :inets.stop(:httpc, @profile)

  @doc "The body of the answer to a request, decoded; `nil` where it is empty."
  @spec request(Client.t(), method(), String.t(), body(), keyword()) :: {:ok, term()} | {:error, error()}
  def request(%Client{} = client, method, path, body \\ nil, options \\ []) do
    attempt(client, {method, path, body}, Keyword.get(options, :repeatable, method != :post), 0)
  end

  defp attempt(client, {method, path, body} = request, repeatable, failures) do
    with {:error, error} = failure <- send_once(client, method, path, body) do
      if failures < client.retries and repeat?(error, repeatable) do
        Process.sleep(wait(error, failures + 1, client.max_backoff))
        attempt(client, request, repeatable, failures + 1)
      else
        failure
      end
    end
  end

  defp repeat?(%Problem{retry_after: wait}, _repeatable)
       when is_integer(wait) and wait > @longest_retry_after,
       do: false

  defp repeat?(%Problem{status: 429}, _repeatable), do: true
  defp repeat?(%Problem{status: status}, repeatable) when status in [502, 503, 504], do: repeatable

  defp repeat?(%TransportError{reason: {:failed_connect, details}}, _repeatable),
    do: not refused_by_tls?(details)

  defp repeat?(%TransportError{}, repeatable), do: repeatable
  defp repeat?(%Problem{}, _repeatable), do: false

  # A certificate that is not valid now is not valid a second later.
  defp refused_by_tls?(details) do
    Enum.any?(details, fn
      {_family, _options, {:tls_alert, _alert}} -> true
      _detail -> false
    end)
  end

  defp wait(%Problem{retry_after: wait}, failures, max) when is_integer(wait) do
    max(wait, Backoff.delay(failures, max))
  end

  defp wait(_error, failures, max), do: Backoff.delay(failures, max)

  defp send_once(client, method, path, body) do
    options = [timeout: client.timeout] ++ http_options(client)

    case :httpc.request(method, to_httpc(client, path, body), options, [body_format: :binary], @profile) do
      {:ok, {{_version, status, _reason}, headers, body}} -> answer(client, status, received(headers), body)
      {:error, reason} -> {:error, %TransportError{reason: reason}}
    end
  end

  @doc "The problem of an answer whose status is not 200."
  @spec problem(Client.t(), pos_integer(), map(), binary()) :: error()
  def problem(client, status, headers, body) do
    case answer(client, status, headers, body) do
      {:error, error} -> error
      {:ok, _unexpected} -> %TransportError{reason: {:unexpected_status, status}}
    end
  end

  defp http_options(client) do
    [autoredirect: false, connect_timeout: client.connect_timeout] ++
      if(client.ssl == [], do: [], else: [ssl: client.ssl])
  end

  defp to_httpc(client, path, body) do
    headers = for {name, value} <- headers(client), do: {to_charlist(name), to_charlist(value)}
    url = to_charlist(client.server <> path)

    case body do
      nil -> {url, headers}
      {content_type, content} -> {url, headers, to_charlist(content_type), IO.iodata_to_binary(content)}
    end
  end

  @doc "The headers of every request."
  @spec headers(Client.t()) :: [{String.t(), String.t()}]
  def headers(client) do
    version = Application.spec(:voelgoed_scan, :vsn)
    [{"authorization", "Bearer " <> client.token}, {"user-agent", "voelgoed-scan-elixir/#{version}"}]
  end

  defp received(headers) do
    Map.new(headers, fn {name, value} -> {name |> to_string() |> String.downcase(), to_string(value)} end)
  end

  defp answer(_client, status, _headers, "") when status in 200..299, do: {:ok, nil}

  defp answer(client, status, headers, body) when status in 200..299 do
    if json?(headers), do: decode(client, body), else: {:ok, body}
  end

  defp answer(client, status, headers, body) do
    # A proxy answers with a page of its own.
    document =
      with {:ok, document} <- if(json?(headers), do: decode(client, body), else: {:ok, nil}), do: document

    {:error, Problem.from_response(status, headers, document, retry_after(headers))}
  end

  defp json?(headers), do: headers |> Map.get("content-type", "") |> String.contains?("json")

  defp decode(client, body) do
    {:ok, client.json.decode!(body)}
  rescue
    error -> {:error, %TransportError{reason: {:invalid_json, Exception.message(error)}}}
  end

  defp retry_after(headers) do
    case Integer.parse(Map.get(headers, "retry-after", "")) do
      {seconds, ""} when seconds >= 0 -> seconds * 1_000
      _other -> nil
    end
  end
end
