defmodule VoelgoedScan.JSONTest do
  use ExUnit.Case, async: true

  alias VoelgoedScan.JSON

  defp invalid(text) do
    assert_raise(JSON.DecodeError, fn -> JSON.decode!(text) end).position
  end

  test "values of every kind are decoded, with white space around them" do
    text = ~s( \t\r\n{"a" : [ null , true,false , {} , [] ] , "b":{"c":"d"}}\n)
    assert JSON.decode!(text) == %{"a" => [nil, true, false, %{}, []], "b" => %{"c" => "d"}}
    assert JSON.decode!("7") == 7
    assert JSON.decode!(~s("text")) == "text"
  end

  test "of a repeated name the last value counts" do
    assert JSON.decode!(~s({"a":1,"a":2})) == %{"a" => 2}
  end

  test "integers are exact and numbers with a fraction or an exponent are floats" do
    assert JSON.decode!("[0,-0,9007199254740993,123456789012345678901234567890]") ==
             [0, 0, 9_007_199_254_740_993, 123_456_789_012_345_678_901_234_567_890]

    assert JSON.decode!("[1.5,-0.25,1e2,1E+2,25e-1,1.7976931348623157e308]") ==
             [1.5, -0.25, 100.0, 100.0, 2.5, 1.7976931348623157e308]

    assert JSON.decode!(String.duplicate("9", 1_000)) == Integer.pow(10, 1_000) - 1
  end

  test "numbers that are not JSON or that nothing can hold are refused" do
    for text <- ~w(01 -01 +1 -- --1 .5 1. 1.e2 1e 1e+ 0x10 NaN Infinity -Infinity 1_000 1e400 -1e400),
        do: invalid(text)

    invalid(String.duplicate("9", 1_001))
    invalid("1e" <> String.duplicate("9", 1_001))
  end

  test "escapes and surrogate pairs are decoded" do
    assert JSON.decode!(~S("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83c\udfab")) == "\"\\/\b\f\n\r\tAé€🎫"
    assert JSON.decode!(~s("é€🎫\u007f")) == "é€🎫\d"
    assert JSON.decode!(~S("\u0000")) == <<0>>
    assert JSON.decode!(~S({"\u0061":1})) == %{"a" => 1}
  end

  test "lone surrogates, unknown escapes, control characters and bytes that are not UTF-8 are refused" do
    for text <- [
          ~S("\ud83c"),
          ~S("\ud83cx"),
          ~S("\ud83c\u0041"),
          ~S("\udfab"),
          ~S("\udfab\ud83c"),
          ~S("\ud83c\ud83c")
        ],
        do: invalid(text)

    for text <- [~S("\x"), ~S("\u12"), ~S("\u12g4"), ~S("\U0041"), "\"\n\"", "\"\0\"", "\"\\"],
        do: invalid(text)

    # A lone byte, an overlong form, a surrogate as UTF-8, a code point too high, a sequence cut off.
    for bytes <- [<<0xFF>>, <<0xC0, 0xAF>>, <<0xED, 0xA0, 0x80>>, <<0xF5, 0x80, 0x80, 0x80>>, <<0xE2, 0x82>>],
        do: invalid("\"" <> bytes <> "\"")
  end

  test "what is not one complete value is refused where that shows" do
    for text <- [
          "",
          " ",
          "{",
          "[",
          "[1",
          "[1,",
          "[1,]",
          "{\"a\"",
          "{\"a\":",
          "{\"a\":1,}",
          "{a:1}",
          "{1:2}",
          "'a'",
          "nul",
          "tru"
        ] do
      invalid(text)
    end

    assert invalid("[1] 2") == 4
    assert invalid("[1 2]") == 3
    assert invalid("{\"a\" 1}") == 5
    assert invalid("[1, x]") == 4
    # A byte-order mark is not JSON.
    assert invalid(<<0xFEFF::utf8, "1">>) == 0
  end

  test "512 levels are decoded and a deeper text is refused" do
    nested = fn depth -> String.duplicate("[", depth) <> String.duplicate("]", depth) end
    assert [[_ | _]] = JSON.decode!(nested.(512))
    invalid(nested.(514))
    invalid(String.duplicate("[", 1_000_000))
    invalid(String.duplicate("{\"a\":", 1_000_000))
  end

  test "a decoded value survives encoding" do
    value = %{
      "text" => "\"\\/\b\f\n\r\t\0\x1f\d é€🎫",
      "numbers" => [0, -1, 1.5, -2.5e-300, 1.0e22, 123_456_789_012_345_678_901_234_567_890],
      "others" => [nil, true, false, %{}, [], [[1]], %{"" => ""}]
    }

    assert value |> JSON.encode!() |> JSON.decode!() == value
  end

  test "atoms, integer keys, dates and times are encoded" do
    assert JSON.encode!(%{name: :open}) == ~s({"name":"open"})
    assert JSON.encode!(%{7 => [nil, true]}) == ~s({"7":[null,true]})

    assert JSON.encode!([~U[2026-11-29 18:00:00.000Z], ~D[2026-11-29]]) ==
             ~s(["2026-11-29T18:00:00.000Z","2026-11-29"])

    assert JSON.encode!("a\"b\\c\n\x01é") == ~S("a\"b\\c\n\u0001é")
  end

  test "what JSON cannot hold is refused" do
    for value <- [
          {1, 2},
          self(),
          make_ref(),
          <<0xFF>>,
          %{{1} => 2},
          %{nil => 1},
          URI.parse("a"),
          [1 | 2],
          fn -> 1 end
        ] do
      assert_raise ArgumentError, fn -> JSON.encode!(value) end
    end
  end

  test "the runtime's own JSON is the default where there is one" do
    assert JSON.default() == if(Version.match?(System.version(), ">= 1.18.0"), do: :"Elixir.JSON", else: JSON)
  end
end
