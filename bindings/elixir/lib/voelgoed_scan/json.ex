defmodule VoelgoedScan.JSON do
  @moduledoc """
  JSON as in RFC 8259, for platforms whose runtime has no `JSON` and that give no other module.

  Objects are maps with string keys; of a repeated name the last value counts. `null` is `nil`. Integers are exact, whatever
  their size up to 1,000 digits; a number that no float holds is an error, as are invalid UTF-8, lone surrogates and
  values nested deeper than 512 levels.
  """

  alias VoelgoedScan.JSON.{Decoder, Encoder}

  @typedoc "A decoded value."
  @type value :: nil | boolean() | number() | String.t() | [value()] | %{optional(String.t()) => value()}

  defmodule DecodeError do
    @moduledoc "The text is not JSON. `position` is the byte, from 0, at which that shows."

    defexception [:position, :reason]

    @type t :: %__MODULE__{position: non_neg_integer(), reason: String.t()}

    @impl true
    def message(%__MODULE__{position: position, reason: reason}), do: "#{reason} at byte #{position}"
  end

  @doc "Decodes a text. Raises `VoelgoedScan.JSON.DecodeError` where it is not JSON."
  @spec decode!(binary()) :: value()
  def decode!(text) when is_binary(text) do
    case Decoder.decode(text) do
      {:ok, value} -> value
      {:error, position, reason} -> raise DecodeError, position: position, reason: reason
    end
  end

  @doc """
  Encodes a value. Keys of maps are strings, atoms or integers; dates and times become their ISO 8601 text.

  Raises `ArgumentError` for what JSON cannot hold, such as a tuple or a string that is not UTF-8.
  """
  @spec encode!(term()) :: String.t()
  def encode!(value), do: value |> Encoder.encode() |> IO.iodata_to_binary()

  @doc """
  The JSON module to use where none is given: the runtime's own `JSON` (Elixir 1.18 or later), else this one.
  """
  @spec default() :: module()
  def default do
    if Code.ensure_loaded?(JSON) and function_exported?(JSON, :decode!, 1), do: JSON, else: __MODULE__
  end
end
