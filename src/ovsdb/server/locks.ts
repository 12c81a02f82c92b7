/** Locks (RFC 7047 §4.1.8 to §4.1.10): each has an owner and those who wait for it, first come first served. */

/** What somebody other than the caller has to be told. */
export interface LockEvent<Client> {
  readonly client: Client;
  readonly method: 'locked' | 'stolen';
  readonly lock: string;
}

export class Locks<Client> {
  /** The first of each queue is the owner. */
  readonly #queues = new Map<string, Client[]>();

  owner(lock: string): Client | undefined {
    return this.#queues.get(lock)?.[0];
  }

  /** Whether the client has asked for the lock and not given it back. */
  isQueued(lock: string, client: Client): boolean {
    return this.#queues.get(lock)?.includes(client) ?? false;
  }

  /** Whether the client owns the lock at once; else it hears when it does. */
  lock(lock: string, client: Client): boolean {
    const queue = this.#queues.get(lock) ?? [];
    queue.push(client);
    this.#queues.set(lock, queue);
    return queue[0] === client;
  }

  /** The client owns the lock now; who had it waits to get it back. */
  steal(lock: string, client: Client): LockEvent<Client>[] {
    const queue = this.#queues.get(lock) ?? [];
    const [victim] = queue;
    queue.unshift(client);
    this.#queues.set(lock, queue);
    return victim === undefined ? [] : [{ client: victim, method: 'stolen', lock }];
  }

  unlock(lock: string, client: Client): LockEvent<Client>[] {
    const queue = this.#queues.get(lock) ?? [];
    const index = queue.indexOf(client);
    if (index < 0) return [];
    queue.splice(index, 1);
    const [next] = queue;
    if (next === undefined) this.#queues.delete(lock);
    return index === 0 && next !== undefined ? [{ client: next, method: 'locked', lock }] : [];
  }

  /** The client is gone. */
  release(client: Client): LockEvent<Client>[] {
    return [...this.#queues.keys()].flatMap((lock) => this.unlock(lock, client));
  }
}
