defmodule VoelgoedScan.Problem do
  @moduledoc """
  The server's answer that it did not do what was asked, with the fields of its problem document (RFC 9457).

  `code` is for programs, such as `"not_found"`, `"conflict"`, `"forbidden"` or `"validation_failed"`; `detail` is for people.
  `errors` lists the fields of a `"validation_failed"`, each with a JSON pointer. `request_id` finds the call in the log of the
  server. `retry_after` is in milliseconds.
  """

  defexception [:status, :code, :type, :title, :detail, :request_id, :session_id, :retry_after, errors: []]

  @type t :: %__MODULE__{
          status: 300..599,
          code: String.t() | nil,
          type: String.t() | nil,
          title: String.t() | nil,
          detail: String.t() | nil,
          request_id: String.t() | nil,
          session_id: String.t() | nil,
          retry_after: non_neg_integer() | nil,
          errors: [%{String.t() => String.t()}]
        }

  @impl true
  def message(%__MODULE__{} = problem) do
    faults = Enum.map(problem.errors, &" (#{&1["pointer"]}: #{&1["message"]})")
    "#{problem.status} #{problem.code}: #{problem.detail || problem.title}#{faults}"
  end

  @doc false
  @spec from_response(300..599, map(), term(), non_neg_integer() | nil) :: t()
  def from_response(status, headers, document, retry_after) do
    document = if is_map(document), do: document, else: %{}

    %__MODULE__{
      status: status,
      code: document["code"],
      type: document["type"],
      title: document["title"],
      detail: document["detail"],
      request_id: document["request_id"] || headers["x-request-id"],
      session_id: document["session_id"],
      retry_after: retry_after,
      errors: document["errors"] || []
    }
  end
end
