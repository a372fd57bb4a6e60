defmodule VoelgoedScan.ReadmeTest do
  use ExUnit.Case, async: true

  @blocks Regex.scan(~r/```elixir\n(.*?)```/s, File.read!("README.md"), capture: :all_but_first)

  # The calls of this package's functions in an example, with the number of their arguments.
  defp calls(code) do
    {_code, calls} =
      code
      |> Code.string_to_quoted!()
      |> Macro.prewalk([], fn
        {{:., _, [{:__aliases__, _, [:VoelgoedScan | _] = name}, function]}, _, arguments} = call, calls ->
          {call, [{Module.concat(name), function, length(arguments)} | calls]}

        {:%, _, [{:__aliases__, _, [:VoelgoedScan | _] = name}, {:%{}, _, fields}]} = struct, calls ->
          {struct, [{Module.concat(name), fields} | calls]}

        other, calls ->
          {other, calls}
      end)

    calls
  end

  test "the examples are Elixir and use functions and fields that exist" do
    calls = Enum.flat_map(@blocks, fn [code] -> calls(code) end)
    assert length(calls) > 5

    for call <- calls do
      case call do
        {module, function, arity} ->
          assert Code.ensure_loaded?(module), inspect(module)
          assert function_exported?(module, function, arity), "#{inspect(module)}.#{function}/#{arity}"

        {module, fields} ->
          for {name, _pattern} <- fields,
              do: assert(Map.has_key?(struct(module), name), "#{inspect(module)} #{name}")
      end
    end
  end
end
