defmodule VoelgoedScan.LogForwarder do
  @moduledoc "A handler of `:logger` that sends what is logged about an event to a test: `{:log, level, text}`."

  def log(%{level: level, msg: {:string, text}}, %{config: {test, event}}) do
    text = IO.iodata_to_binary(text)
    if text =~ event, do: send(test, {:log, level, text})
  end

  def log(_event, _config), do: :ok
end
