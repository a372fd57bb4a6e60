defmodule VoelgoedScan.Client do
  @moduledoc """
  How to reach a scan server: made by `VoelgoedScan.new/1`, taken by all calls.

  It is a plain value: keep it where you like and use it from any process. `inspect/1` does not show its token.
  """

  alias VoelgoedScan.JSON

  @derive {Inspect, except: [:token]}
  @enforce_keys [:server, :token, :json, :ssl, :connect_timeout, :timeout, :retries, :max_backoff]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          server: String.t(),
          token: String.t(),
          json: module(),
          ssl: keyword(),
          connect_timeout: timeout(),
          timeout: timeout(),
          retries: non_neg_integer(),
          max_backoff: pos_integer()
        }

  @options [:server, :token, :json, :cacertfile, :connect_timeout, :timeout, :retries, :max_backoff]

  @doc false
  @spec new(keyword()) :: t()
  def new(options) do
    options = Keyword.validate!(options, @options)
    server = options |> Keyword.fetch!(:server) |> server()

    %__MODULE__{
      server: server,
      token: options |> Keyword.fetch!(:token) |> token(),
      json: options[:json] || JSON.default(),
      ssl: if(String.starts_with?(server, "https:"), do: verification(options[:cacertfile]), else: []),
      connect_timeout: options[:connect_timeout] || 5_000,
      timeout: options[:timeout] || 60_000,
      retries: options[:retries] || 4,
      max_backoff: options[:max_backoff] || 10_000
    }
  end

  defp server(text) do
    case URI.new(text) do
      {:ok, %URI{scheme: scheme, host: host, userinfo: nil, query: nil, fragment: nil}}
      when scheme in ["http", "https"] and is_binary(host) and host != "" ->
        String.trim_trailing(text, "/")

      _other ->
        raise ArgumentError, "server must be a URL such as https://scan.example.org, without credentials"
    end
  end

  # A line break in a header would be another header.
  defp token(text) do
    if is_binary(text) and text =~ ~r/\A[!-~]+\z/ do
      text
    else
      raise ArgumentError, "token must be an API key of the scan server"
    end
  end

  defp verification(cacertfile) do
    trusted = if cacertfile, do: [cacertfile: cacertfile], else: [cacerts: :public_key.cacerts_get()]
    [verify: :verify_peer, depth: 5, customize_hostname_check: [match_fun: &same_host?/2]] ++ trusted
  end

  # `:httpc` names an address as if it were a host name.
  defp same_host?({:dns_id, host}, {:iPAddress, address}) do
    case :inet.parse_strict_address(host) do
      {:ok, parsed} -> octets(parsed) == :binary.list_to_bin(address)
      {:error, _not_an_address} -> false
    end
  end

  defp same_host?(reference, presented) do
    :public_key.pkix_verify_hostname_match_fun(:https).(reference, presented)
  end

  defp octets({a, b, c, d}), do: <<a, b, c, d>>
  defp octets(ipv6), do: for(part <- Tuple.to_list(ipv6), into: <<>>, do: <<part::16>>)
end
