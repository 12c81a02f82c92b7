/** What the datapath should have, from the network; and what to change on it. Pure. */
import type { Bridge, FlowTable, Interface } from '../domain/index.js';
import type { InterfaceSettings } from '../config/index.js';
import type { BridgeInfo, BridgeParams, PortInfo, PortParams } from './protocol.js';

/** First table of the bridge program on our datapath (ARCHITECTURE.md, "NORMAL is a program"). */
const PROGRAM_TABLE = 64;

export interface DesiredBridge {
  readonly params: BridgeParams;
  readonly ports: readonly PortParams[];
  /** The row that each port comes from, by its name. */
  readonly uuids: ReadonlyMap<string, string>;
}

export function desiredBridge(bridge: Bridge, settings: ReadonlyMap<string, InterfaceSettings>): DesiredBridge {
  const isPassive = (target: string) => /^p(tcp|ssl|unix):/.test(target);
  const interfaces = bridge.ports.flatMap((port) => port.interfaces);
  return {
    uuids: new Map(interfaces.map(({ name, uuid }) => [name, uuid])),
    params: {
      name: bridge.name,
      datapathId: bridge.datapathId,
      failMode: bridge.failMode,
      controllers: bridge.controllers.filter((target) => !isPassive(target)),
      listeners: bridge.controllers.filter(isPassive),
      programTable: PROGRAM_TABLE,
      ...(bridge.flowTables.length === 0 ? {} : { flowTables: bridge.flowTables.map(flowTable) }),
    },
    ports: interfaces.map((each) => portParams(bridge.name, each, settings.get(each.uuid))),
  };
}

function flowTable({ id, flowLimit, overflowPolicy }: FlowTable): NonNullable<BridgeParams['flowTables']>[number] {
  return { id, ...(flowLimit === null ? {} : { flowLimit }), overflowPolicy };
}

interface KnownParams {
  readonly bridge: string;
  readonly settings: InterfaceSettings | undefined;
  readonly params: PortParams;
}

/** An interface that is the same object from one configuration to the next has the same parameters, as an object. */
const knownParams = new WeakMap<Interface, KnownParams>();

function portParams(bridge: string, given: Interface, settings: InterfaceSettings | undefined): PortParams {
  const known = knownParams.get(given);
  if (known?.bridge === bridge && known.settings === settings) return known.params;
  const { name, type, peer, ofport, mac } = given;
  const { mtuRequest: mtu = null, qos = null, policing = null } = settings ?? {};
  const params = {
    bridge,
    name,
    type,
    ...(peer === undefined ? {} : { peer }),
    ...(ofport === null ? {} : { ofport }),
    ...(mac === null ? {} : { mac }),
    ...(mtu === null ? {} : { mtu }),
    ...(qos === null ? {} : { qos }),
    ...(policing === null ? {} : { policing }),
  };
  knownParams.set(given, { bridge, settings, params });
  return params;
}

const texts = new WeakMap<PortParams, string>();

/** JSON of the parameters: equal for equal ones. */
export function portText(params: PortParams): string {
  let text = texts.get(params);
  if (text === undefined) texts.set(params, (text = JSON.stringify(params)));
  return text;
}

/** Bridges that are there and should not be. */
export function bridgesToRemove(have: readonly BridgeInfo[], want: readonly DesiredBridge[]): string[] {
  const wanted = new Set(want.map(({ params }) => params.name));
  return have.map(({ name }) => name).filter((name) => !wanted.has(name));
}

/** Ports that are there and should not be, or not of that type or number: these are made anew. */
export function portsToRemove(have: readonly PortInfo[], want: readonly PortParams[]): string[] {
  const wanted = new Map(want.map((port) => [port.name, port]));
  return have
    .filter(({ name, type, ofport }) => {
      const port = wanted.get(name);
      return !port || port.type !== type || (port.ofport !== undefined && port.ofport !== ofport);
    })
    .map(({ name }) => name);
}
