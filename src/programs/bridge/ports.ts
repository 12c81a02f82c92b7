/**
 * Ports as the bridge program sees them: which VLANs each carries, and how a frame of a VLAN is written onto the
 * wire there (ovs-vswitchd.conf.db(5), "VLAN Configuration").
 */
import {
  VlanSet,
  type Bridge,
  type LogicalPort,
  type MaskedVid,
  type PortNumber,
} from '../../domain/index.js';
import type { Action, MatchField } from '../flow.js';
import type { LogicalPortId } from './mac-table.js';
import { numberPorts } from './metadata.js';

/** OFPVID_PRESENT (OF 1.3.5 §7.2.3.7): set on every tagged frame's `vlan_vid`. */
export const PRESENT = 0x1000;
/** `vlan_vid` of frames without a tag. */
export const UNTAGGED = 0;

export interface PortView {
  readonly port: LogicalPort;
  readonly id: LogicalPortId;
  /** OpenFlow port that frames come in and leave by; of a bond, that of its first member. */
  readonly ofport: PortNumber;
  /** Several interfaces; frames leave as the bond decides (bonds/flows.ts). */
  readonly isBond: boolean;
  /** All interfaces that have an OpenFlow port: of a plain port one. */
  readonly members: readonly { readonly name: string; readonly ofport: PortNumber }[];
  /** VLANs whose frames may leave here. */
  readonly carried: VlanSet;
  readonly egress: readonly EgressRule[];
}

/** `priority-tagged`: the tag stays, with VID 0, for the sake of its PCP. */
export type Encoding = 'tagged' | 'untagged' | 'priority-tagged';

export interface EgressRule {
  readonly vids: VlanSet;
  readonly pcp: 'any' | 'zero' | 'nonzero';
  readonly encoding: Encoding;
}

const views = new WeakMap<Bridge, readonly PortView[]>();
const ordinary = new WeakMap<Bridge, readonly PortView[]>();
/** Of the ports that stay as they are from one configuration to the next, the view stays, too. */
const viewsOf = new WeakMap<LogicalPort, PortView>();

/**
 * Remembers what a function makes of a view. Only for what follows from the view alone: then an unchanged port has the
 * same flows, as objects, and neither making nor comparing them takes time.
 */
export function perView<T>(make: (view: PortView) => T): (view: PortView) => T {
  const made = new WeakMap<PortView, { readonly value: T }>();
  return (view) => {
    let known = made.get(view);
    if (known === undefined) made.set(view, (known = { value: make(view) }));
    return known.value;
  };
}

/**
 * The bridge's ports that have an OpenFlow port, by ascending logical number. Outputs of mirrors are none of them: they
 * carry copies and nothing else.
 */
export function portViews(bridge: Bridge): readonly PortView[] {
  let list = ordinary.get(bridge);
  if (list === undefined) {
    const outputs = new Set(bridge.mirrors.map(({ output }) => (output.kind === 'port' ? output.port : '')));
    const all = allPortViews(bridge);
    list = outputs.size > 0 ? all.filter(({ port }) => !outputs.has(port.name)) : all;
    ordinary.set(bridge, list);
  }
  return list;
}

/** Outputs of mirrors included. */
export function allPortViews(bridge: Bridge): readonly PortView[] {
  let list = views.get(bridge);
  if (list === undefined) {
    list = [...numberPorts(bridge.ports)]
      .flatMap(([port, id]) => viewOf(port, id))
      .sort((a, b) => a.id - b.id);
    views.set(bridge, list);
  }
  return list;
}

function viewOf(port: LogicalPort, id: LogicalPortId): PortView[] {
  const known = viewsOf.get(port);
  if (known?.id === id) return [known];
  const members = port.interfaces.flatMap(({ name, ofport }) => (ofport === null ? [] : [{ name, ofport }]));
  const [first] = members;
  if (first === undefined) return [];
  const isBond = port.interfaces.length > 1;
  const { ofport } = first;
  const carried = carriedVlans(port);
  const view = { port, id, ofport, isBond, members, carried, egress: egressRules(port) };
  viewsOf.set(port, view);
  return [view];
}

/** The VLANs a port carries. A port in a mode that needs a tag and has none carries VLAN 0, as in Open vSwitch. */
export function carriedVlans(port: LogicalPort): VlanSet {
  const tag = port.tag ?? 0;
  switch (port.vlanMode) {
    case 'access':
    case 'dot1q-tunnel':
      return VlanSet.single(tag);
    case 'trunk':
      return port.trunks ?? VlanSet.all;
    case 'native-tagged':
    case 'native-untagged':
      // Frames of VLAN 0 leave without a tag, which here would put them into the native VLAN.
      return (port.trunks ?? VlanSet.all).without(0).with(tag);
  }
}

function egressRules(port: LogicalPort): EgressRule[] {
  const carried = carriedVlans(port);
  if (port.vlanMode === 'dot1q-tunnel') return [{ vids: carried, pcp: 'any', encoding: 'untagged' }];
  let bare = carried;
  if (port.vlanMode !== 'access') {
    const untagged = port.vlanMode === 'native-untagged' ? VlanSet.of([0, port.tag ?? 0]) : VlanSet.single(0);
    bare = carried.intersection(untagged);
  }
  const tagged = carried.difference(bare);
  const rules: EgressRule[] = [];
  if (!tagged.isEmpty) rules.push({ vids: tagged, pcp: 'any', encoding: 'tagged' });
  if (!bare.isEmpty) rules.push(...bareRules(bare, port.priorityTags));
  return rules;
}

/** How frames whose VID is left out look, by the port's `priority-tags`. */
function bareRules(vids: VlanSet, priorityTags: LogicalPort['priorityTags']): EgressRule[] {
  switch (priorityTags) {
    case 'never':
      return [{ vids, pcp: 'any', encoding: 'untagged' }];
    case 'always':
      return [{ vids, pcp: 'any', encoding: 'priority-tagged' }];
    case 'if-nonzero':
      return [
        { vids, pcp: 'zero', encoding: 'untagged' },
        { vids, pcp: 'nonzero', encoding: 'priority-tagged' },
      ];
  }
}

/** A bond keeps its name while its members come and go; a plain port is its OpenFlow port. */
const keyOf = (view: PortView): string => (view.isBond ? `${view.id}` : `${view.id} ${view.ofport}`);

/**
 * Ports that carry what either of two configurations carries, and are protected where both say so. Where they
 * write the same VLAN differently, the new one counts.
 */
export function mergeViews(from: readonly PortView[], to: readonly PortView[]): PortView[] {
  const merged = new Map(from.map((view) => [keyOf(view), view]));
  for (const view of to) {
    const key = keyOf(view);
    const old = merged.get(key);
    merged.set(key, old === undefined || old.port === view.port ? view : mergeView(old, view));
  }
  return [...merged.values()].sort((a, b) => a.id - b.id);
}

function mergeView(from: PortView, to: PortView): PortView {
  const leftOver = from.egress
    .map((rule) => ({ ...rule, vids: rule.vids.difference(to.carried) }))
    .filter((rule) => !rule.vids.isEmpty);
  const tunnel = limitsCustomers(to) ? to : from;
  const customers = limitsCustomers(from) && limitsCustomers(to) ? cvlansOf(from).union(cvlansOf(to)) : null;
  return {
    ...to,
    port: {
      ...to.port,
      // Only where both look at customer tags may the merged port do so.
      vlanMode: customers === null ? to.port.vlanMode : tunnel.port.vlanMode,
      cvlans: customers,
      protected: from.port.protected && to.port.protected,
    },
    carried: from.carried.union(to.carried),
    egress: [...to.egress, ...leftOver],
  };
}

const cvlansOf = ({ port }: PortView): VlanSet => port.cvlans ?? VlanSet.all;

/** From the frame within the bridge, always tagged, to the frame on a port's wire. */
export function encodingActions(encoding: Encoding): Action[] {
  switch (encoding) {
    case 'tagged':
      return [];
    case 'untagged':
      return [{ type: 'POP_VLAN' }];
    case 'priority-tagged':
      return [{ type: 'SET_FIELD', field: { vlan_vid: PRESENT } }];
  }
}

/** Frames tagged with one of a block of VLAN ids. */
export function matchVids({ value, mask }: MaskedVid): MatchField {
  return mask === 0xfff ? PRESENT | value : { value: PRESENT | value, mask: PRESENT | mask };
}

/** Whether only some customer VLANs may pass a dot1q-tunnel. */
export function limitsCustomers(view: PortView): boolean {
  return view.port.vlanMode === 'dot1q-tunnel' && view.port.cvlans !== null;
}
