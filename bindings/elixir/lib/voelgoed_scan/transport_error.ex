defmodule VoelgoedScan.TransportError do
  @moduledoc """
  There is no answer of the server: it cannot be reached, its certificate is not valid, or the connection broke.

  `reason` is what OTP said. Whether the server did what was asked is unknown, unless `reason` is `{:failed_connect, _}`.
  """

  defexception [:reason]

  @type t :: %__MODULE__{reason: term()}

  @impl true
  def message(%__MODULE__{reason: reason}), do: "no answer from the scan server: #{inspect(reason)}"
end
