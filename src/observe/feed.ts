/** What switches, datapath and configuration say, as events. */
import type { Reading } from '../config/index.js';
import type { DatapathEvent } from '../datapath/orchestrator.js';
import type { PortInfo } from '../datapath/protocol.js';
import type { Bridge, MacAddress, Vid } from '../domain/index.js';
import type { SwitchEvent } from '../switches/driver.js';
import type { EventHub, NewEvent } from './events.js';

export class EventFeed {
  #bridges: readonly Bridge[] | null = null;

  constructor(private readonly hub: Pick<EventHub, 'publish' | 'publishAs'>) {}

  /** An event of a bridge's switch. */
  ofSwitch({ name, connection }: Pick<Bridge, 'name' | 'connection'>, event: SwitchEvent): void {
    // Of the ports of our own switch the datapath tells more.
    if (event.kind === 'port' && connection.kind === 'weft') return;
    if (event.kind === 'learned') this.hub.publishAs(name, learnEvent, event.vlan, event.mac, event.port);
    else this.hub.publishAs(name, switchEvent, event);
  }

  ofDatapath(event: DatapathEvent): void {
    if (event.kind === 'port') this.#port(event.bridge, event.change, event.port, event.before);
    else {
      const { kind: state } = event;
      const because = event.kind === 'disconnected' ? { because: event.because } : {};
      this.hub.publish({ kind: 'connect', bridge: null, data: { to: 'weft-datapath', state, ...because } });
    }
  }

  /** A new reading of the configuration: what differs from the one before. */
  ofConfiguration({ network }: Reading): void {
    const before = this.#bridges;
    this.#bridges = network.bridges;
    if (before === null) return;
    for (const { name } of before) {
      if (!network.bridges.some((bridge) => bridge.name === name)) this.#config(name, { change: 'removed' });
    }
    for (const bridge of network.bridges) {
      const old = before.find(({ name }) => name === bridge.name);
      if (!old) this.#config(bridge.name, { change: 'added' });
      else if (old !== bridge) this.#bridgeChanged(old, bridge);
    }
  }

  #bridgeChanged(before: Bridge, after: Bridge): void {
    const { ports: oldPorts, ...oldSettings } = before;
    const { ports, ...settings } = after;
    const old = new Map(oldPorts.map((port) => [port.name, port]));
    const added: string[] = [];
    const changed: string[] = [];
    for (const port of ports) {
      const known = old.get(port.name);
      old.delete(port.name);
      if (!known) added.push(port.name);
      else if (!isSame(known, port)) changed.push(port.name);
    }
    const removed = [...old.keys()];
    const isSettings = !isSame(oldSettings, settings);
    if (!isSettings && added.length + changed.length + removed.length === 0) return;
    this.#config(after.name, {
      change: 'modified',
      settings: isSettings,
      ports: { added, changed, removed },
    });
  }

  #config(bridge: string, data: Record<string, unknown>): void {
    this.hub.publish({ kind: 'config', bridge, data });
  }

  #port(bridge: string, change: string, port: PortInfo, before: PortInfo | undefined): void {
    const { name, ofport, adminUp, linkUp, present, speedMbps } = port;
    const isLink =
      before && before.present === present && (before.adminUp !== adminUp || before.linkUp !== linkUp);
    const data = { port: name, ofport, adminUp, linkUp, present, speedMbps };
    this.hub.publish(
      change === 'modified' && isLink
        ? { kind: 'link', bridge, data }
        : { kind: 'port', bridge, data: { change, ...data } },
    );
  }
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a, ordered) === JSON.stringify(b, ordered);
}

/** Sets and maps have no JSON of their own. */
function ordered(_key: string, value: unknown): unknown {
  if (value instanceof Map) return [...(value as Map<unknown, unknown>)];
  if (value instanceof Set) return [...(value as Set<unknown>)];
  return typeof value === 'bigint' ? String(value) : value;
}

function learnEvent(vlan: Vid, mac: MacAddress, port: string): Pick<NewEvent, 'kind' | 'data'> {
  return { kind: 'learn', data: { vlan, mac, port } };
}

function switchEvent(event: Exclude<SwitchEvent, { kind: 'learned' }>): Pick<NewEvent, 'kind' | 'data'> {
  switch (event.kind) {
    case 'moved': {
      const { vlan, mac, port, from } = event;
      return { kind: 'move', data: { vlan, mac, port, from: from ?? null } };
    }
    case 'aged':
    case 'evicted':
    case 'flushed': {
      const { vlan, mac, port } = event;
      return { kind: 'age', data: { vlan, mac, port, because: event.kind } };
    }
    case 'connected':
      return { kind: 'connect', data: { to: 'switch', state: 'connected', datapathId: event.datapathId } };
    case 'disconnected':
      return { kind: 'connect', data: { to: 'switch', state: 'disconnected', because: event.because } };
    case 'in-sync': {
      const { flowAdds, flowModifies, flowDeletes } = event;
      return {
        kind: 'connect',
        data: { to: 'switch', state: 'in-sync', flowAdds, flowModifies, flowDeletes },
      };
    }
    case 'error':
      return { kind: 'connect', data: { to: 'switch', state: 'error', because: event.message } };
    case 'bond': {
      const { bond, message } = event;
      return { kind: 'port', data: { change: 'bond', port: bond, message } };
    }
    case 'port': {
      const { change, port } = event;
      const { name, ofport, isAdminUp: adminUp, isLinkUp: linkUp } = port;
      return { kind: 'port', data: { change, port: name, ofport, adminUp, linkUp } };
    }
  }
}
