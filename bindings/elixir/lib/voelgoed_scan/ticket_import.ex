defmodule VoelgoedScan.TicketImport do
  @moduledoc false
  # The import of tickets, in requests that may each be repeated.

  alias VoelgoedScan.{Client, HTTP}

  @max_lines 1_000
  @max_bytes 1_048_576
  @max_errors 1_000
  @counts ["inserted", "updated", "unchanged", "rejected"]
  @alphabet "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

  @spec run(Client.t(), String.t(), Enumerable.t()) :: {:ok, map()} | {:error, HTTP.error()}
  def run(client, path, tickets) do
    nothing = @counts |> Map.new(&{&1, 0}) |> Map.put("errors", [])

    tickets
    |> Stream.map(&line(client, &1))
    |> chunks()
    |> Enum.reduce_while({:ok, nothing, 0}, fn {lines, count}, {:ok, total, before} ->
      case HTTP.request(client, :post, path, {"application/x-ndjson", lines}, repeatable: true) do
        {:ok, answer} -> {:cont, {:ok, add(total, answer, before), before + count}}
        {:error, error} -> {:halt, {:error, error}}
      end
    end)
    |> case do
      {:ok, total, _count} -> {:ok, total}
      {:error, error} -> {:error, error}
    end
  end

  @spec new_ticket_code() :: String.t()
  def new_ticket_code, do: for(_ <- 1..16, into: "", do: <<digit()>>)

  # 248 is the largest multiple of 62 in a byte: larger bytes are drawn again, so that all codes are equally likely.
  defp digit do
    case :crypto.strong_rand_bytes(1) do
      <<byte>> when byte < 248 -> :binary.at(@alphabet, rem(byte, 62))
      _larger -> digit()
    end
  end

  defp line(client, ticket) do
    ticket = if identified?(ticket), do: ticket, else: Map.put(ticket, code_key(ticket), new_ticket_code())
    [client.json.encode!(ticket), ?\n]
  end

  defp identified?(ticket) do
    Enum.any?([:code, "code", :media, "media"], &(ticket[&1] not in [nil, []]))
  end

  # A map with both keys, :code and "code", would have two members of one name.
  defp code_key(ticket), do: if(Map.has_key?(ticket, :code), do: :code, else: "code")

  # Lines in groups of at most `@max_lines` and about `@max_bytes`, each with its number of lines.
  defp chunks(lines) do
    Stream.chunk_while(
      lines,
      {[], 0, 0},
      fn line, {gathered, count, bytes} ->
        size = IO.iodata_length(line)

        if count == @max_lines or (count > 0 and bytes + size > @max_bytes) do
          {:cont, {Enum.reverse(gathered), count}, {[line], 1, size}}
        else
          {:cont, {[line | gathered], count + 1, bytes + size}}
        end
      end,
      fn
        {[], 0, 0} -> {:cont, nil}
        {gathered, count, _bytes} -> {:cont, {Enum.reverse(gathered), count}, nil}
      end
    )
  end

  # Counts are summed up, and lists joined. All else is that of the first chunk.
  defp add(total, answer, before) do
    errors = for error <- answer["errors"], do: Map.update!(error, "line", &(&1 + before))

    Map.merge(total, %{answer | "errors" => errors}, fn
      "errors", all, more -> Enum.take(all ++ more, @max_errors)
      _name, all, more when is_list(all) -> Enum.uniq(all ++ more)
      _name, all, more when is_integer(all) -> all + more
      # Such as `dry_run`, which is the same in all chunks.
      _name, all, _more -> all
    end)
  end
end
