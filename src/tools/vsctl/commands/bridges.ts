/** Commands on bridges (ovs-vsctl(8), "Bridge Commands"). */
import { mapOf, pairs, setOf } from '../../../ovsdb/index.js';
import { Fatal } from '../../fatal.js';
import { Exit, define, needStructure } from '../command.js';
import type { Command, Context } from '../command.js';
import { isVlan } from '../structure.js';
import type { BridgeNode } from '../structure.js';

export const bridgeCommands: readonly Command[] = [
  define('add-br', [1, 3], ['--may-exist'], needStructure, addBridge),
  define('del-br', [1, 1], ['--if-exists'], needStructure, (context) => {
    const [name = ''] = context.args;
    const structure = context.structure();
    if (context.options.has('--if-exists') && !structure.bridges.has(name)) return;
    structure.removeBridge(structure.bridge(name));
  }),
  define('list-br', [0, 0], ['--real', '--fake'], needStructure, (context) => {
    const [real, fake] = [context.options.has('--real'), context.options.has('--fake')];
    const bridges = [...context.structure().bridges.values()].filter(({ parent }) =>
      parent ? fake || !real : real || !fake,
    );
    for (const name of bridges.map((bridge) => bridge.name).sort()) context.print(name);
  }),
  define('br-exists', [1, 1], [], needStructure, (context) => {
    if (!context.structure().bridges.has(context.args[0] ?? '')) throw new Exit(2);
  }),
  define('br-to-vlan', [1, 1], [], needStructure, (context) => {
    context.print(String(context.structure().bridge(context.args[0] ?? '').vlan));
  }),
  define('br-to-parent', [1, 1], [], needStructure, (context) => {
    const bridge = context.structure().bridge(context.args[0] ?? '');
    context.print((bridge.parent ?? bridge).name);
  }),
  define(
    'br-set-external-id',
    [2, 3],
    [],
    (needs) => {
      needStructure(needs);
      needs.add('Bridge', 'external_ids');
      needs.add('Port', 'external_ids');
    },
    setExternalId,
  ),
  define(
    'br-get-external-id',
    [1, 2],
    [],
    (needs) => {
      needStructure(needs);
      needs.add('Bridge', 'external_ids');
      needs.add('Port', 'external_ids');
    },
    getExternalId,
  ),
];

function addBridge(context: Context): void {
  const { args, options } = context;
  const [name = '', parentName, vlanText] = args;
  const structure = context.structure();
  if (name === '') throw new Fatal('bridge name must not be empty string');
  if (args.length === 2) throw new Fatal(`'add-br' command takes exactly 1 or 3 arguments`);
  const vlan = Number(vlanText ?? 0);
  if (vlanText !== undefined && (!/^\s*\d+$/.test(vlanText) || !isVlan(vlan))) {
    throw new Fatal('add-br: vlan must be between 0 and 4095');
  }
  const existing = options.has('--may-exist') ? structure.bridges.get(name) : undefined;
  if (existing) return checkExisting(existing, parentName, vlan);
  structure.checkConflicts(name, `cannot create a bridge named ${name}`);
  context.expected.add(name);
  if (parentName === undefined) return structure.createBridge(name);
  const parent = structure.bridges.get(parentName);
  if (parent?.parent) throw new Fatal('cannot create bridge with fake bridge as parent');
  if (!parent) throw new Fatal(`parent bridge ${parentName} does not exist`);
  const sibling = structure.vlanBridge(parent, vlan);
  if (sibling) {
    throw new Fatal(`bridge ${parentName} already has a child VLAN bridge ${sibling.name} on VLAN ${vlan}`);
  }
  structure.createFakeBridge(name, parent, vlan);
}

/** `--may-exist`: what is there must be what would have been made. */
function checkExisting(bridge: BridgeNode, parentName: string | undefined, vlan: number): void {
  const { name, parent } = bridge;
  if (parentName === undefined) {
    if (!parent) return;
    throw new Fatal(`"--may-exist add-br ${name}" but ${name} is a VLAN bridge for VLAN ${bridge.vlan}`);
  }
  const command = `"--may-exist add-br ${name} ${parentName} ${vlan}"`;
  if (!parent) throw new Fatal(`${command} but ${name} is not a VLAN bridge`);
  if (parent.name !== parentName) {
    throw new Fatal(`${command} but ${name} has the wrong parent ${parent.name}`);
  }
  if (bridge.vlan !== vlan) {
    throw new Fatal(`${command} but ${name} is a VLAN bridge for the wrong VLAN ${bridge.vlan}`);
  }
}

/** A fake bridge keeps its own in its port, under longer names. */
const FAKE_PREFIX = 'fake-bridge-';

function externalIds(context: Context, bridge: BridgeNode) {
  const table = bridge.parent ? 'Port' : 'Bridge';
  const ids = new Map(pairs(context.txn.get(table, bridge.uuid, 'external_ids')));
  return { table, ids, prefix: bridge.parent ? FAKE_PREFIX : '' };
}

function setExternalId(context: Context): void {
  const [name = '', key = '', value] = context.args;
  const bridge = context.structure().bridge(name);
  const { table, ids, prefix } = externalIds(context, bridge);
  context.txn.verify(table, bridge.uuid, 'external_ids');
  if (value === undefined) ids.delete(prefix + key);
  else ids.set(prefix + key, value);
  context.txn.set(table, bridge.uuid, 'external_ids', mapOf(ids));
}

function getExternalId(context: Context): void {
  const [name = '', key] = context.args;
  const { ids, prefix } = externalIds(context, context.structure().bridge(name));
  const own = [...ids].filter(([each]) => String(each).startsWith(prefix));
  if (key === undefined) {
    for (const [each, value] of own) context.print(`${String(each).slice(prefix.length)}=${String(value)}`);
    return;
  }
  const value = ids.get(prefix + key);
  if (value !== undefined) context.print(String(value));
}

export const autoAttachCommands: readonly Command[] = [
  define('add-aa-mapping', [3, 3], [], needAutoAttach, (context) => {
    const { uuid } = context.structure().realBridge(context.args[0] ?? '');
    const [isid, vlan] = mappingOf(context);
    const attach = context.txn.text('Bridge', uuid, 'auto_attach') ?? context.txn.insert('AutoAttach');
    if (context.txn.get('Bridge', uuid, 'auto_attach').keys.length === 0) {
      context.txn.set('Bridge', uuid, 'auto_attach', setOf([attach]));
    }
    const mappings = new Map(pairs(context.txn.get('AutoAttach', attach, 'mappings')));
    context.txn.set('AutoAttach', attach, 'mappings', mapOf(mappings.set(isid, vlan)));
  }),
  define('del-aa-mapping', [3, 3], [], needAutoAttach, (context) => {
    const { uuid } = context.structure().realBridge(context.args[0] ?? '');
    const [isid, vlan] = mappingOf(context);
    const attach = context.txn.text('Bridge', uuid, 'auto_attach');
    if (attach === undefined) return;
    const kept = pairs(context.txn.get('AutoAttach', attach, 'mappings')).filter(
      ([key, value]) => key !== isid || value !== vlan,
    );
    context.txn.set('AutoAttach', attach, 'mappings', mapOf(kept));
  }),
  define('get-aa-mapping', [1, 1], [], needAutoAttach, (context) => {
    const { uuid } = context.structure().realBridge(context.args[0] ?? '');
    const attach = context.txn.text('Bridge', uuid, 'auto_attach');
    if (attach === undefined) return;
    for (const [isid, vlan] of pairs(context.txn.get('AutoAttach', attach, 'mappings'))) {
      context.print(`${String(isid)} ${String(vlan)}`);
    }
  }),
];

function needAutoAttach(...[needs]: Parameters<Command['needs']>): void {
  needStructure(needs);
  needs.add('Bridge', 'auto_attach');
  needs.add('AutoAttach', 'mappings');
}

function mappingOf({ args }: Context): [number, number] {
  const [isid, vlan] = [Number(args[1]), Number(args[2])];
  if (!(isid >= 0 && isid <= 0xffffff)) throw new Fatal(`Invalid argument ${args[1]}`);
  if (!isVlan(vlan)) throw new Fatal(`Invalid argument ${args[2]}`);
  return [isid, vlan];
}
