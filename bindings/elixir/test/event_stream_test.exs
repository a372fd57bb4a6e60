defmodule VoelgoedScan.Bridge.EventStreamTest do
  use ExUnit.Case, async: true

  alias VoelgoedScan.Bridge.EventStream

  @text ":\n\nid: 7-1\nevent: scan\ndata: {\"name\":\"é🎫\"}\n\n:\nid: 7-2\n\nevent: reset\ndata: {}\n\ndata:a\ndata: b\nretry: 5\n\nid: 8-1\nevent: occ"
  @events [
    %{id: "7-1", name: "scan", data: "{\"name\":\"é🎫\"}"},
    %{id: "7-2", name: "message", data: nil},
    %{id: nil, name: "reset", data: "{}"},
    %{id: nil, name: "message", data: "a\nb"}
  ]

  defp parse(pieces) do
    {events, _parser} =
      Enum.flat_map_reduce(pieces, %EventStream{}, fn piece, parser -> EventStream.parse(parser, piece) end)

    events
  end

  test "events are read, and one that is not complete is not" do
    assert parse([@text]) == @events
  end

  test "the text may come in any pieces and with any line ends" do
    for line_end <- ["\n", "\r\n", "\r"] do
      text = String.replace(@text, "\n", line_end)
      for size <- 1..byte_size(text), do: assert(parse(pieces(text, size)) == @events)
    end
  end

  defp pieces(text, size) when byte_size(text) <= size, do: [text]

  defp pieces(text, size) do
    <<piece::binary-size(size), rest::binary>> = text
    [piece | pieces(rest, size)]
  end

  test "a line without end is not kept for ever" do
    assert_raise RuntimeError, fn -> parse([String.duplicate("x", 5_000_000)]) end
  end
end
