/** The control socket as `ovs-appctl` speaks to it: words in, text out; and whatever else may be sent. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CommandError, CommandTable, command } from './command.js';
import { Session } from './session.js';

function table(): CommandTable {
  return new CommandTable([
    command('echo', '[WORD]...', [0, 100], (words) => words.join(' ')),
    command('two', 'A B', [2, 2], ([a, b]) => `${b} ${a}`),
    command('wrong', '', [0, 0], () => {
      throw new CommandError('no such thing');
    }),
    command('broken', '', [0, 0], () => Promise.reject(new TypeError('a fault'))),
    command('slow', '', [0, 0], async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return 'done';
    }),
  ]);
}

class Client {
  readonly answers: { id: unknown; result: unknown; error: unknown }[] = [];
  readonly faults: string[] = [];
  refused: string | null = null;
  readonly session = new Session(table(), {
    send: (text) => void this.answers.push(JSON.parse(text) as (typeof this.answers)[number]),
    refuse: (because) => (this.refused = because),
    fault: (_, name) => void this.faults.push(name),
  });

  ask(method: string, ...params: unknown[]): void {
    this.send(JSON.stringify({ id: this.answers.length, method, params }));
  }

  send(text: string): void {
    this.session.receive(new TextEncoder().encode(text));
  }

  /** Until all commands have run. */
  async settled(): Promise<this> {
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    return this;
  }
}

async function answerTo(
  method: string,
  ...params: unknown[]
): Promise<Client['answers'][number] | undefined> {
  const client = new Client();
  client.ask(method, ...params);
  return (await client.settled()).answers[0];
}

it('answers with text that ends its line, and with errors as text', async () => {
  expect(await answerTo('echo', 'a', 'b')).toEqual({ id: 0, result: 'a b\n', error: null });
  expect(await answerTo('echo')).toEqual({ id: 0, result: '', error: null });
  expect(await answerTo('wrong')).toEqual({ id: 0, result: null, error: 'no such thing\n' });
});

it('says what is wrong with a command line in ovs-appctl’s words', async () => {
  expect((await answerTo('nothing'))?.error).toContain('"nothing" is not a valid command');
  expect((await answerTo('two', 'a'))?.error).toBe('"two" command requires at least 2 arguments\n');
  expect((await answerTo('two', 'a', 'b', 'c'))?.error).toBe('"two" command takes at most 2 arguments\n');
  expect((await answerTo('echo', 1))?.error).toContain('arguments must be strings');
  expect((await answerTo('list-commands'))?.result).toMatch(
    /^The available commands are:\n {2}broken +\n {2}echo +\[WORD/,
  );
  // Names that every object has are no commands.
  expect((await answerTo('constructor'))?.error).toContain('is not a valid command');
});

it('a fault of a command is told to its client and to us, and ends nothing', async () => {
  const client = new Client();
  client.ask('broken');
  await client.settled();
  client.ask('echo', 'still here');
  await client.settled();
  expect(client.faults).toEqual(['broken']);
  expect(client.answers.map(({ error, result }) => error ?? result)).toEqual([
    'internal error: a fault\n',
    'still here\n',
  ]);
});

it('answers in order, however requests are cut and joined', async () => {
  const client = new Client();
  const text = ['slow', 'echo', 'slow', 'two'].map((method, id) =>
    JSON.stringify({ id, method, params: [] }),
  );
  for (const byte of new TextEncoder().encode(text.join(' \n'))) client.session.receive(Uint8Array.of(byte));
  await client.settled();
  expect(client.answers.map(({ id }) => id)).toEqual([0, 1, 2, 3]);
});

it('refuses who does not speak the protocol, or asks and asks, and then says no more', async () => {
  for (const text of [
    '[]',
    'hello',
    '{"id":1,"method":2,"params":[]}',
    '{"id":1,"method":"echo","params":{}}',
    '{]',
  ]) {
    const client = new Client();
    client.send(text);
    await client.settled();
    expect([text, client.refused]).not.toEqual([text, null]);
    client.ask('echo');
    expect((await client.settled()).answers).toEqual([]);
  }
  const eager = new Client();
  for (let i = 0; i < 102; i++) eager.ask('slow');
  expect(eager.refused).toBe('too many requests at once');
});

it('whatever bytes and messages come: no exception, and no answer without a question', async () => {
  const json = fc.jsonValue({ maxDepth: 3 });
  const message = fc.record({ id: json, method: fc.oneof(json, fc.constantFrom('echo', 'two', 'slow')), params: json }, { requiredKeys: [] }); // prettier-ignore
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    message.map((value) => new TextEncoder().encode(JSON.stringify(value))),
    message.map((value) => new TextEncoder().encode(JSON.stringify(value).slice(0, -1))),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 8 }), async (chunks) => {
      const client = new Client();
      for (const each of chunks) client.session.receive(each);
      client.session.ended();
      await client.settled();
      expect(client.answers.length).toBeLessThanOrEqual(chunks.length);
    }),
    { numRuns: 300 },
  );
}, 30_000);
