defmodule Plug.Conn do
  @moduledoc """
  What `VoelgoedScan.Webhook` needs of Plug, in memory: the package itself does not depend on Plug. The fields and answers are
  those of Plug 1.
  """

  defstruct [:method, :request_path, :body, :status, :resp_body, req_headers: [], halted: false]

  def read_body(%{body: {:error, reason}}, _options), do: {:error, reason}

  def read_body(%{body: body} = conn, options) do
    length = options[:length]

    case body do
      <<part::binary-size(length), rest::binary>> when rest != "" -> {:more, part, %{conn | body: rest}}
      body -> {:ok, body, %{conn | body: ""}}
    end
  end

  def send_resp(conn, status, body), do: %{conn | status: status, resp_body: body}
  def halt(conn), do: %{conn | halted: true}
end
