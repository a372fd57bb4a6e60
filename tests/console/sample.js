// The state that most tests begin with: an event under way, with past arrivals, devices, a conflict and a signal.

import { Server, sampleEvent, scan, until, uploadPast } from "./server.js";

/** Starts a server with the sample. */
export async function sample({ people = 400 } = {}) {
  const server = await Server.start();
  const event = await sampleEvent(server, { people });
  const [main, north, vip] = event.gates;
  const devices = {
    main: await server.device(event.id, main.id, "gate-main-1", "Main gate 1"),
    second: await server.device(event.id, main.id, "gate-main-2", "Main gate 2"),
    north: await server.device(event.id, north.id, "gate-north-1", "North gate 1"),
    vip: await server.device(event.id, vip.id, "gate-vip-1", "VIP gate 1"),
    spare: await server.device(event.id, null, "spare-1", "Spare phone"),
    lost: await server.device(event.id, north.id, "lost-1", "Lost phone"),
  };
  const general = event.codes.filter((_, index) => index % 8 !== 7);
  const vips = event.codes.filter((_, index) => index % 8 === 7);
  // A wave of arrivals whose height is about an hour ago.
  const minutesAgo = (index, count) => 75 + 60 * Math.cos((Math.PI * (index + 0.5)) / count) ** 3;
  const wave = Math.floor(people * 0.4);
  await uploadPast(devices.main, event.id, main.id, general.slice(0, wave), (index) => minutesAgo(index, wave));
  const half = Math.floor(wave / 2);
  await uploadPast(devices.north, event.id, north.id, general.slice(wave, wave + half), (index) => minutesAgo(index, half) + 5);
  await uploadPast(devices.vip, event.id, vip.id, vips.slice(0, 8), (index) => 40 + index * 6);
  const battery = { main: 0.83, second: 0.64, north: 0.41, vip: 0.12 };
  for (const [name, level] of Object.entries(battery)) {
    await devices[name].send("PUT", "/scanning/device", {
      app: { name: "Voelgoed Scan", version: "1.4.0", platform: "android" }, battery: level, waiting: name === "north" ? 140 : 0,
    });
  }
  // Tickets that nobody has used yet.
  const fresh = general.slice(wave + half);
  for (const code of fresh.splice(0, 6)) await scan(devices.main, code);
  await scan(devices.second, general[1]);
  await scan(devices.north, fresh.splice(0, 1)[0]);
  await scan(devices.main, "0000000000000000");
  await scan(devices.main, general[2], { override: { reason: "Sample: wristband was torn" } });
  await scan(devices.main, general[3], { direction: "exit" });
  // A ticket that two devices let in while they were offline, and one of a device that was revoked.
  await uploadPast(devices.north, event.id, north.id, [general[0]], () => 30);
  await server.owner.send("DELETE", `/scanning/devices/${devices.lost.id}`);
  const quarantined = fresh.splice(0, 1)[0];
  await uploadPast(devices.lost, event.id, north.id, [quarantined], () => 20);
  await until(async () => {
    const open = await server.owner.get(`/scanning/signals?event_id=${event.id}&open=true`);
    return open.data.some((signal) => signal.kind === "sync_waiting");
  }, "the signal of the waiting scans");
  return { server, event, devices, general, fresh, quarantined };
}
