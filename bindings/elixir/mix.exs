defmodule VoelgoedScan.MixProject do
  use Mix.Project

  def project do
    [
      app: :voelgoed_scan,
      version: "0.1.0",
      elixir: "~> 1.14",
      elixirc_paths: elixirc_paths(Mix.env()),
      start_permanent: Mix.env() == :prod,
      description: "Client, webhooks and live bridge of the ticket scanning server voelgoed-scan",
      package: package(),
      deps: []
    ]
  end

  def application do
    [
      extra_applications: [:crypto, :inets, :logger, :public_key, :ssl],
      mod: {VoelgoedScan.Application, []}
    ]
  end

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_env), do: ["lib"]

  defp package do
    [licenses: ["MIT", "Apache-2.0"], files: ~w(lib mix.exs README.md .formatter.exs), links: %{}]
  end
end
