/**
 * Bridges, ports and interfaces as `ovs-vsctl` speaks of them: a port with `fake_bridge` and a tag is a bridge as well,
 * whose ports are those of its parent that have the same tag.
 */
import type { Datum } from '../../ovsdb/index.js';
import { setOf } from '../../ovsdb/index.js';
import { Fatal } from '../fatal.js';
import type { Transaction } from './transaction.js';

export interface BridgeNode {
  readonly name: string;
  /** Of the Bridge row; of the Port row for a fake bridge. */
  readonly uuid: string;
  /** Of a fake bridge. */
  readonly parent: BridgeNode | null;
  readonly vlan: number;
  readonly children: BridgeNode[];
  readonly ports: Set<PortNode>;
}

export interface PortNode {
  readonly name: string;
  readonly uuid: string;
  /** The fake bridge, for a port in its VLAN. */
  readonly bridge: BridgeNode;
  readonly interfaces: InterfaceNode[];
}

export interface InterfaceNode {
  readonly name: string;
  readonly uuid: string;
  readonly port: PortNode;
}

export function isVlan(tag: number | undefined): tag is number {
  return tag !== undefined && tag >= 0 && tag <= 4095;
}

/** Bridges come in the order of the root's set of them, which is that of their uuids. */
export class Structure {
  readonly bridges = new Map<string, BridgeNode>();
  readonly ports = new Map<string, PortNode>();
  readonly interfaces = new Map<string, InterfaceNode>();

  constructor(
    private readonly txn: Transaction,
    readonly root: string,
  ) {
    const real: [BridgeNode, readonly string[]][] = [];
    for (const uuid of this.#references('Open_vSwitch', root, 'bridges')) {
      const name = txn.text('Bridge', uuid, 'name') ?? '';
      if (this.bridges.has(name)) continue;
      const ports = this.#references('Bridge', uuid, 'ports');
      const bridge = this.#addBridge({ name, uuid, parent: null, vlan: 0 });
      real.push([bridge, ports]);
      for (const port of ports) this.#addFakeBridge(bridge, port);
    }
    for (const [bridge, ports] of real) for (const port of ports) this.#readPort(bridge, port);
  }

  /** @throws Fatal where there is none of that name */
  bridge(name: string): BridgeNode {
    const bridge = this.bridges.get(name);
    if (!bridge) throw new Fatal(`no bridge named ${name}`);
    return bridge;
  }

  /** @throws Fatal where there is none of that name, or only a fake one */
  realBridge(name: string): BridgeNode {
    const bridge = this.bridge(name);
    if (bridge.parent) throw new Fatal(`${name} is a fake bridge`);
    return bridge;
  }

  port(name: string): PortNode {
    const port = this.ports.get(name);
    if (!port || port.name === port.bridge.name) throw new Fatal(`no port named ${name}`);
    return port;
  }

  interface(name: string): InterfaceNode {
    const found = this.interfaces.get(name);
    if (!found || found.name === found.port.bridge.name) throw new Fatal(`no interface named ${name}`);
    return found;
  }

  /** @throws Fatal, beginning with `message`, where the name is taken */
  checkConflicts(name: string, message: string): void {
    for (const uuid of this.#references('Open_vSwitch', this.root, 'bridges')) {
      this.txn.verify('Open_vSwitch', this.root, 'bridges');
      if (this.txn.text('Bridge', uuid, 'name') === name) break;
    }
    if (this.bridges.has(name)) throw new Fatal(`${message} because a bridge named ${name} already exists`);
    const port = this.ports.get(name);
    if (port) {
      const where = port.bridge.name;
      throw new Fatal(`${message} because a port named ${name} already exists on bridge ${where}`);
    }
    const iface = this.interfaces.get(name);
    if (iface) {
      const where = iface.port.bridge.name;
      throw new Fatal(`${message} because an interface named ${name} already exists on bridge ${where}`);
    }
  }

  vlanBridge(parent: BridgeNode, vlan: number): BridgeNode | undefined {
    return parent.children.find((child) => child.vlan === vlan);
  }

  /** Makes a bridge with its own port. */
  createBridge(name: string): void {
    const { txn } = this;
    const uuid = txn.insert('Bridge');
    txn.set('Bridge', uuid, 'name', setOf([name]));
    txn.insertInto('Open_vSwitch', this.root, 'bridges', uuid);
    const bridge = this.#addBridge({ name, uuid, parent: null, vlan: 0 });
    this.createPort(bridge, name, [name]);
    this.#setType(name, 'internal');
  }

  createFakeBridge(name: string, parent: BridgeNode, vlan: number): void {
    const port = this.createPort(parent, name, [name]);
    this.txn.set('Port', port.uuid, 'fake_bridge', setOf([true]));
    this.txn.set('Port', port.uuid, 'tag', setOf([vlan]));
    this.#setType(name, 'internal');
    this.#forgetPort(port);
    this.#addFakeBridge(parent, port.uuid);
    this.#readPort(parent, port.uuid);
  }

  /** Adds a port to a bridge; to the parent, in its VLAN, for a fake bridge. */
  createPort(bridge: BridgeNode, name: string, interfaces: readonly string[]): PortNode {
    const { txn } = this;
    const uuid = txn.insert('Port');
    txn.set('Port', uuid, 'name', setOf([name]));
    const nodes = interfaces.map((iface) => {
      const ifaceUuid = txn.insert('Interface');
      txn.set('Interface', ifaceUuid, 'name', setOf([iface]));
      txn.insertInto('Port', uuid, 'interfaces', ifaceUuid);
      return { name: iface, uuid: ifaceUuid };
    });
    if (bridge.parent) txn.set('Port', uuid, 'tag', setOf([bridge.vlan]));
    txn.insertInto('Bridge', (bridge.parent ?? bridge).uuid, 'ports', uuid);
    return this.#addPort(bridge, name, uuid, nodes);
  }

  removePort(port: PortNode): void {
    const { bridge } = port;
    this.txn.removeFrom('Bridge', (bridge.parent ?? bridge).uuid, 'ports', port.uuid);
    this.#deletePort(port);
  }

  removeBridge(bridge: BridgeNode): void {
    for (const child of [...bridge.children]) this.removeBridge(child);
    // The ports of a real bridge go with it: nothing else refers to them.
    for (const port of bridge.ports) {
      if (bridge.parent) this.removePort(port);
      else this.#deletePort(port);
    }
    if (bridge.parent) bridge.parent.children.splice(bridge.parent.children.indexOf(bridge), 1);
    else {
      this.txn.removeFrom('Open_vSwitch', this.root, 'bridges', bridge.uuid);
      this.txn.delete('Bridge', bridge.uuid);
    }
    this.bridges.delete(bridge.name);
  }

  // -------------------------------------------------------------------------------------------------------------

  #setType(name: string, type: string): void {
    const iface = this.interfaces.get(name);
    if (iface) this.txn.set('Interface', iface.uuid, 'type', setOf([type]));
  }

  #references(table: string, uuid: string, column: string): string[] {
    return this.txn.get(table, uuid, column).keys.map(String);
  }

  #addBridge(given: Pick<BridgeNode, 'name' | 'uuid' | 'parent' | 'vlan'>): BridgeNode {
    const bridge = { ...given, children: [], ports: new Set<PortNode>() };
    this.bridges.set(bridge.name, bridge);
    bridge.parent?.children.push(bridge);
    return bridge;
  }

  #addFakeBridge(parent: BridgeNode, port: string): void {
    const name = this.txn.text('Port', port, 'name') ?? '';
    const vlan = numberIn(this.txn.get('Port', port, 'tag'));
    const isFake = this.txn.get('Port', port, 'fake_bridge').keys[0] === true;
    if (!isFake || !isVlan(vlan) || this.bridges.has(name)) return;
    this.#addBridge({ name, uuid: port, parent, vlan });
  }

  #readPort(bridge: BridgeNode, uuid: string): void {
    const name = this.txn.text('Port', uuid, 'name') ?? '';
    if (this.ports.has(name)) return;
    const tag = numberIn(this.txn.get('Port', uuid, 'tag'));
    const vlanBridge = isVlan(tag) ? this.vlanBridge(bridge, tag) : undefined;
    const nodes = this.#references('Port', uuid, 'interfaces').map((iface) => {
      return { name: this.txn.text('Interface', iface, 'name') ?? '', uuid: iface };
    });
    this.#addPort(vlanBridge ?? bridge, name, uuid, nodes);
  }

  #addPort(
    bridge: BridgeNode,
    name: string,
    uuid: string,
    interfaces: readonly { name: string; uuid: string }[],
  ): PortNode {
    const port: PortNode = { name, uuid, bridge, interfaces: [] };
    for (const each of interfaces) {
      const node = { ...each, port };
      port.interfaces.push(node);
      if (!this.interfaces.has(each.name)) this.interfaces.set(each.name, node);
    }
    this.ports.set(name, port);
    bridge.ports.add(port);
    return port;
  }

  /** Commands that follow look for records by name: they must not find what goes. */
  #deletePort(port: PortNode): void {
    this.txn.delete('Port', port.uuid);
    for (const { uuid } of port.interfaces) this.txn.delete('Interface', uuid);
    this.#forgetPort(port);
  }

  #forgetPort(port: PortNode): void {
    this.ports.delete(port.name);
    port.bridge.ports.delete(port);
    for (const { name } of port.interfaces) this.interfaces.delete(name);
  }
}

function numberIn(datum: Datum): number | undefined {
  const [atom] = datum.keys;
  return typeof atom === 'number' ? atom : undefined;
}
