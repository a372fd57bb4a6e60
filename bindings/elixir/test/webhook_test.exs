defmodule VoelgoedScan.WebhookTest do
  use ExUnit.Case, async: true

  alias VoelgoedScan.Webhook
  alias VoelgoedScan.Webhook.Event

  # The example that the Standard Webhooks specification publishes.
  @secret "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  @id "msg_p5jXN8AQM9LWM0D4loKWxJek"
  @timestamp 1_614_265_330
  @body ~s({"test": 2432232314})
  @signature "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

  @event ~s({"type":"scan.admitted","timestamp":"2026-11-29T18:00:00.000Z","data":{"scan_id":"1"}})

  defp sign(body, secret \\ @secret, id \\ @id, timestamp \\ @timestamp) do
    "whsec_" <> key = secret
    "v1," <> Base.encode64(:crypto.mac(:hmac, :sha256, Base.decode64!(key), "#{id}.#{timestamp}.#{body}"))
  end

  defp headers(signature, timestamp \\ @timestamp) do
    [{"webhook-id", @id}, {"webhook-timestamp", to_string(timestamp)}, {"webhook-signature", signature}]
  end

  defp verify(body, headers, secrets \\ @secret, options \\ []) do
    Webhook.verify(body, headers, secrets, [now: @timestamp] ++ options)
  end

  test "the published signature is right" do
    # The body has no type, so it is the next check that fails.
    assert sign(@body) == @signature
    assert verify(@body, headers(@signature)) == {:error, :invalid_body}
    assert verify(@body <> " ", headers(@signature)) == {:error, :wrong_signature}
  end

  test "a signed event is returned with its id" do
    assert {:ok, %Event{} = event} = verify(@event, headers(sign(@event)))
    assert event.id == @id
    assert event.type == "scan.admitted"
    assert event.timestamp == "2026-11-29T18:00:00.000Z"
    assert event.data == %{"scan_id" => "1"}
  end

  test "names of headers have no case, and headers may be a map" do
    headers = headers(sign(@event)) |> Map.new(fn {name, value} -> {String.capitalize(name), value} end)
    assert {:ok, %Event{}} = verify(@event, headers)
  end

  test "each of the signatures of a rotation counts, by each of the secrets" do
    other = "whsec_" <> Base.encode64("another secret of 24 bytes")
    both = sign(@event, other) <> " " <> sign(@event)
    assert {:ok, _} = verify(@event, headers(both), @secret)
    assert {:ok, _} = verify(@event, headers(both), other)
    assert {:ok, _} = verify(@event, headers(sign(@event)), [other, @secret])
    assert {:ok, _} = verify(@event, headers("v1a,AAAA v1,!! " <> sign(@event)))
    assert verify(@event, headers(sign(@event, other))) == {:error, :wrong_signature}
  end

  test "a change of id, time, body or signature is found" do
    signature = sign(@event)
    assert verify(@event <> "\n", headers(signature)) == {:error, :wrong_signature}
    assert verify(@event, headers(sign(@event, @secret, "msg_other"))) == {:error, :wrong_signature}
    assert verify(@event, headers(signature, @timestamp + 1)) == {:error, :wrong_signature}

    for other <- [
          "v1,",
          "v2" <> String.trim_leading(signature, "v1"),
          String.slice(signature, 0..-2),
          "v1,AAAA"
        ] do
      assert verify(@event, headers(other)) == {:error, :wrong_signature}
    end
  end

  test "the time may differ by five minutes" do
    for {difference, expected} <- [{-301, :too_old}, {-300, :ok}, {300, :ok}, {301, :too_new}] do
      timestamp = @timestamp + difference
      result = verify(@event, headers(sign(@event, @secret, @id, timestamp), timestamp))
      assert elem(result, 0) == expected or result == {:error, expected}
    end

    assert verify(@event, headers(sign(@event), "soon")) == {:error, :invalid_timestamp}
    assert verify(@event, headers(sign(@event), "1614265330.5")) == {:error, :invalid_timestamp}
    # Without :now the clock counts, and the example is old.
    assert Webhook.verify(@event, headers(sign(@event)), @secret) == {:error, :too_old}
  end

  test "a header that is missing is said" do
    for {name, _value} <- headers("") do
      assert verify(@event, List.keydelete(headers(sign(@event)), name, 0)) == {:error, :missing_header}
    end
  end

  test "a secret that is none is a fault of the platform" do
    for secret <- ["whsec_", "whsec_AAAA", "not base64!"] do
      assert_raise ArgumentError, fn -> verify(@event, headers(sign(@event)), secret) end
    end
  end

  describe "as a plug" do
    defp conn(body, headers),
      do: %Plug.Conn{method: "POST", request_path: "/hooks", body: body, req_headers: headers}

    defp call(conn, options \\ []) do
      test = self()

      handler = fn event ->
        send(test, {:handled, event})
        Keyword.get(options, :answer, :ok)
      end

      options = [at: "/hooks", handler: handler, secret: Keyword.get(options, :secret, @secret)]
      Webhook.call(conn, Webhook.init(options))
    end

    defp signed_now(body) do
      now = System.os_time(:second)
      headers(sign(body, @secret, @id, now), now)
    end

    test "an event is handled and answered with 204" do
      assert %{status: 204, halted: true} = call(conn(@event, signed_now(@event)))
      assert_received {:handled, %Event{id: @id, type: "scan.admitted"}}
      assert %{status: 204} = call(conn(@event, signed_now(@event)), answer: {:ok, :job})
    end

    test "the server delivers again what the handler could not take" do
      assert %{status: 500, halted: true} = call(conn(@event, signed_now(@event)), answer: {:error, :busy})
    end

    test "a forged request is answered with 401 and not handled" do
      assert %{status: 401, halted: true} = call(conn(@event <> " ", signed_now(@event)))
      assert %{status: 401, halted: true} = call(conn(@event, headers(sign(@event))))
      assert %{status: 401, halted: true} = call(conn(@event, []))
      refute_received {:handled, _event}
    end

    test "a body that is too long, broken or no event is refused" do
      long = String.duplicate("x", 65_537)
      assert %{status: 413, halted: true} = call(conn(long, signed_now(long)))
      assert %{status: 400, halted: true} = call(conn({:error, :timeout}, []))
      assert %{status: 400, halted: true} = call(conn("[1]", signed_now("[1]")))
      refute_received {:handled, _event}
    end

    test "other requests pass" do
      for change <- [%{method: "GET"}, %{request_path: "/hooks/other"}] do
        conn = Map.merge(conn(@event, signed_now(@event)), change)
        assert call(conn) == conn
      end
    end

    test "the secret may be read at each request" do
      assert %{status: 204} = call(conn(@event, signed_now(@event)), secret: fn -> [@secret] end)
      Application.put_env(:voelgoed_scan, :test_secret, @secret)
      secret = {Application, :fetch_env!, [:voelgoed_scan, :test_secret]}
      assert %{status: 204} = call(conn(@event, signed_now(@event)), secret: secret)
    end
  end
end
