defmodule VoelgoedScan.Bridge.Memory do
  @moduledoc false
  # What a bridge has told of each event: the id after which its stream resumes, and the latest scans and signals. The table
  # belongs to the bridge's supervisor, so it survives a crash of the process that follows an event.

  @max_told 20_000

  @type t :: atom()
  @typedoc "What was told, with the id of the scan or signal."
  @type told :: {:admitted | :denied | :opened | :closed, String.t()}

  @spec new(atom()) :: t()
  def new(name), do: :ets.new(name, [:named_table, :public])

  @spec put(t(), term(), term()) :: true
  def put(memory, key, value), do: :ets.insert(memory, {key, value})

  @spec get(t(), term()) :: term()
  def get(memory, key) do
    case :ets.lookup(memory, key) do
      [{^key, value}] -> value
      [] -> nil
    end
  end

  @spec told?(t(), String.t(), told()) :: boolean()
  def told?(memory, event, told), do: :ets.member(memory, {:told, event, told})

  @doc "Remembers what was told, and forgets the oldest of the event beyond #{@max_told}."
  @spec remember(t(), String.t(), told()) :: :ok
  def remember(memory, event, told) do
    count = :ets.update_counter(memory, {:count, event}, 1, {{:count, event}, 0})
    slot = {:slot, event, rem(count, @max_told)}

    if forgotten = get(memory, slot), do: :ets.delete(memory, {:told, event, forgotten})
    :ets.insert(memory, [{slot, told}, {{:told, event, told}, true}])
    :ok
  end

  @spec forget_event(t(), String.t()) :: :ok
  def forget_event(memory, event) do
    :ets.match_delete(memory, {{:told, event, :_}, :_})
    :ets.match_delete(memory, {{:slot, event, :_}, :_})
    for key <- [{:count, event}, {:last_id, event}], do: :ets.delete(memory, key)
    :ok
  end
end
