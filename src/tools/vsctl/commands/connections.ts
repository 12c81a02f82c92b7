/** Controllers, fail mode, managers, TLS files (ovs-vsctl(8), "OpenFlow Controller Connectivity" and on). */
import { setOf } from '../../../ovsdb/index.js';
import { Fatal } from '../../fatal.js';
import { define, needStructure } from '../command.js';
import type { Command, Context } from '../command.js';

const EVER = Number.MAX_SAFE_INTEGER;

const needControllers: Command['needs'] = (needs) => {
  needStructure(needs);
  needs.add('Bridge', 'controller', 'fail_mode');
  needs.add('Controller', 'target');
};
const needManagers: Command['needs'] = (needs) => {
  needs.add('Open_vSwitch', 'manager_options');
  needs.add('Manager', 'target');
};
const needSsl: Command['needs'] = (needs) => {
  needs.add('Open_vSwitch', 'ssl');
  needs.addAll('SSL');
};

export const connectionCommands: readonly Command[] = [
  define('get-controller', [1, 1], [], needControllers, (context) => {
    const bridge = context.structure().bridge(context.args[0] ?? '');
    printTargets(context, 'Controller', 'Bridge', (bridge.parent ?? bridge).uuid, 'controller');
  }),
  define('del-controller', [1, 1], [], needControllers, (context) => {
    const { uuid } = context.structure().realBridge(context.args[0] ?? '');
    setTargets(context, 'Controller', 'Bridge', uuid, 'controller', []);
  }),
  define('set-controller', [1, EVER], ['--inactivity-probe='], needControllers, (context) => {
    const [name = '', ...targets] = context.args;
    const { uuid } = context.structure().realBridge(name);
    setTargets(context, 'Controller', 'Bridge', uuid, 'controller', targets);
  }),
  define('get-fail-mode', [1, 1], [], needControllers, (context) => {
    const bridge = context.structure().bridge(context.args[0] ?? '');
    const mode = context.txn.text('Bridge', (bridge.parent ?? bridge).uuid, 'fail_mode');
    if (mode !== undefined) context.print(mode);
  }),
  define('del-fail-mode', [1, 1], [], needControllers, (context) => {
    const { uuid } = context.structure().realBridge(context.args[0] ?? '');
    context.txn.set('Bridge', uuid, 'fail_mode', setOf([]));
  }),
  define('set-fail-mode', [2, 2], [], needControllers, (context) => {
    const [name = '', mode = ''] = context.args;
    const { uuid } = context.structure().realBridge(name);
    if (mode !== 'standalone' && mode !== 'secure') {
      throw new Fatal('fail-mode must be "standalone" or "secure"');
    }
    context.txn.set('Bridge', uuid, 'fail_mode', setOf([mode]));
  }),
  define('get-manager', [0, 0], [], needManagers, (context) => {
    printTargets(context, 'Manager', 'Open_vSwitch', context.root, 'manager_options');
  }),
  define('del-manager', [0, 0], [], needManagers, (context) => {
    setTargets(context, 'Manager', 'Open_vSwitch', context.root, 'manager_options', []);
  }),
  define('set-manager', [1, EVER], ['--inactivity-probe='], needManagers, (context) => {
    setTargets(context, 'Manager', 'Open_vSwitch', context.root, 'manager_options', context.args);
  }),
  define('get-ssl', [0, 0], [], needSsl, getSsl),
  define('del-ssl', [0, 0], [], needSsl, (context) => {
    context.txn.verify('Open_vSwitch', context.root, 'ssl');
    context.txn.set('Open_vSwitch', context.root, 'ssl', setOf([]));
  }),
  define('set-ssl', [3, 3], ['--bootstrap'], needSsl, (context) => {
    const [key = '', certificate = '', caCert = ''] = context.args;
    const { txn } = context;
    const uuid = txn.insert('SSL');
    txn.set('SSL', uuid, 'private_key', setOf([key]));
    txn.set('SSL', uuid, 'certificate', setOf([certificate]));
    txn.set('SSL', uuid, 'ca_cert', setOf([caCert]));
    txn.set('SSL', uuid, 'bootstrap_ca_cert', setOf([context.options.has('--bootstrap')]));
    txn.set('Open_vSwitch', context.root, 'ssl', setOf([uuid]));
  }),
];

function printTargets(context: Context, table: string, owner: string, uuid: string, column: string): void {
  const { txn } = context;
  const targets = txn
    .get(owner, uuid, column)
    .keys.map((each) => txn.text(table, String(each), 'target') ?? '');
  for (const target of targets.sort()) context.print(target);
}

/** Replaces all; rows that nothing refers to any more go by themselves. */
function setTargets(
  context: Context,
  table: string,
  owner: string,
  uuid: string,
  column: string,
  targets: readonly string[],
): void {
  const { txn, options } = context;
  const probe = options.get('--inactivity-probe');
  const rows = [...new Set(targets)].sort().map((target) => {
    checkTarget(context, target);
    const row = txn.insert(table);
    txn.set(table, row, 'target', setOf([target]));
    if (probe !== undefined && probe !== null)
      txn.set(table, row, 'inactivity_probe', setOf([Number(probe)]));
    return row;
  });
  txn.verify(owner, uuid, column);
  txn.set(owner, uuid, column, setOf(rows));
}

function checkTarget(context: Context, target: string): void {
  if (/^p?(tcp|ssl|unix):/.test(target)) return;
  const colon = target.indexOf(':');
  context.warn(`target type "${colon < 0 ? target : target.slice(0, colon)}" is possibly erroneous`);
}

function getSsl(context: Context): void {
  const { txn, root } = context;
  const ssl = txn.text('Open_vSwitch', root, 'ssl');
  if (ssl === undefined) return;
  const text = (column: string) => txn.text('SSL', ssl, column) ?? '';
  context.print(`Private key: ${text('private_key')}`);
  context.print(`Certificate: ${text('certificate')}`);
  context.print(`CA Certificate: ${text('ca_cert')}`);
  context.print(`Bootstrap: ${txn.get('SSL', ssl, 'bootstrap_ca_cert').keys[0] === true ? 'true' : 'false'}`);
}
