/** Statistics with rates: of all bridges, of one, of a port. */
import type { PortCounters } from '../../datapath/protocol.js';
import type { RateWindow, Sample } from '../../observe/index.js';
import { askDatapath } from '../datapath.js';
import { AllStatistics, BridgeStatistics, PortStatistics } from '../observe-schemas.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import { BridgeParams, PortParams, Problem } from '../schemas.js';
import type { Services } from '../services.js';
import { bridgeOf, portOf } from '../views.js';

const tags = ['observe'];
const failures = { 409: Problem, 503: Problem };

export function statisticsRoutes(app: App, services: Services): void {
  app.get(
    '/v1/statistics',
    {
      schema: {
        tags,
        summary:
          'Counters and rates of every bridge on Weft’s own datapath; 409 where none of them is connected',
        response: { 200: AllStatistics, ...failures },
      },
    },
    async () => ({
      bridges: (await windowsOf(services)).map(({ name, window }) => bridgeStatistics(name, window)),
    }),
  );

  app.get(
    '/v1/bridges/:name/statistics',
    {
      schema: {
        tags,
        summary: 'Counters and rates of a bridge and its ports',
        params: BridgeParams,
        response: { 200: BridgeStatistics, ...failures },
      },
    },
    async (request) => {
      const { name } = bridgeOf(services, request.params.name);
      return bridgeStatistics(name, await windowOf(services, name));
    },
  );

  app.get(
    '/v1/bridges/:name/ports/:port/statistics',
    {
      schema: {
        tags,
        summary: 'Counters and rates of a port (of a bond: of its first interface)',
        params: PortParams,
        response: { 200: PortStatistics, ...failures },
      },
    },
    async (request) => {
      const { name, port } = request.params;
      const device = portOf(services, name, port).interfaces[0]?.name ?? port;
      const window = await windowOf(services, name);
      const counters = window.newest?.ports.get(device);
      if (counters) return portStatistics(counters, window);
      throw new ProblemError(409, 'no-statistics', 'No statistics', `the datapath has no port ${device} yet`);
    },
  );
}

/** Of every bridge of our own that is connected. @throws ProblemError where none of them is */
export async function windowsOf(services: Services): Promise<{ name: string; window: RateWindow }[]> {
  const ours = services.configuration.reading.network.bridges.filter(
    ({ connection }) => connection.kind === 'weft',
  );
  const isConnected = ({ name }: { name: string }) => services.switches.driver(name)?.status().connected;
  const connected = ours.filter(isConnected);
  // With nobody to ask, why that is is the answer.
  const asked = connected.length > 0 ? connected : ours;
  return Promise.all(asked.map(async ({ name }) => ({ name, window: await windowOf(services, name) })));
}

/** @throws IntentError "no-such-bridge", ProblemError where there is nobody to ask */
export async function windowOf(services: Services, name: string): Promise<RateWindow> {
  checkIsOurs(services, name);
  return askDatapath(services, name, () => services.sampler.window(name));
}

/** @throws IntentError "no-such-bridge", ProblemError where it is somebody else's switch */
export function checkIsOurs(services: Services, name: string): void {
  const { connection } = bridgeOf(services, name);
  if (connection.kind !== 'weft') {
    throw new ProblemError(
      409,
      'foreign-switch',
      'It is not our switch',
      `${name} lies on a switch that speaks OpenFlow only: ask that switch`,
    );
  }
}

type Side = 'rx' | 'tx';
type Counter = (counters: PortCounters) => number;

function bridgeStatistics(bridge: string, window: RateWindow): BridgeStatistics {
  const ports = [...(window.newest?.ports.values() ?? [])].sort((a, b) => a.ofport - b.ofport);
  const sum = (sample: Sample, counter: Counter) =>
    [...sample.ports.values()].reduce((total, port) => total + counter(port), 0);
  const total = (side: Side) =>
    direction(side, (counter) => [
      window.newest ? sum(window.newest, counter) : 0,
      window.rate((sample) => sum(sample, counter)),
    ]);
  return {
    bridge,
    windowS: window.spanS,
    total: {
      rx: total('rx'),
      tx: total('tx'),
      dropsPerS: window.rate(({ drops }) => countOf(drops)),
    },
    ports: ports.map((port) => portStatistics(port, window)),
  };
}

function portStatistics(port: PortCounters, window: RateWindow): PortStatistics {
  const rateOf = (counter: Counter) =>
    window.rate(({ ports }) => {
      const found = ports.get(port.name);
      return found && counter(found);
    });
  const side = (name: Side) => direction(name, (counter) => [counter(port), rateOf(counter)]);
  return {
    port: port.name,
    ofport: port.ofport,
    rx: side('rx'),
    tx: side('tx'),
    drops: { ...port.drops },
    dropsPerS: rateOf(({ drops }) => countOf(drops)),
  };
}

const COUNTERS = {
  rx: {
    packets: (port: PortCounters) => port.rxPackets,
    bytes: (port: PortCounters) => port.rxBytes,
    dropped: (port: PortCounters) => port.rxDropped,
    errors: (port: PortCounters) => port.rxErrors,
  },
  tx: {
    packets: (port: PortCounters) => port.txPackets,
    bytes: (port: PortCounters) => port.txBytes,
    dropped: (port: PortCounters) => port.txDropped,
    errors: (port: PortCounters) => port.txErrors,
  },
} as const;

function direction(side: Side, read: (counter: Counter) => [number, number | null]) {
  const counters = COUNTERS[side];
  const [packets, packetsPerS] = read(counters.packets);
  const [bytes, bytesPerS] = read(counters.bytes);
  return {
    packets,
    bytes,
    dropped: read(counters.dropped)[0],
    errors: read(counters.errors)[0],
    packetsPerS,
    bitsPerS: bytesPerS === null ? null : bytesPerS * 8,
  };
}

function countOf(drops: Readonly<Record<string, number>>): number {
  return Object.values(drops).reduce((sum, packets) => sum + packets, 0);
}
