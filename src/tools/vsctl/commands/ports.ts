/** Commands on ports and interfaces (ovs-vsctl(8), "Port Commands", "Interface Commands"). */
import { setOf } from '../../../ovsdb/index.js';
import { Fatal } from '../../fatal.js';
import { define, needStructure } from '../command.js';
import type { Command, Context } from '../command.js';
import type { BridgeNode, PortNode } from '../structure.js';
import { needSettings, setColumn } from './set-column.js';

const EVER = Number.MAX_SAFE_INTEGER;

export const portCommands: readonly Command[] = [
  define('list-ports', [1, 1], [], needStructure, (context) => {
    const bridge = context.structure().bridge(context.args[0] ?? '');
    const names = [...bridge.ports].map(({ name }) => name).filter((name) => name !== bridge.name);
    for (const name of names.sort()) context.print(name);
  }),
  define('add-port', [2, EVER], ['--may-exist'], needPorts, (context) => {
    const [bridge = '', port = '', ...settings] = context.args;
    addPort(context, bridge, port, [port], settings);
  }),
  define('add-bond', [4, EVER], ['--may-exist', '--fake-iface'], needPorts, (context) => {
    const [bridge = '', port = '', ...rest] = context.args;
    const firstSetting = rest.findIndex((word) => word.includes('='));
    const count = firstSetting < 0 ? rest.length : firstSetting;
    if (count < 2) {
      throw new Fatal(`add-bond requires at least 2 interfaces, but only ${count} were specified`);
    }
    addPort(context, bridge, port, rest.slice(0, count), rest.slice(count));
  }),
  define('add-bond-iface', [2, 2], ['--may-exist'], needPorts, addBondInterface),
  define('del-bond-iface', [1, 2], ['--if-exists'], needPorts, deleteBondInterface),
  define('del-port', [1, 2], ['--if-exists', '--with-iface'], needPorts, deletePort),
  define('port-to-br', [1, 1], [], needStructure, (context) => {
    context.print(context.structure().port(context.args[0] ?? '').bridge.name);
  }),
  define('list-ifaces', [1, 1], [], needStructure, (context) => {
    const bridge = context.structure().bridge(context.args[0] ?? '');
    const names = [...bridge.ports].flatMap(({ interfaces }) => interfaces.map(({ name }) => name));
    for (const name of names.filter((each) => each !== bridge.name).sort()) context.print(name);
  }),
  define('iface-to-br', [1, 1], [], needStructure, (context) => {
    context.print(context.structure().interface(context.args[0] ?? '').port.bridge.name);
  }),
];

function needPorts(...[needs, args, , schema]: Parameters<Command['needs']>): void {
  needStructure(needs);
  needs.add('Port', 'bond_fake_iface');
  needSettings(needs, schema, 'Port', args.slice(2));
}

function addPort(
  context: Context,
  bridgeName: string,
  name: string,
  interfaces: readonly string[],
  settings: readonly string[],
): void {
  const structure = context.structure();
  const bridge = structure.bridge(bridgeName);
  if (name === '') throw new Fatal('port name must not be empty string');
  if (interfaces.includes('')) throw new Fatal('interface name must not be empty string');
  const existing = context.options.has('--may-exist') ? structure.ports.get(name) : undefined;
  if (existing) return checkExisting(context, existing, bridge, interfaces);
  structure.checkConflicts(name, `cannot create a port named ${name}`);
  for (const each of interfaces) {
    if (each !== name) structure.checkConflicts(each, `cannot create an interface named ${each}`);
  }
  const repeated = interfaces.find((each, i) => interfaces.indexOf(each) !== i);
  if (repeated !== undefined) {
    throw new Fatal(
      `cannot create an interface named ${repeated} because an interface named ${repeated} already exists on bridge ${bridge.name}`,
    );
  }
  const port = structure.createPort(bridge, name, interfaces);
  for (const each of interfaces) context.expected.add(each);
  if (context.options.has('--fake-iface')) {
    context.txn.set('Port', port.uuid, 'bond_fake_iface', setOf([true]));
  }
  for (const setting of settings) setColumn(context, 'Port', port.uuid, setting);
  // A tag may have put it into another VLAN's bridge.
  if (settings.length > 0) context.invalidate();
}

function checkExisting(context: Context, port: PortNode, wanted: BridgeNode, names: readonly string[]): void {
  const verb = names.length > 1 ? 'add-bond' : 'add-port';
  const more = names.length > 1 ? names : [];
  const command = `"${[...context.options.keys(), verb, wanted.name, port.name, ...more].join(' ')}"`;
  if (port.bridge !== wanted) {
    throw new Fatal(`${command} but ${port.name} is actually attached to bridge ${port.bridge.name}`);
  }
  const [want, have] = [names, port.interfaces.map(({ name }) => name)].map((list) =>
    [...list].sort().join(', '),
  );
  if (want !== have) throw new Fatal(`${command} but ${port.name} actually has interface(s) ${have}`);
}

function addBondInterface(context: Context): void {
  const [portName = '', name = ''] = context.args;
  const structure = context.structure();
  const port = structure.port(portName);
  const existing = context.options.has('--may-exist') ? structure.interfaces.get(name) : undefined;
  if (existing) {
    if (existing.port === port) return;
    throw new Fatal(
      `"--may-exist add-bond-iface ${portName} ${name}" but ${name} is actually attached to port ${existing.port.name}`,
    );
  }
  structure.checkConflicts(name, `cannot create an interface named ${name}`);
  const uuid = context.txn.insert('Interface');
  context.txn.set('Interface', uuid, 'name', setOf([name]));
  context.txn.insertInto('Port', port.uuid, 'interfaces', uuid);
  context.expected.add(name);
  context.invalidate();
}

function deleteBondInterface(context: Context): void {
  const { args } = context;
  const [portName, name = ''] = args.length === 2 ? args : [undefined, ...args];
  const structure = context.structure();
  const iface = structure.interfaces.get(name);
  if (!iface) {
    if (context.options.has('--if-exists')) return;
    throw new Fatal(`no interface named ${name}`);
  }
  if (portName !== undefined && structure.port(portName) !== iface.port) {
    if (context.options.has('--if-exists')) return;
    throw new Fatal(`port ${portName} does not have an interface ${name}`);
  }
  if (iface.port.interfaces.length === 1) {
    throw new Fatal(`cannot delete last interface from port ${iface.port.name}`);
  }
  context.txn.removeFrom('Port', iface.port.uuid, 'interfaces', iface.uuid);
  context.invalidate();
}

function deletePort(context: Context): void {
  const { args, options } = context;
  const [bridgeName, name = ''] = args.length === 2 ? args : [undefined, ...args];
  const structure = context.structure();
  const mustExist = !options.has('--if-exists');
  const port =
    structure.ports.get(name) ??
    (options.has('--with-iface') ? structure.interfaces.get(name)?.port : undefined);
  if (!port) {
    if (!mustExist) return;
    throw new Fatal(
      options.has('--with-iface') ? `no port or interface named ${name}` : `no port named ${name}`,
    );
  }
  if (bridgeName === undefined) {
    if (port.name === port.bridge.name) {
      if (!mustExist) return;
      throw new Fatal(
        `cannot delete port ${name} because it is the local port for bridge ${port.bridge.name} (deleting this port requires deleting the entire bridge)`,
      );
    }
  } else {
    const bridge = structure.bridge(bridgeName);
    if (port.bridge !== bridge) {
      if (port.bridge.parent === bridge) {
        throw new Fatal(
          `bridge ${bridgeName} does not have a port ${name} (although its child bridge ${port.bridge.name} does)`,
        );
      }
      throw new Fatal(`bridge ${bridgeName} does not have a port ${name}`);
    }
  }
  structure.removePort(port);
}
