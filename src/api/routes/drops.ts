/** /v1/bridges/{name}/drops: frames dropped, by reason and port, and the last of each. */
import type { DroppedFrame } from '../../datapath/protocol.js';
import { describeFrame, dropText } from '../../observe/index.js';
import type { RateWindow } from '../../observe/index.js';
import { askDatapath } from '../datapath.js';
import { DropsView } from '../observe-schemas.js';
import type { App } from '../plugin.js';
import { BridgeParams, Problem } from '../schemas.js';
import type { Services } from '../services.js';
import { bridgeOf } from '../views.js';
import { windowOf } from './statistics.js';

export function dropRoutes(app: App, services: Services): void {
  app.get(
    '/v1/bridges/:name/drops',
    {
      schema: {
        tags: ['observe'],
        summary: 'Frames that the tables dropped, by reason and by the port they came in by',
        params: BridgeParams,
        response: { 200: DropsView, 409: Problem, 503: Problem },
      },
    },
    async (request) => {
      const { name } = bridgeOf(services, request.params.name);
      const window = await windowOf(services, name);
      const last = await askDatapath(services, name, () =>
        services.switches.ask('drops.last', { bridge: name }),
      );
      return dropsView(name, window, last);
    },
  );
}

type Counts = Readonly<Record<string, number>>;

function dropsView(bridge: string, window: RateWindow, last: readonly DroppedFrame[]): DropsView {
  const { newest } = window;
  const ports = [...(newest?.ports.values() ?? [])].sort((a, b) => a.ofport - b.ofport);
  const all = newest?.drops ?? {};
  const row = (reason: string, packets: number, perS: number | null) => {
    const { meaning, remedy } = dropText(reason);
    return { reason, sentence: meaning, remedy, packets, perS };
  };
  return {
    bridge,
    windowS: window.spanS,
    packets: Object.values(all).reduce((sum, packets) => sum + packets, 0),
    reasons: mostFrequentFirst(all).map(([reason, packets]) =>
      row(
        reason,
        packets,
        window.rate(({ drops }) => drops[reason] ?? 0),
      ),
    ),
    ports: ports
      .filter(({ drops }) => Object.keys(drops).length > 0)
      .map(({ name, ofport, drops }) => ({
        port: name,
        ofport,
        reasons: mostFrequentFirst(drops).map(([reason, packets]) => ({
          ...row(
            reason,
            packets,
            window.rate((sample) => {
              const port = sample.ports.get(name);
              return port && (port.drops[reason] ?? 0);
            }),
          ),
          last: lastView(last.find((frame) => frame.port === name && frame.reason === reason)),
        })),
      })),
  };
}

function mostFrequentFirst(counts: Counts): [reason: string, packets: number][] {
  return Object.entries(counts).sort(([, a], [, b]) => b - a);
}

function lastView(dropped: DroppedFrame | undefined) {
  if (dropped === undefined) return null;
  const { hex, text } = describeFrame(Buffer.from(dropped.frame, 'hex'));
  return { frame: hex, length: dropped.length, agoS: dropped.agoMs / 1000, text };
}
