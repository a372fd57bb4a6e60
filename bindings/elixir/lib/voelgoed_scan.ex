defmodule VoelgoedScan do
  @moduledoc """
  The calls that a ticketing platform makes to a voelgoed-scan server.

      client = VoelgoedScan.new(server: "https://scan.example.org", token: System.fetch_env!("SCAN_API_KEY"))
      {:ok, event} = VoelgoedScan.put_event(client, event_id, %{name: "Opening night", status: "live"})

  Each call returns `{:ok, answer}`, where the answer is what the server sent as maps with string keys, or `{:error, error}`:
  a `VoelgoedScan.Problem` says why the server refused, a `VoelgoedScan.TransportError` that there is no answer. A `stream_...`
  reads a list page by page while it is consumed, and raises these errors.

  Calls that may be repeated are: reading, replacing, deleting, importing tickets, and a new token for a device. They are
  repeated with growing waiting times while the server cannot be reached, is overloaded or has no database (`:retries`). A
  registration is not repeated once it may have arrived.

  See `VoelgoedScan.Bridge` for live scans on the platform's topics, and `VoelgoedScan.Webhook` for webhooks.
  """

  alias VoelgoedScan.{Client, HTTP, TicketImport}

  @typedoc "An id: a UUID as text."
  @type id :: String.t()
  @typedoc "An answer of the server, or a part of one."
  @type object :: %{String.t() => term()}
  @typedoc "Fields of a request, with atoms or strings as keys."
  @type fields :: map()
  @typedoc "Filters of a list, and its `:limit` and `:cursor`."
  @type filters :: keyword() | map()
  @type error :: HTTP.error()
  @type answer :: {:ok, object()} | {:error, error()}

  @doc """
  Describes a server.

  Options:

    * `:server` (required) - its URL, `https` unless it runs on the same machine
    * `:token` (required) - an API key, `vgk_...`
    * `:json` - a module with `decode!/1` and `encode!/1`, such as `Jason`; by default the runtime's `JSON`, and
      `VoelgoedScan.JSON` where there is none
    * `:cacertfile` - the certificates to trust, in PEM format; by default those of the operating system. All clients of one
      server need the same, because they share connections.
    * `:connect_timeout` (5,000 ms), `:timeout` (60,000 ms) - of one attempt
    * `:retries` (4) - how often a call that may be repeated is repeated
    * `:max_backoff` (10,000 ms) - the longest wait between attempts, unless the server asks for a longer one
  """
  @spec new(keyword()) :: Client.t()
  defdelegate new(options), to: Client

  # Events

  @doc "Lists events, a page at a time: `%{\"data\" => events, \"next_cursor\" => cursor}`."
  @spec list_events(Client.t(), filters()) :: answer()
  def list_events(client, filters \\ []), do: get(client, "/events", filters)

  @doc "All events."
  @spec stream_events(Client.t(), filters()) :: Enumerable.t()
  def stream_events(client, filters \\ []), do: stream(client, "/events", filters)

  @doc "An event."
  @spec get_event(Client.t(), id()) :: answer()
  def get_event(client, event), do: get(client, "/events/#{segment(event)}")

  @doc "Creates or replaces an event. `name` and `status` are required; an absent field takes its default."
  @spec put_event(Client.t(), id(), fields()) :: answer()
  def put_event(client, event, fields), do: send_json(client, :put, "/events/#{segment(event)}", fields)

  # Gates

  @doc "Lists the gates of an event, a page at a time."
  @spec list_gates(Client.t(), id(), filters()) :: answer()
  def list_gates(client, event, filters \\ []), do: get(client, "/events/#{segment(event)}/gates", filters)

  @doc "All gates of an event."
  @spec stream_gates(Client.t(), id(), filters()) :: Enumerable.t()
  def stream_gates(client, event, filters \\ []),
    do: stream(client, "/events/#{segment(event)}/gates", filters)

  @doc "A gate of an event."
  @spec get_gate(Client.t(), id(), id()) :: answer()
  def get_gate(client, event, gate), do: get(client, "/events/#{segment(event)}/gates/#{segment(gate)}")

  @doc "Creates or replaces a gate of an event. `name` and `status` (`open`, `closed`) are required."
  @spec put_gate(Client.t(), id(), id(), fields()) :: answer()
  def put_gate(client, event, gate, fields) do
    send_json(client, :put, "/events/#{segment(event)}/gates/#{segment(gate)}", fields)
  end

  # Tickets

  @doc """
  Imports tickets from any enumerable of maps, such as a stream of database rows, and never holds more than one chunk of it.

  The tickets travel as NDJSON, in requests of at most 1,000 lines and 1 MiB. Each request may be repeated, so an import goes
  on after an interruption of the network. A ticket without `code` and without `media` gets a code from
  `new_ticket_code/0`, because a repeated request would create it twice otherwise.

  Returns the counts `inserted`, `updated`, `unchanged` and `rejected`, and the first 1,000 `errors`. Their `line` is the number
  of the ticket in the enumerable, from 1. After an error, all tickets before the chunk that failed are imported; the whole
  import may be repeated.
  """
  @spec import_tickets(Client.t(), id(), Enumerable.t()) :: answer()
  def import_tickets(client, event, tickets) do
    TicketImport.run(client, "/api/v1/events/#{segment(event)}/tickets", tickets)
  end

  @doc "A new random ticket code: 16 characters of base62 from 95 random bits."
  @spec new_ticket_code() :: String.t()
  defdelegate new_ticket_code, to: TicketImport

  @doc "Lists the tickets of an event, a page at a time: all, or those that `:q` finds; filter `:status`."
  @spec list_tickets(Client.t(), id(), filters()) :: answer()
  def list_tickets(client, event, filters \\ []),
    do: get(client, "/events/#{segment(event)}/tickets", filters)

  @doc "All tickets of an event, or those that `:q` finds."
  @spec stream_tickets(Client.t(), id(), filters()) :: Enumerable.t()
  def stream_tickets(client, event, filters \\ []) do
    stream(client, "/events/#{segment(event)}/tickets", filters)
  end

  @doc "A ticket by its code, or by the whole payload of its QR code."
  @spec get_ticket(Client.t(), id(), String.t()) :: answer()
  def get_ticket(client, event, code), do: get(client, "/events/#{segment(event)}/tickets/#{segment(code)}")

  @doc "Sets the status of a ticket: `\"voided\"`, `\"refunded\"`, `\"used\"` or `\"active\"`."
  @spec set_ticket_status(Client.t(), id(), String.t(), String.t()) :: answer()
  def set_ticket_status(client, event, code, status) do
    path = "/events/#{segment(event)}/tickets/#{segment(code)}"
    send_json(client, :patch, path, %{"status" => status})
  end

  @doc """
  The QR code of a ticket. Options: `:as` is `:text` (default), `:svg` or `:png`; `:format` is `:vg1` (default) or `:vg2`.
  """
  @spec ticket_qr(Client.t(), id(), String.t(), keyword()) :: {:ok, binary()} | {:error, error()}
  def ticket_qr(client, event, code, options \\ []) do
    get(client, "/events/#{segment(event)}/tickets/#{segment(code)}/qr", options)
  end

  # Devices

  @doc "Lists devices, a page at a time. Filters: `:device_id`, `:status`."
  @spec list_devices(Client.t(), filters()) :: answer()
  def list_devices(client, filters \\ []), do: get(client, "/scanning/devices", filters)

  @doc "All devices."
  @spec stream_devices(Client.t(), filters()) :: Enumerable.t()
  def stream_devices(client, filters \\ []), do: stream(client, "/scanning/devices", filters)

  @doc "A device."
  @spec get_device(Client.t(), id()) :: answer()
  def get_device(client, device), do: get(client, "/scanning/devices/#{segment(device)}")

  @doc "Registers a device. The answer holds its `token`, which is shown only this once."
  @spec register_device(Client.t(), fields()) :: answer()
  def register_device(client, fields), do: send_json(client, :post, "/scanning/devices", fields)

  @doc "Changes a device; absent fields stay."
  @spec update_device(Client.t(), id(), fields()) :: answer()
  def update_device(client, device, fields) do
    send_json(client, :patch, "/scanning/devices/#{segment(device)}", fields)
  end

  @doc "Gives a device a new token. The old one dies."
  @spec rotate_device_token(Client.t(), id()) :: answer()
  def rotate_device_token(client, device) do
    HTTP.request(client, :post, api("/scanning/devices/#{segment(device)}/token"), {"application/json", ""},
      repeatable: true
    )
  end

  @doc "Makes a one-time code by which a phone becomes this device; `uri` is to be shown as a QR code."
  @spec enroll_device(Client.t(), id()) :: answer()
  def enroll_device(client, device) do
    HTTP.request(
      client,
      :post,
      api("/scanning/devices/#{segment(device)}/enrollment"),
      {"application/json", ""},
      repeatable: true
    )
  end

  @doc "Revokes a device for good. Its session ends, and no node takes its scans a second later."
  @spec revoke_device(Client.t(), id()) :: :ok | {:error, error()}
  def revoke_device(client, device) do
    with {:ok, nil} <- HTTP.request(client, :delete, api("/scanning/devices/#{segment(device)}")), do: :ok
  end

  # What happens at the gates

  @doc "The people inside an event and its gates, and its counts by result."
  @spec occupancy(Client.t(), id()) :: answer()
  def occupancy(client, event), do: get(client, "/scanning/events/#{segment(event)}/occupancy")

  @doc """
  Lists scans, newest first, a page at a time. Filters: `:event_id`, `:gate_id`, `:device_id`, `:session_id`, `:ticket_code`,
  `:result`, `:from`, `:to`.
  """
  @spec list_scans(Client.t(), filters()) :: answer()
  def list_scans(client, filters \\ []), do: get(client, "/scanning/scans", filters)

  @doc "All scans that fit the filters of `list_scans/2`, newest first."
  @spec stream_scans(Client.t(), filters()) :: Enumerable.t()
  def stream_scans(client, filters \\ []), do: stream(client, "/scanning/scans", filters)

  @doc "Undoes an admission that a person made by mistake. May be repeated."
  @spec undo_scan(Client.t(), id(), String.t()) :: answer()
  def undo_scan(client, scan, reason) do
    body = {"application/json", client.json.encode!(%{"reason" => reason})}
    HTTP.request(client, :post, api("/scanning/scans/#{segment(scan)}/undo"), body, repeatable: true)
  end

  defp get(client, path, filters \\ []), do: HTTP.request(client, :get, api(path) <> query(filters))

  defp send_json(client, method, path, fields) do
    HTTP.request(client, method, api(path), {"application/json", client.json.encode!(fields)})
  end

  defp stream(client, path, filters) do
    first = filters |> Map.new(fn {name, value} -> {to_string(name), value} end) |> Map.put_new("limit", 500)

    Stream.unfold(first, fn
      nil ->
        nil

      filters ->
        case get(client, path, filters) do
          {:ok, %{"data" => data, "next_cursor" => nil}} -> {data, nil}
          {:ok, %{"data" => data, "next_cursor" => cursor}} -> {data, Map.put(filters, "cursor", cursor)}
          {:error, error} -> raise error
        end
    end)
    |> Stream.flat_map(& &1)
  end

  defp api(path), do: "/api/v1" <> path

  defp query(filters) do
    case Enum.reject(filters, fn {_name, value} -> is_nil(value) end) do
      [] -> ""
      filters -> "?" <> URI.encode_query(filters)
    end
  end

  # "." and ".." would name another path.
  defp segment(text) when text in ["", ".", ".."], do: raise(ArgumentError, "not an id: #{inspect(text)}")
  defp segment(text), do: URI.encode(text, &URI.char_unreserved?/1)
end
