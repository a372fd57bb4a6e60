defmodule VoelgoedScan.Bridge.TopicsTest do
  use ExUnit.Case, async: true

  alias VoelgoedScan.Bridge.Topics

  defp scan(fields) do
    Map.merge(%{"organization_id" => "o", "event_id" => "e", "direction" => "entry", "undone" => nil}, fields)
  end

  test "a scan has the topic of its decision" do
    for {fields, expected} <- [
          {%{"result" => "valid"}, {:admitted, "org:o:event:e:scanning:scan:admitted"}},
          {%{"result" => "duplicate"}, {:denied, "org:o:event:e:scanning:scan:denied"}},
          {%{"result" => "refused", "direction" => "exit"}, {:denied, "org:o:event:e:scanning:scan:denied"}},
          {%{"result" => "a later word"}, {:denied, "org:o:event:e:scanning:scan:denied"}},
          {%{"result" => "valid", "direction" => "exit"}, nil},
          {%{"result" => "valid", "undone" => %{"reason" => "r"}}, nil}
        ] do
      assert Topics.scan(scan(fields)) == expected
    end
  end

  test "a silent device is offline, and online once it is back; other signals are alerts" do
    for {kind, closed_at, topic} <- [
          {"device_silent", nil, "org:o:scanning:device:offline"},
          {"device_silent", "2026-11-29T18:00:00.000Z", "org:o:scanning:device:online"},
          {"impossible_travel", nil, "org:o:event:e:scanning:fraud:alert"},
          {"duplicate_spam", "2026-11-29T18:00:00.000Z", "org:o:event:e:scanning:fraud:alert"},
          {"late_batch", "2026-11-29T18:00:00.000Z", "org:o:event:e:scanning:fraud:alert"},
          {"occupancy_90", nil, nil},
          {"occupancy_100", "2026-11-29T18:00:00.000Z", nil}
        ] do
      assert Topics.signal(%{"kind" => kind, "closed_at" => closed_at}, "o", "e") == topic, kind
    end
  end

  test "the occupancy of an event has a topic" do
    assert Topics.occupancy("o", "e") == "org:o:event:e:scanning:occupancy:updated"
  end
end
