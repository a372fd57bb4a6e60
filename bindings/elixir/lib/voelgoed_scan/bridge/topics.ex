defmodule VoelgoedScan.Bridge.Topics do
  @moduledoc false
  # Which topic of the platform an event of the stream belongs to.

  @doc """
  The topic of a scan record. `nil` for an exit and for the undo of an admission, which have none.
  """
  @spec scan(map()) :: {:admitted | :denied, String.t()} | nil
  def scan(%{"undone" => %{}}), do: nil
  def scan(%{"result" => "valid", "direction" => "exit"}), do: nil
  def scan(%{"result" => "valid"} = scan), do: {:admitted, of_event(scan, "scan:admitted")}
  def scan(scan), do: {:denied, of_event(scan, "scan:denied")}

  defp of_event(%{"organization_id" => organization, "event_id" => event}, topic) do
    event(organization, event, topic)
  end

  @spec occupancy(String.t(), String.t()) :: String.t()
  def occupancy(organization, event), do: event(organization, event, "occupancy:updated")

  @doc """
  The topic of a signal. `nil` for `occupancy_90` and `occupancy_100`: the occupancy itself has a topic.
  """
  @spec signal(map(), String.t(), String.t()) :: String.t() | nil
  def signal(%{"kind" => "occupancy_" <> _share}, _organization, _event), do: nil

  def signal(%{"kind" => "device_silent"} = signal, organization, _event) do
    state = if signal["closed_at"], do: "online", else: "offline"
    "org:#{organization}:scanning:device:#{state}"
  end

  def signal(_signal, organization, event), do: event(organization, event, "fraud:alert")

  defp event(organization, event, topic), do: "org:#{organization}:event:#{event}:scanning:#{topic}"
end
