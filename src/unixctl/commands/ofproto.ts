/** `ofproto/…`, `dpif/…`, `dpctl/…`: bridges, their ports, and what the datapath keeps of their tables. */
import type { Orchestrator } from '../../datapath/orchestrator.js';
import type { CachedFlow } from '../../datapath/protocol.js';
import type { Bridge } from '../../domain/index.js';
import { CommandError, command } from '../command.js';
import type { Command } from '../command.js';
import type { SwitchView } from '../view.js';

/** Where Open vSwitch has `system@ovs-system`. */
const DATAPATH = 'weft@weft-datapath';
/** Flows of a bridge that are shown: it keeps as many at most. */
const MOST_FLOWS = 65_536;

export function ofprotoCommands(view: SwitchView, orchestrator: Pick<Orchestrator, 'ask'>): Command[] {
  const ask = <T>(answer: Promise<T>): Promise<T> =>
    answer.catch((error: Error) => {
      throw new CommandError(error.message);
    });
  const ownBridges = () => view.bridges().filter(({ connection }) => connection.kind === 'weft');
  return [
    command('ofproto/list', '', [0, 0], () =>
      view
        .bridges()
        .map(({ name }) => `${name}\n`)
        .sort()
        .join(''),
    ),
    command('dpif/show', '', [0, 0], async () => {
      const { bridges: caches } = await ask(orchestrator.ask('fastpath.show', {}));
      const hit = caches.reduce((sum, { hits, kernelHits }) => sum + hits + kernelHits, 0);
      const missed = caches.reduce((sum, { misses }) => sum + misses, 0);
      const bridges = [...view.bridges()].sort((a, b) => (a.name < b.name ? -1 : 1));
      return `${DATAPATH}: hit:${hit} missed:${missed}\n${bridges.map(bridgeText).join('')}`;
    }),
    command('dpif/dump-dps', '', [0, 0], () => `${DATAPATH}\n`),
    command('dpctl/dump-dps', '', [0, 0], () => `${DATAPATH}\n`),
    // Open vSwitch's takes a datapath, of which there is one; a bridge is what tells flows apart here.
    command(
      'dpctl/dump-flows',
      '[-m] [--names] [dp | bridge] [type=offloaded|non-offloaded|all]',
      [0, 4],
      async (words) => {
        const types = words.filter((word) => word.startsWith('type='));
        const [which] = words.filter((word) => !word.startsWith('-') && !types.includes(word));
        const filter = filterOf(types.at(-1)?.slice('type='.length) ?? 'all');
        const all = ownBridges().map(({ name }) => name);
        if (which !== undefined && which !== DATAPATH && !all.includes(which))
          throw new CommandError(`${which}: there is no such datapath or bridge`);
        const wanted = which === undefined || which === DATAPATH ? all : [which];
        const lists = await Promise.all(
          wanted.map((bridge) =>
            ask(orchestrator.ask('fastpath.flows', { bridge, limit: MOST_FLOWS, ...filter })),
          ),
        );
        const isLong = words.includes('-m') || words.includes('--more');
        return lists.map((flows) => flows.map((flow) => flowText(flow, isLong)).join('')).join('');
      },
    ),
  ];
}

/** Flow types of Open vSwitch (ovs-appctl(8), dpctl/dump-flows): who forwards is all that tells ours apart. */
function filterOf(list: string): { inKernel?: boolean } {
  const types = new Set(list.split(','));
  const offloaded = types.has('offloaded') || types.has('tc');
  const others = types.has('non-offloaded') || types.has('ovs');
  if (types.has('all') || (offloaded && others)) return {};
  if (offloaded || others) return { inKernel: offloaded };
  throw new CommandError(`Failed to parse type (${list})`);
}

/** As Open vSwitch lays it out, with the fields that packets of the flow agree on in our own words. */
function flowText(flow: CachedFlow, isLong: boolean): string {
  const { match, actions, drop, packets, bytes, usedMsAgo, inKernel, whyNot } = flow;
  const used = packets === 0 || usedMsAgo === null ? 'never' : `${(usedMsAgo / 1000).toFixed(3)}s`;
  const done = drop === null ? actions.join(',') : `drop(${drop})`;
  const where = inKernel ? ', offloaded:yes, dp:tc' : `, dp:ovs${whyNot === null ? '' : ` (${whyNot})`}`;
  return `${match.join(',')}, packets:${packets}, bytes:${bytes}, used:${used}${isLong ? where : ''}, actions:${done === '' ? 'drop' : done}\n`;
}

/** `NAME OPENFLOW-PORT/DATAPATH-PORT: (TYPE)`; ours are one number. */
function bridgeText(bridge: Bridge): string {
  const ports = bridge.ports
    .flatMap(({ interfaces }) => interfaces)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, ofport, type, peer }) => {
      const number = ofport === 0xfffffffe ? 65534 : (ofport ?? -1);
      return peer === undefined
        ? `    ${name} ${number}/${number}: (${type})\n`
        : `    ${name} ${number}/none: (${type}: peer=${peer})\n`;
    });
  return `  ${bridge.name}:\n${ports.join('')}`;
}
