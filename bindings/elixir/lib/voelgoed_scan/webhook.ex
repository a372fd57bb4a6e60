defmodule VoelgoedScan.Webhook do
  @moduledoc """
  Verifies the webhooks of a scan server, which it signs by the Standard Webhooks specification.

  As a plug, in the endpoint and before `Plug.Parsers`, because the signature covers the body as it was sent:

      plug VoelgoedScan.Webhook,
        at: "/webhooks/scan",
        secret: {Application, :fetch_env!, [:my_app, :scan_webhook_secret]},
        handler: &MyApp.Gate.handle_webhook/1

  The handler gets a `VoelgoedScan.Webhook.Event`. `:ok` and `{:ok, _}` are answered with 204; with `{:error, _}` the answer is
  500, and the server delivers again later. Deliveries come at least once: keep the `id` of each event, which is the same in
  all its attempts, and do nothing for one that is known. Answer within 15 seconds, so put longer work into a job.

  Other requests pass through. A request that is not from the server is answered with 401, and the handler does not see it.

  Without Plug, `verify/4` does the same for a body and its headers.
  """

  @compile {:no_warn_undefined, Plug.Conn}

  alias VoelgoedScan.JSON

  @tolerance 300
  # The server sends 20 KiB at most.
  @max_body 65_536

  defmodule Event do
    @moduledoc "A verified webhook. `data` is the scan, conflict, session or signal, by `type`."

    @enforce_keys [:id, :type, :timestamp, :data]
    defstruct @enforce_keys

    @type t :: %__MODULE__{id: String.t(), type: String.t(), timestamp: String.t(), data: map()}
  end

  @typedoc "`whsec_` and base64. With several, a signature by any of them counts, for the time of a rotation."
  @type secrets :: String.t() | [String.t()]

  @typedoc "Why a request is not a webhook of the server."
  @type refusal ::
          :missing_header | :invalid_timestamp | :too_old | :too_new | :wrong_signature | :invalid_body

  @doc """
  Verifies a webhook by its body, exactly as it was received, and its headers, as pairs or as a map.

  Options: `:tolerance` in seconds (#{@tolerance}), by which the time of the signature may differ from now; `:now` in Unix
  seconds; `:json`, as in `VoelgoedScan.new/1`.
  """
  @spec verify(binary(), Enumerable.t(), secrets(), keyword()) :: {:ok, Event.t()} | {:error, refusal()}
  def verify(body, headers, secrets, options \\ []) do
    headers = Map.new(headers, fn {name, value} -> {String.downcase(name), value} end)

    with {:ok, id} <- header(headers, "webhook-id"),
         {:ok, timestamp} <- header(headers, "webhook-timestamp"),
         {:ok, signatures} <- header(headers, "webhook-signature"),
         :ok <- check_time(timestamp, options),
         :ok <- check_signature([id, ?., timestamp, ?., body], signatures, List.wrap(secrets)) do
      decode(id, body, options[:json] || JSON.default())
    end
  end

  defp header(headers, name) do
    case headers do
      %{^name => value} when value != "" -> {:ok, value}
      _missing -> {:error, :missing_header}
    end
  end

  defp check_time(timestamp, options) do
    tolerance = options[:tolerance] || @tolerance
    now = options[:now] || System.os_time(:second)

    case Integer.parse(timestamp) do
      {seconds, ""} when seconds < now - tolerance -> {:error, :too_old}
      {seconds, ""} when seconds > now + tolerance -> {:error, :too_new}
      {_seconds, ""} -> :ok
      _other -> {:error, :invalid_timestamp}
    end
  end

  defp check_signature(content, signatures, secrets) do
    given = for "v1," <> text <- String.split(signatures, " "), {:ok, mac} <- [Base.decode64(text)], do: mac
    right = Enum.map(secrets, &:crypto.mac(:hmac, :sha256, key(&1), content))

    if Enum.any?(for(mac <- given, expected <- right, do: equal?(mac, expected))) do
      :ok
    else
      {:error, :wrong_signature}
    end
  end

  # In constant time.
  defp equal?(mac, expected), do: byte_size(mac) == byte_size(expected) and :crypto.hash_equals(mac, expected)

  defp key("whsec_" <> text), do: key(text)

  defp key(text) do
    case Base.decode64(text) do
      {:ok, key} when byte_size(key) >= 24 -> key
      _other -> raise ArgumentError, "a webhook secret is whsec_ and base64 of at least 24 bytes"
    end
  end

  defp decode(id, body, json) do
    case json.decode!(body) do
      %{"type" => type, "timestamp" => timestamp, "data" => %{} = data} ->
        {:ok, %Event{id: id, type: type, timestamp: timestamp, data: data}}

      _other ->
        {:error, :invalid_body}
    end
  rescue
    _error -> {:error, :invalid_body}
  end

  @doc "Checks the options of the plug: `:at`, `:secret` and `:handler`, and those of `verify/4`."
  @spec init(keyword()) :: keyword()
  def init(options) do
    options = Keyword.validate!(options, [:at, :secret, :handler, :tolerance, :json])
    for required <- [:at, :secret, :handler], do: Keyword.fetch!(options, required)
    options
  end

  @doc "Answers a `POST` to the path `:at`; any other request passes."
  @spec call(conn, keyword()) :: conn when conn: struct()
  def call(%{method: "POST", request_path: path} = conn, options) do
    if path == options[:at], do: receive_webhook(conn, options), else: conn
  end

  def call(conn, _options), do: conn

  defp receive_webhook(conn, options) do
    case Plug.Conn.read_body(conn, length: @max_body) do
      {:ok, body, conn} -> conn |> Plug.Conn.send_resp(status(body, conn, options), "") |> Plug.Conn.halt()
      {:more, _part, conn} -> conn |> Plug.Conn.send_resp(413, "") |> Plug.Conn.halt()
      {:error, _reason} -> conn |> Plug.Conn.send_resp(400, "") |> Plug.Conn.halt()
    end
  end

  defp status(body, conn, options) do
    with {:ok, event} <- verify(body, conn.req_headers, secrets(options[:secret]), options),
         {:handled, true} <- {:handled, handled?(options[:handler].(event))} do
      204
    else
      {:error, :invalid_body} -> 400
      {:error, _refusal} -> 401
      {:handled, false} -> 500
    end
  end

  defp handled?(:ok), do: true
  defp handled?({:ok, _value}), do: true
  defp handled?({:error, _reason}), do: false

  # Read at each request, so that a new secret needs no restart.
  defp secrets({module, function, arguments}), do: apply(module, function, arguments)
  defp secrets(function) when is_function(function, 0), do: function.()
  defp secrets(secrets), do: secrets
end
