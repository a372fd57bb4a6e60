defmodule VoelgoedScan.Bridge do
  @moduledoc """
  Brings the live scans of chosen events to the platform's topics.

  Start it under the platform's supervisor:

      children = [
        {Phoenix.PubSub, name: MyApp.PubSub},
        {VoelgoedScan.Bridge,
         client: client,
         events: [event_id],
         broadcast: fn topic, message -> Phoenix.PubSub.broadcast(MyApp.PubSub, topic, {:scanning, topic, message}) end}
      ]

  | topic | message |
  |---|---|
  | `org:{org}:event:{event}:scanning:scan:admitted` | the scan record of an admission |
  | `org:{org}:event:{event}:scanning:scan:denied` | the scan record of a denial |
  | `org:{org}:event:{event}:scanning:occupancy:updated` | the people inside: as `VoelgoedScan.occupancy/2` |
  | `org:{org}:event:{event}:scanning:fraud:alert` | a signal, when it opens and when it closes (`closed_at`) |
  | `org:{org}:scanning:device:offline`, `...:online` | the signal `device_silent`, when it opens and when it closes |

  Messages are maps with string keys, exactly as the server sends them. Exits and undone admissions have no topic of their own;
  `occupancy:updated` counts them. The API key needs the role `staff` or above for codes and signals.

  A broken connection, a restart of the server and a crash of a follower lose nothing and repeat nothing for five minutes: the
  stream resumes where it broke off. After a longer interruption the server has forgotten the place: then `:on_reset` is called
  with the id of the event, and what was missed is in `VoelgoedScan.stream_scans/2`. A scan is told once as admitted or denied;
  one that was denied and later counts as admitted is told again.

  A message that `broadcast` does not take (an exception, or an answer `{:error, _}`) is offered again until it does, and those
  behind it wait. Each event is followed by a process of its own.

  Options:

    * `:client` (required) - from `VoelgoedScan.new/1`
    * `:broadcast` (required) - a function of a topic and a message
    * `:events` - ids of events to follow from the start; `follow/2` adds others
    * `:name` (`VoelgoedScan.Bridge`) - an atom
    * `:on_reset` - a function of an event's id; by default a warning is logged
    * `:load_position`, `:save_position` - functions of an event's id, and of it and a text: where to keep the place in the
      stream over restarts of the platform itself. Without them a bridge starts with the present.
    * `:max_backoff` (30,000 ms) - the longest wait between attempts to connect
    * `:idle_timeout` (45,000 ms) - a connection on which nothing comes for so long is given up; the server sends something every 15 s
  """

  use Supervisor

  alias VoelgoedScan.Bridge.{Follower, Memory}

  @options [
    :client,
    :broadcast,
    :on_reset,
    :load_position,
    :save_position,
    name: __MODULE__,
    events: [],
    max_backoff: 30_000,
    idle_timeout: 45_000
  ]

  @doc false
  def child_spec(options) do
    name = Keyword.get(options, :name, __MODULE__)
    %{id: name, start: {__MODULE__, :start_link, [options]}, type: :supervisor}
  end

  @doc "Starts a bridge; see the options above."
  @spec start_link(keyword()) :: Supervisor.on_start()
  def start_link(options) do
    options = Keyword.validate!(options, @options)
    for required <- [:client, :broadcast], do: Keyword.fetch!(options, required)
    Supervisor.start_link(__MODULE__, options, name: options[:name])
  end

  @impl true
  def init(options) do
    memory = Memory.new(options[:name])
    Memory.put(memory, :options, options)
    followers = options[:events] |> Enum.uniq() |> Enum.map(&follower(&1, memory, options))
    # A follower handles all that the network does. One that crashes all the same is started again.
    Supervisor.init(followers, strategy: :one_for_one, max_restarts: 10, max_seconds: 60)
  end

  defp follower(event, memory, options) do
    Supervisor.child_spec({Follower, {event, memory, options}}, id: event)
  end

  @doc """
  Follows a further event, until the bridge itself is started anew. Nothing changes where it is followed already.
  """
  @spec follow(atom(), VoelgoedScan.id()) :: :ok
  def follow(bridge \\ __MODULE__, event) do
    case Supervisor.start_child(bridge, follower(event, bridge, Memory.get(bridge, :options))) do
      {:ok, _pid} -> :ok
      {:error, {:already_started, _pid}} -> :ok
    end
  end

  @doc "Follows an event no longer, and forgets its place in the stream."
  @spec unfollow(atom(), VoelgoedScan.id()) :: :ok
  def unfollow(bridge \\ __MODULE__, event) do
    with :ok <- Supervisor.terminate_child(bridge, event), do: Supervisor.delete_child(bridge, event)
    Memory.forget_event(bridge, event)
  end

  @doc "The events that are followed."
  @spec followed(atom()) :: [VoelgoedScan.id()]
  def followed(bridge \\ __MODULE__) do
    for {event, _pid, _type, _modules} <- Supervisor.which_children(bridge), do: event
  end
end
