/** Ingress: which frames a port takes, and into which VLAN. Behind it every frame has an outer tag. */
import { VlanSet, type Vid } from '../../domain/index.js';
import type { Action, Flow, MatchField } from '../flow.js';
import { CONTROLLER_PORT_ID, matchIn, writeIn } from './metadata.js';
import { matchVids, perView, PRESENT, UNTAGGED, type PortView } from './ports.js';

const TPID_8021Q = 0x8100;
/** OFPP_CONTROLLER: the in_port of what a controller puts into the bridge with NORMAL. */
const CONTROLLER_PORT = 0xfffffffd;

export function ingressFlows(views: readonly PortView[]): Flow[] {
  const controller = 'frames a controller sends through NORMAL';
  return [...views.flatMap(admitMembers), admit(CONTROLLER_PORT, CONTROLLER_PORT_ID, false, controller)];
}

const admitMembers = perView((view): Flow[] =>
  view.members.map(({ name, ofport }) => {
    const what = view.isBond ? `${name} of ${view.port.name}` : `port ${view.port.name}`;
    return admit(ofport, view.id, view.port.protected, what);
  }),
);

function admit(ofport: number, id: number, isProtected: boolean, reason: string): Flow {
  return {
    table: 'ingress',
    priority: 200,
    match: { in_port: ofport },
    instructions: [writeIn(id, isProtected), { type: 'GOTO_TABLE', table: 'vlan_in' }],
    kind: 'port',
    detail: id,
    reason: isProtected ? `${reason}, protected` : reason,
  };
}

export function vlanInFlows(views: readonly PortView[]): Flow[] {
  const controller = { id: CONTROLLER_PORT_ID, name: 'the controller' };
  return [
    ...views.flatMap(portFlows),
    ...untaggedInto(controller, 0),
    ...taggedAsIs(controller, VlanSet.all, true),
  ];
}

interface Source {
  readonly id: number;
  readonly name: string;
}

const portFlows = perView((view): Flow[] => {
  const { port } = view;
  const source = { id: view.id, name: port.name };
  const tag = port.tag ?? 0;
  switch (port.vlanMode) {
    case 'access':
      return untaggedInto(source, tag);
    case 'trunk':
      return view.carried.has(0)
        ? [...untaggedInto(source, 0), ...taggedAsIs(source, view.carried, true)]
        : taggedAsIs(source, view.carried, false);
    case 'native-tagged':
    case 'native-untagged':
      return [...untaggedInto(source, tag), ...taggedAsIs(source, view.carried, true)];
    case 'dot1q-tunnel':
      return tunnelFlows(source, tag, port.cvlans ?? VlanSet.all, port.qinqEthertype);
  }
});

function flow(source: Source, vlanVid: MatchField, actions: Action[], reason: string, priority = 200): Flow {
  return {
    table: 'vlan_in',
    priority,
    match: { metadata: matchIn(source.id), vlan_vid: vlanVid },
    instructions: [
      ...(actions.length > 0 ? [{ type: 'APPLY_ACTIONS', actions } as const] : []),
      { type: 'GOTO_TABLE', table: 'observe' },
    ],
    kind: 'vlan-in',
    detail: source.id,
    reason,
  };
}

const setVid = (vid: Vid): Action => ({ type: 'SET_FIELD', field: { vlan_vid: PRESENT | vid } });

/** Untagged and priority-tagged frames (VID 0, IEEE 802.1Q §6.9) belong to `vlan`; the priority stays. */
function untaggedInto(source: Source, vlan: Vid): Flow[] {
  const push: Action[] = [{ type: 'PUSH_VLAN', ethertype: TPID_8021Q }, setVid(vlan)];
  return [
    flow(source, UNTAGGED, push, `untagged frames from ${source.name} are VLAN ${vlan}`),
    flow(
      source,
      PRESENT,
      vlan === 0 ? [] : [setVid(vlan)],
      `priority-tagged frames from ${source.name}: VLAN ${vlan}`,
    ),
  ];
}

/**
 * `zeroIsHandled`: a rule above takes VID 0 already. Then it may be among these too, which makes fewer blocks.
 */
function taggedAsIs(source: Source, vids: VlanSet, zeroIsHandled: boolean): Flow[] {
  const blocks = (zeroIsHandled ? vids.with(0) : vids).maskedVids();
  return blocks.map((block) =>
    flow(source, matchVids(block), [], `${source.name} trunks VLANs ${describe(block)}`, 100),
  );
}

/** Every allowed frame, tagged or not, gets the service tag on top, with priority 0 as in Open vSwitch. */
function tunnelFlows(source: Source, tag: Vid, customers: VlanSet, ethertype: number): Flow[] {
  const push: Action[] = [
    { type: 'PUSH_VLAN', ethertype },
    setVid(tag),
    { type: 'SET_FIELD', field: { vlan_pcp: 0 } },
  ];
  const flows = customers
    .maskedVids()
    .map((block) =>
      flow(
        source,
        matchVids(block),
        push,
        `customer VLANs ${describe(block)} from ${source.name} go in VLAN ${tag}`,
      ),
    );
  if (customers.has(0))
    flows.push(flow(source, UNTAGGED, push, `untagged from ${source.name} goes in VLAN ${tag}`));
  return flows;
}

function describe({ value, mask }: { value: number; mask: number }): string {
  const last = value | (~mask & 0xfff);
  return value === last ? `${value}` : `${value}-${last}`;
}
