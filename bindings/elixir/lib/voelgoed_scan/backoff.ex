defmodule VoelgoedScan.Backoff do
  @moduledoc false
  # Waiting times that double up to a maximum. Up to half of each is random, so that many clients do not return at once.

  @first 200

  @doc "The time in milliseconds before the next attempt, after `failures` attempts that failed."
  @spec delay(pos_integer(), pos_integer()) :: non_neg_integer()
  def delay(failures, max) when failures > 0 do
    longest = min(@first * Integer.pow(2, min(failures - 1, 20)), max)
    div(longest, 2) + :rand.uniform(div(longest, 2) + 1) - 1
  end
end
