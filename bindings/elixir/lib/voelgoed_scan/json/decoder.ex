defmodule VoelgoedScan.JSON.Decoder do
  @moduledoc false
  # A recursive descent over the text. Each function returns a value and the text behind it, or throws the text at which the
  # fault shows, from which `decode/1` finds the position.

  @max_depth 512
  # Conversion of a text to an integer takes quadratic time.
  @max_digits 1_000

  @whitespace [?\s, ?\t, ?\n, ?\r]

  @spec decode(binary()) :: {:ok, term()} | {:error, non_neg_integer(), String.t()}
  def decode(text) do
    {value, rest} = value(skip(text), 0)

    case skip(rest) do
      "" -> {:ok, value}
      rest -> {:error, byte_size(text) - byte_size(rest), "unexpected text after the value"}
    end
  catch
    {:invalid, rest, reason} -> {:error, byte_size(text) - byte_size(rest), reason}
  end

  @spec invalid(binary(), String.t()) :: no_return()
  defp invalid(rest, reason), do: throw({:invalid, rest, reason})

  defp skip(<<byte, rest::binary>>) when byte in @whitespace, do: skip(rest)
  defp skip(rest), do: rest

  defp value(rest, depth) when depth > @max_depth, do: invalid(rest, "values are nested too deeply")
  defp value("null" <> rest, _depth), do: {nil, rest}
  defp value("true" <> rest, _depth), do: {true, rest}
  defp value("false" <> rest, _depth), do: {false, rest}
  defp value(<<?", rest::binary>>, _depth), do: string(rest)
  defp value(<<?{, rest::binary>>, depth), do: object(skip(rest), depth)
  defp value(<<?[, rest::binary>>, depth), do: array(skip(rest), depth)
  defp value(<<byte, _::binary>> = rest, _depth) when byte == ?- or byte in ?0..?9, do: number(rest)
  defp value("", _depth), do: invalid("", "unexpected end of the text")
  defp value(rest, _depth), do: invalid(rest, "unexpected character")

  defp array(<<?], rest::binary>>, _depth), do: {[], rest}
  defp array(rest, depth), do: elements(rest, depth, [])

  defp elements(rest, depth, before) do
    {value, rest} = value(rest, depth + 1)

    case skip(rest) do
      <<?,, rest::binary>> -> elements(skip(rest), depth, [value | before])
      <<?], rest::binary>> -> {Enum.reverse(before, [value]), rest}
      rest -> invalid(rest, "expected , or ]")
    end
  end

  defp object(<<?}, rest::binary>>, _depth), do: {%{}, rest}
  defp object(rest, depth), do: members(rest, depth, [])

  defp members(<<?", rest::binary>>, depth, before) do
    {name, rest} = string(rest)

    {value, rest} =
      case skip(rest) do
        <<?:, rest::binary>> -> value(skip(rest), depth + 1)
        rest -> invalid(rest, "expected :")
      end

    members = [{name, value} | before]

    case skip(rest) do
      <<?,, rest::binary>> -> members(skip(rest), depth, members)
      <<?}, rest::binary>> -> {members |> Enum.reverse() |> Map.new(), rest}
      rest -> invalid(rest, "expected , or }")
    end
  end

  defp members(rest, _depth, _before), do: invalid(rest, "expected a name")

  # The parts of a string are slices of the text, and one binary at the end.
  defp string(rest), do: string(rest, rest, 0, [])

  defp string(start, <<?", rest::binary>>, length, parts) do
    {finish(parts, binary_part(start, 0, length)), rest}
  end

  defp string(start, <<?\\, rest::binary>>, length, parts) do
    {text, rest} = escape(rest)
    string(rest, rest, 0, [text, binary_part(start, 0, length) | parts])
  end

  defp string(_start, <<byte, _::binary>> = rest, _length, _parts) when byte < 0x20 do
    invalid(rest, "a control character in a string")
  end

  defp string(start, <<byte, rest::binary>>, length, parts) when byte < 0x80 do
    string(start, rest, length + 1, parts)
  end

  defp string(start, <<character::utf8, rest::binary>>, length, parts) do
    string(start, rest, length + byte_size(<<character::utf8>>), parts)
  end

  defp string(_start, "", _length, _parts), do: invalid("", "a string without end")
  defp string(_start, rest, _length, _parts), do: invalid(rest, "a byte that is not UTF-8")

  # A copy, so that a short string does not keep the whole text in memory.
  defp finish([], last), do: :binary.copy(last)
  defp finish(parts, last), do: IO.iodata_to_binary(Enum.reverse(parts, [last]))

  defp escape(<<?", rest::binary>>), do: {"\"", rest}
  defp escape(<<?\\, rest::binary>>), do: {"\\", rest}
  defp escape(<<?/, rest::binary>>), do: {"/", rest}
  defp escape(<<?b, rest::binary>>), do: {"\b", rest}
  defp escape(<<?f, rest::binary>>), do: {"\f", rest}
  defp escape(<<?n, rest::binary>>), do: {"\n", rest}
  defp escape(<<?r, rest::binary>>), do: {"\r", rest}
  defp escape(<<?t, rest::binary>>), do: {"\t", rest}

  defp escape(<<?u, rest::binary>> = all) do
    case code_unit(rest) do
      {high, <<?\\, ?u, low::binary>>} when high in 0xD800..0xDBFF -> surrogates(high, low, all)
      {unit, _rest} when unit in 0xD800..0xDFFF -> invalid(all, "a lone surrogate")
      {unit, rest} -> {<<unit::utf8>>, rest}
    end
  end

  defp escape(rest), do: invalid(rest, "an unknown escape")

  defp surrogates(high, rest, all) do
    case code_unit(rest) do
      {low, rest} when low in 0xDC00..0xDFFF ->
        {<<0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00)::utf8>>, rest}

      _other ->
        invalid(all, "a lone surrogate")
    end
  end

  defp code_unit(<<digits::binary-size(4), rest::binary>> = all) do
    case Base.decode16(digits, case: :mixed) do
      {:ok, <<unit::16>>} -> {unit, rest}
      :error -> invalid(all, "expected four hexadecimal digits")
    end
  end

  defp code_unit(all), do: invalid(all, "expected four hexadecimal digits")

  defp number(all) do
    {whole, rest} = whole_part(all)
    {fraction, rest} = fraction(rest)
    {exponent, rest} = exponent(rest)

    if byte_size(all) - byte_size(rest) > @max_digits, do: invalid(all, "a number with too many digits")

    case {fraction, exponent} do
      {"", ""} -> {String.to_integer(whole), rest}
      {"", exponent} -> {float(whole <> ".0" <> exponent, all), rest}
      {fraction, exponent} -> {float(whole <> fraction <> exponent, all), rest}
    end
  end

  defp float(text, all) do
    String.to_float(text)
  rescue
    ArgumentError -> invalid(all, "a number that is too large")
  end

  defp whole_part(<<?-, rest::binary>>) do
    {digits, rest} = without_sign(rest)
    {"-" <> digits, rest}
  end

  defp whole_part(rest), do: without_sign(rest)

  defp without_sign(<<?0, rest::binary>>), do: {"0", rest}
  defp without_sign(rest), do: digits(rest)

  defp fraction(<<?., rest::binary>>) do
    {digits, rest} = digits(rest)
    {"." <> digits, rest}
  end

  defp fraction(rest), do: {"", rest}

  defp exponent(<<e, sign, rest::binary>>) when e in [?e, ?E] and sign in [?+, ?-] do
    {digits, rest} = digits(rest)
    {<<?e, sign, digits::binary>>, rest}
  end

  defp exponent(<<e, rest::binary>>) when e in [?e, ?E] do
    {digits, rest} = digits(rest)
    {"e" <> digits, rest}
  end

  defp exponent(rest), do: {"", rest}

  defp digits(rest) do
    case count_digits(rest, 0) do
      0 ->
        invalid(rest, "expected a digit")

      count ->
        <<digits::binary-size(count), rest::binary>> = rest
        {digits, rest}
    end
  end

  defp count_digits(<<digit, rest::binary>>, count) when digit in ?0..?9, do: count_digits(rest, count + 1)
  defp count_digits(_rest, count), do: count
end
