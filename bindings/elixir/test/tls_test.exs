defmodule VoelgoedScan.TLSTest do
  use ExUnit.Case, async: true

  alias VoelgoedScan.{Bridge, ScanServer, TransportError}

  @moduletag :capture_log

  # A certificate of a new authority, for the address of this machine. Returns the files.
  defp certificate(folder) do
    key = [key: {:namedCurve, :secp256r1}]
    names = {:Extension, {2, 5, 29, 17}, false, [iPAddress: <<127, 0, 0, 1>>]}

    %{server_config: server, client_config: client} =
      :public_key.pkix_test_data(%{
        server_chain: %{root: key, intermediates: [], peer: [extensions: [names]] ++ key},
        client_chain: %{root: key, intermediates: [], peer: key}
      })

    {:ECPrivateKey, private_key} = server[:key]
    authority = for certificate <- client[:cacerts], do: {:Certificate, certificate, :not_encrypted}

    for {name, entries} <- [
          cert: [{:Certificate, server[:cert], :not_encrypted}],
          key: [{:ECPrivateKey, private_key, :not_encrypted}],
          cacert: authority
        ],
        into: %{} do
      file = Path.join(folder, "#{name}.pem")
      File.write!(file, :public_key.pem_encode(entries))
      {name, file}
    end
  end

  test "the certificate and the name of the server are verified" do
    files = certificate(ScanServer.folder!())
    server = ScanServer.start!(tls_cert: files.cert, tls_key: files.key, cacertfile: files.cacert)
    assert "https://127.0.0.1:" <> port = server.url

    new = fn url, options ->
      VoelgoedScan.new([server: url, token: server.client.token, retries: 1_000] ++ options)
    end

    # An authority that the operating system does not know, and a name that the certificate does not have. Neither is tried
    # again.
    assert {:error, %TransportError{}} = VoelgoedScan.list_events(new.(server.url, []))

    assert {:error, %TransportError{} = error} =
             VoelgoedScan.list_events(new.("https://localhost:" <> port, cacertfile: files.cacert))

    assert Exception.message(error) =~ "hostname_check_failed"

    assert {:ok, %{"data" => []}} = VoelgoedScan.list_events(server.client)

    # The bridge verifies as well.
    event = ScanServer.event!(server, 1)
    test = self()

    for {client, name} <- [{new.(server.url, []), :distrustful}, {server.client, :trustful}] do
      broadcast = fn topic, message -> send(test, {name, topic, message}) end
      options = [name: name, client: client, events: [event.event], broadcast: broadcast]
      start_supervised!({Bridge, options}, id: name)
    end

    # It follows the event once the occupancy comes.
    assert_receive {:trustful, _topic, %{"event" => %{"inside" => 0}}}
    %{"scan_id" => scan} = ScanServer.scan!(event.device, hd(event.codes))
    assert_receive {:trustful, _topic, %{"scan_id" => ^scan}}
    refute_received {:distrustful, _topic, _message}
  end
end
