defmodule VoelgoedScan.Application do
  @moduledoc false
  # Starts a profile of `:httpc` of its own, so that the settings of the platform's own profile do not matter here, nor these
  # there.

  use Application

  alias VoelgoedScan.HTTP

  @impl true
  def start(_type, _arguments) do
    with :ok <- HTTP.start_profile() do
      Supervisor.start_link([], strategy: :one_for_one, name: VoelgoedScan.Supervisor)
    end
  end

  @impl true
  def stop(_state), do: HTTP.stop_profile()
end
