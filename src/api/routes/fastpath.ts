/** /v1/fastpath and what is below bridges: who forwards what, how much of it, and why not the kernel. */
import type { PortNames } from 'node-openflow';
import type { BridgeCache, CachedFlow, FastPathInfo } from '../../datapath/protocol.js';
import { explainOffload } from '../../domain/index.js';
import { megaflowActions, megaflowMatch, shownOfport } from '../../observe/index.js';
import type { RateWindow, Sample } from '../../observe/index.js';
import { askDatapath, portNamesOf } from '../datapath.js';
import { BridgeFastPath, FastPathView, MegaflowQuery, MegaflowsView } from '../fastpath-schemas.js';
import type { Megaflow } from '../fastpath-schemas.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import { BridgeParams, Problem } from '../schemas.js';
import type { Services } from '../services.js';
import { checkIsOurs, windowOf, windowsOf } from './statistics.js';

const tags = ['observe'];
const failures = { 409: Problem, 503: Problem };

export function fastPathRoutes(app: App, services: Services): void {
  app.get(
    '/v1/fastpath',
    {
      schema: {
        tags,
        summary: 'Whether the kernel forwards known flows, and how much of it; of every bridge',
        response: { 200: FastPathView, ...failures },
      },
    },
    async () => {
      const windows = await windowsOf(services);
      const window = windows[0]?.window;
      const info = window?.newest?.fastPath ?? (await withoutBridges(services));
      return {
        active: info.active,
        whyNot: info.whyNot ?? null,
        kernel: kernelView(info, window),
        bridges: windows.map((each) => bridgeView(each.name, each.window)),
      };
    },
  );

  app.get(
    '/v1/bridges/:name/fastpath',
    {
      schema: {
        tags,
        summary: 'Megaflows, hits, misses and punts of a bridge, with rates',
        params: BridgeParams,
        response: { 200: BridgeFastPath, ...failures },
      },
    },
    async (request) => {
      const { name } = request.params;
      return bridgeView(name, await windowOf(services, name));
    },
  );

  app.get(
    '/v1/bridges/:name/fastpath/flows',
    {
      schema: {
        tags,
        summary: 'Megaflows: what their frames agree on, what is done with them, and why not by the kernel',
        params: BridgeParams,
        querystring: MegaflowQuery,
        response: { 200: MegaflowsView, ...failures },
      },
    },
    async ({ params, query }) => {
      const { name } = params;
      checkIsOurs(services, name);
      const names = portNamesOf(services, name);
      const { limit = 1000, port, offloaded, reason } = query;
      const inPort = port === undefined ? undefined : (names.byName(port) ?? noSuchPort(name, port));
      const flows = await askDatapath(services, name, () =>
        services.switches.ask('fastpath.flows', {
          bridge: name,
          limit,
          ...(inPort === undefined ? {} : { inPort }),
          ...(offloaded === undefined ? {} : { inKernel: offloaded }),
          ...(reason === undefined ? {} : { whyNot: reason }),
        }),
      );
      return { bridge: name, flows: flows.map((flow) => megaflow(flow, names)) };
    },
  );
}

/** There is nothing to sample. */
async function withoutBridges({ switches }: Services): Promise<FastPathInfo> {
  try {
    return await switches.ask('fastpath.show', {});
  } catch (error) {
    const { message } = error as Error;
    throw new ProblemError(503, 'switch-unavailable', 'The switch does not answer', message);
  }
}

function counted(window: RateWindow | undefined, read: (sample: Sample) => number | undefined) {
  const newest = window?.newest;
  return { packets: (newest && read(newest)) ?? 0, perS: window?.rate(read) ?? null };
}

/** One processor, as the datapath counts its parts: no limit. */
const ALL_OF_ONE = 1000;

function kernelView(info: FastPathInfo, window: RateWindow | undefined): FastPathView['kernel'] {
  const {
    active,
    hooking = 'tcx',
    flows = 0,
    masks = 0,
    limits,
    ports = 0,
    statistics = {},
    puntsLost = 0,
    puntShare = ALL_OF_ONE,
  } = info;
  if (!active || limits === undefined) return null;
  const events = Object.fromEntries(
    Object.keys(statistics).map((name) => [
      name,
      counted(window, ({ fastPath }) => fastPath.statistics?.[name]),
    ]),
  );
  const firstPackets = {
    processorShare: puntShare < ALL_OF_ONE ? puntShare / ALL_OF_ONE : null,
    refused: counted(window, ({ fastPath }) => fastPath.puntsRefused),
  };
  return { hooking, flows, masks, limits, ports, events, puntsLost, firstPackets };
}

const NO_CACHE: BridgeCache = {
  ...{ name: '', flows: 0, kernelFlows: 0, masks: 0, hits: 0, kernelHits: 0, misses: 0, evictions: 0 },
  ...{ refused: {}, punts: [] },
};

function bridgeView(bridge: string, window: RateWindow): BridgeFastPath {
  const cacheOf = ({ fastPath }: Sample) => fastPath.bridges.find(({ name }) => name === bridge);
  const cache = (window.newest && cacheOf(window.newest)) ?? NO_CACHE;
  const of = (read: (cache: BridgeCache) => number | undefined) =>
    counted(window, (sample) => {
      const found = cacheOf(sample);
      return found && read(found);
    });
  const refused = Object.entries(cache.refused ?? {}).sort(([, a], [, b]) => b - a);
  return {
    bridge,
    windowS: window.spanS,
    flows: { total: cache.flows, kernel: cache.kernelFlows },
    masks: cache.masks,
    hits: { kernel: of(({ kernelHits }) => kernelHits), userSpace: of(({ hits }) => hits) },
    misses: of(({ misses }) => misses),
    evictions: cache.evictions,
    turnedAway: cache.turnedAway ?? 0,
    notOffloaded: refused.map(([reason, flows]) => ({ ...refusal(reason), flows })),
    punts: (cache.punts ?? []).map(({ port, ofport, waiting }) => {
      const punts = (found: BridgeCache) => found.punts?.find((each) => each.port === port);
      return {
        port,
        ofport: shownOfport(ofport),
        sent: of((found) => punts(found)?.sent),
        dropped: of((found) => punts(found)?.dropped),
        waiting,
      };
    }),
  };
}

function refusal(reason: string) {
  const { meaning, remedy } = explainOffload(reason);
  return { reason, sentence: meaning, remedy };
}

function megaflow(flow: CachedFlow, names: PortNames): Megaflow {
  const { match, actions, drop, packets, bytes, usedMsAgo, inKernel, whyNot } = flow;
  return {
    match: megaflowMatch(match, names),
    fields: [...match],
    actions: megaflowActions(actions, names),
    drop,
    packets,
    bytes,
    usedS: packets === 0 || usedMsAgo === null ? null : usedMsAgo / 1000,
    offloaded: inKernel,
    notOffloaded: whyNot === null ? null : refusal(whyNot),
  };
}

function noSuchPort(bridge: string, port: string): never {
  throw new ProblemError(400, 'invalid', 'The request is not valid', undefined, [
    { path: '/port', message: `bridge ${bridge} has no port ${port}` },
  ]);
}
