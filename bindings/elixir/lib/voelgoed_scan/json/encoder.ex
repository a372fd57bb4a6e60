defmodule VoelgoedScan.JSON.Encoder do
  @moduledoc false

  @spec encode(term()) :: iodata()
  def encode(nil), do: "null"
  def encode(true), do: "true"
  def encode(false), do: "false"
  def encode(value) when is_atom(value), do: string(Atom.to_string(value))
  def encode(value) when is_binary(value), do: string(value)
  def encode(value) when is_integer(value), do: Integer.to_string(value)
  def encode(value) when is_float(value), do: Float.to_string(value)
  def encode([]), do: "[]"

  def encode([first | rest]), do: [?[, encode(first), elements(rest), ?]]

  def encode(%module{} = value) when module in [Date, DateTime, NaiveDateTime, Time] do
    [?", module.to_iso8601(value), ?"]
  end

  def encode(%module{}), do: raise(ArgumentError, "JSON cannot hold a struct #{inspect(module)}")

  def encode(value) when is_map(value) do
    [?{, value |> Enum.map(&member/1) |> Enum.intersperse(?,), ?}]
  end

  def encode(value), do: raise(ArgumentError, "JSON cannot hold #{inspect(value)}")

  defp elements([value | rest]), do: [?,, encode(value) | elements(rest)]
  defp elements([]), do: []
  defp elements(_tail), do: raise(ArgumentError, "JSON cannot hold an improper list")

  defp member({key, value}), do: [string(key(key)), ?:, encode(value)]

  defp key(key) when is_binary(key), do: key
  defp key(key) when is_atom(key) and not is_nil(key), do: Atom.to_string(key)
  defp key(key) when is_integer(key), do: Integer.to_string(key)
  defp key(key), do: raise(ArgumentError, "JSON cannot hold the key #{inspect(key)}")

  defp string(text) do
    unless String.valid?(text), do: raise(ArgumentError, "JSON cannot hold a string that is not UTF-8")
    [?", for(<<byte <- text>>, into: "", do: escape(byte)), ?"]
  end

  # Bytes of UTF-8 sequences are above 127 and stay as they are.
  defp escape(?"), do: ~S(\")
  defp escape(?\\), do: ~S(\\)
  defp escape(?\n), do: ~S(\n)
  defp escape(?\r), do: ~S(\r)
  defp escape(?\t), do: ~S(\t)
  defp escape(byte) when byte < 0x20, do: "\\u00" <> Base.encode16(<<byte>>, case: :lower)
  defp escape(byte), do: <<byte>>
end
