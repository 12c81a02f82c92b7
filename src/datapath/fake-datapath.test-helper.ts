/** weft-datapath's control channel over a unix socket, remembering what it was told. */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { LineReader } from './lines.js';
import type { BridgeParams, PortInfo, PortParams } from './protocol.js';

export class FakeDatapath {
  readonly bridges = new Map<string, { params: BridgeParams; ports: Map<string, PortInfo> }>();
  /** Methods with the name they are about, in order. */
  readonly calls: string[] = [];
  /** Names whose `ensure` fails, with why. */
  readonly refuses = new Map<string, string>();
  #server: Server | null = null;
  readonly #sockets = new Set<Socket>();

  constructor(readonly path: string) {}

  start(): Promise<void> {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
      const reader = new LineReader();
      socket.on('data', (chunk: Buffer) => {
        for (const line of reader.push(chunk)) socket.write(`${JSON.stringify(this.#answer(JSON.parse(line) as Request))}\n`);
      });
    });
    return new Promise((resolve) => this.#server?.listen(this.path, resolve));
  }

  /** As kill -9 does: connections end, memory is gone. */
  async die(): Promise<void> {
    this.bridges.clear();
    this.calls.length = 0;
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    this.#server = null;
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  change(bridge: string, port: Partial<PortInfo> & { name: string }): void {
    const info = this.bridges.get(bridge)?.ports.get(port.name);
    if (!info) throw new Error(`no port ${port.name}`);
    Object.assign(info, port);
    const params = { bridge, port: info, change: 'modified' };
    for (const socket of this.#sockets) socket.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'port.changed', params })}\n`);
  }

  #answer({ id, method, params }: Request): object {
    const name = typeof params['name'] === 'string' ? params['name'] : '';
    this.calls.push(name === '' ? method : `${method} ${name}`);
    const refused = method.endsWith('.ensure') ? this.refuses.get(name) : undefined;
    if (refused !== undefined) return { jsonrpc: '2.0', id, error: { code: -32000, message: refused, data: { code: 'in-use' } } };
    return { jsonrpc: '2.0', id, result: this.#result(method, name, params) };
  }

  #result(method: string, name: string, params: Record<string, unknown>): unknown {
    const bridge = this.bridges.get(String(params['bridge']));
    switch (method) {
      case 'version':
        return { name: 'weft-datapath', version: '0', api: 1, pid: 1, startedAtMs: 0, forwarding: 'user-space' };
      case 'bridge.list':
        return [...this.bridges.values()].map((each) => each.params);
      case 'bridge.ensure': {
        const created = !this.bridges.has(name);
        const ports = this.bridges.get(name)?.ports ?? new Map<string, PortInfo>();
        this.bridges.set(name, { params: params as unknown as BridgeParams, ports });
        return { name, datapathId: params['datapathId'], created };
      }
      case 'bridge.remove':
        return { removed: this.bridges.delete(name) };
      case 'port.list':
        return [...(bridge?.ports.values() ?? [])];
      case 'port.ensure': {
        const { type, ofport = 0, mac = null, mtu = 1500 } = params as unknown as PortParams;
        const info = { name, type, ofport, mac, mtu, ifindex: 9, adminUp: true, linkUp: true, speedMbps: 1000, present: true };
        bridge?.ports.set(name, info);
        return info;
      }
      case 'port.remove':
        return { removed: bridge?.ports.delete(name) ?? false };
    }
    return {};
  }
}

interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: Record<string, unknown>;
}
