defmodule VoelgoedScan.Bridge.EventStream do
  @moduledoc false
  # The parser of Server-Sent Events (WHATWG HTML, "Interpreting an event stream"). It takes the text in any pieces.

  @max_event 4_194_304

  defstruct rest: "", id: nil, name: nil, data: []

  @type t :: %__MODULE__{}
  @typedoc "`data` is nil where a block has only an id, which counts nevertheless."
  @type event :: %{id: String.t() | nil, name: String.t(), data: String.t() | nil}

  @spec parse(t(), binary()) :: {[event()], t()}
  def parse(parser, text), do: lines(%{parser | rest: ""}, parser.rest <> text, [])

  defp lines(parser, text, events) do
    case :binary.match(text, ["\r\n", "\n", "\r"]) do
      # The next piece may begin with the \n of this line end.
      {at, 1} when at == byte_size(text) - 1 and binary_part(text, at, 1) == "\r" ->
        {Enum.reverse(events), %{parser | rest: text}}

      {at, length} ->
        <<line::binary-size(at), _end::binary-size(length), rest::binary>> = text

        case line(parser, line) do
          {nil, parser} -> lines(parser, rest, events)
          {event, parser} -> lines(parser, rest, [event | events])
        end

      :nomatch when byte_size(text) > @max_event ->
        raise "an event of the stream is too long"

      :nomatch ->
        {Enum.reverse(events), %{parser | rest: text}}
    end
  end

  defp line(%{id: nil, name: nil, data: []}, ""), do: {nil, %__MODULE__{}}

  defp line(%{data: data} = parser, "") do
    data = if data != [], do: data |> Enum.reverse() |> Enum.join("\n")
    {%{id: parser.id, name: parser.name || "message", data: data}, %__MODULE__{}}
  end

  defp line(parser, ":" <> _comment), do: {nil, parser}

  defp line(parser, line) do
    {field, value} =
      case String.split(line, ":", parts: 2) do
        [field, " " <> value] -> {field, value}
        [field, value] -> {field, value}
        [field] -> {field, ""}
      end

    {nil, field(parser, field, value)}
  end

  defp field(parser, "id", value), do: %{parser | id: value}
  defp field(parser, "event", value), do: %{parser | name: value}
  defp field(parser, "data", value), do: %{parser | data: [value | parser.data]}
  defp field(parser, _other, _value), do: parser
end
