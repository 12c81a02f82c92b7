import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode, encode } from '../openflow.js';
import type { MessageInput } from '../messages/message.js';
import type { SessionConfig, SessionEvent } from './events.js';
import { Session } from './session.js';

const HELLO_13 = Buffer.from('0400001000000001' + '0001000800000010', 'hex');
const FEATURES: MessageInput = {
  type: 'FEATURES_REPLY',
  datapathId: 0x1234n,
  nBuffers: 0,
  nTables: 254,
  auxiliaryId: 0,
  capabilities: [],
};

const taken = (session: Session): Buffer => Buffer.concat(session.takeOutput());
/** All messages in a piece of output. */
function messagesIn(bytes: Uint8Array) {
  const out = [];
  for (let at = 0; at < bytes.length;) {
    const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    out.push(decode(bytes.subarray(at, at + length)));
    at += length;
  }
  return out;
}

/** A controller's session that has shaken hands. */
function readyController(config: Partial<SessionConfig> = {}, nowMs = 0): Session {
  const session = new Session({ side: 'controller', ...config });
  session.start(nowMs);
  session.receive(HELLO_13, nowMs);
  const request = messagesIn(taken(session)).find((m) => m.type === 'FEATURES_REQUEST');
  session.receive(encode({ ...FEATURES, xid: request?.xid ?? 0 }), nowMs);
  const events = session.takeEvents();
  expect(events.map((event) => event.kind)).toEqual(['ready']);
  return session;
}

function readySwitch(config: Partial<SessionConfig> = {}): Session {
  const session = new Session({ side: 'switch', ...config });
  session.start(0);
  session.receive(HELLO_13, 0);
  expect(session.takeEvents()).toEqual([{ kind: 'ready', features: undefined }]);
  session.takeOutput();
  return session;
}

const closed = (events: readonly SessionEvent[]) =>
  events.flatMap((e) => (e.kind === 'closed' ? [e.reason] : []));

describe('handshake', () => {
  it('sends HELLO with a bitmap, then asks for features, then is ready', () => {
    const session = new Session({ side: 'controller' });
    session.start(0);
    expect(messagesIn(taken(session))).toMatchObject([
      { type: 'HELLO', version: 4, elements: [{ bitmaps: [0x10] }] },
    ]);
    expect(session.state).toBe('negotiating');
    session.receive(HELLO_13, 0);
    const [request] = messagesIn(taken(session));
    expect(request?.type).toBe('FEATURES_REQUEST');
    expect(session.state).toBe('identifying');
    session.receive(encode({ ...FEATURES, xid: request?.xid ?? 0 }), 0);
    expect(session.takeEvents()).toMatchObject([{ kind: 'ready', features: { datapathId: 0x1234n } }]);
    expect(session.features?.nTables).toBe(254);
  });

  it.each([
    ['1.0 without a bitmap', '0100000800000009'],
    ['a bitmap without 1.3', '060000100000000900010008' + '00000042'],
  ])('refuses %s with HELLO_FAILED', (_, hex) => {
    const session = new Session({ side: 'switch' });
    session.start(0);
    session.takeOutput();
    session.receive(Buffer.from(hex, 'hex'), 0);
    const answer = taken(session);
    expect([...answer.subarray(1, 2), ...answer.subarray(4, 12)]).toEqual([1, 0, 0, 0, 9, 0, 0, 0, 0]);
    expect(closed(session.takeEvents())).toMatchObject([{ kind: 'negotiation' }]);
    session.receive(HELLO_13, 0);
    expect(session.takeEvents()).toEqual([]);
  });

  it('refuses a peer that opens with anything but HELLO', () => {
    const session = new Session();
    session.start(0);
    session.takeOutput();
    session.receive(encode({ type: 'ECHO_REQUEST', xid: 5 }), 0);
    expect(messagesIn(taken(session))).toMatchObject([{ type: 'ERROR', xid: 5, errorType: 'HELLO_FAILED' }]);
    expect(closed(session.takeEvents())).toMatchObject([{ kind: 'negotiation' }]);
  });

  it('reports a refusal by the peer, and does not answer it', () => {
    const session = new Session();
    session.start(0);
    session.takeOutput();
    session.receive(
      encode({
        type: 'ERROR',
        errorType: 'HELLO_FAILED',
        code: 'INCOMPATIBLE',
        data: Buffer.from('only 1.0'),
      }),
      0,
    );
    expect(taken(session)).toHaveLength(0);
    expect(closed(session.takeEvents())).toEqual([{ kind: 'refused', message: 'peer refused: only 1.0' }]);
  });

  it('gives up on a silent peer', () => {
    const session = new Session({ helloTimeoutMs: 100 });
    session.start(1000);
    expect(session.nextDeadline()).toBe(1100);
    session.handleDeadline(1099);
    expect(session.state).toBe('negotiating');
    session.handleDeadline(1100);
    expect(closed(session.takeEvents())).toMatchObject([{ kind: 'hello-timeout' }]);
    expect(session.nextDeadline()).toBeUndefined();
  });
});

describe('stream', () => {
  it('says the same wherever the stream is split', () => {
    const stream = Buffer.concat([
      HELLO_13,
      encode({ type: 'ECHO_REQUEST', xid: 3, data: Buffer.from('abc') }),
      encode({ type: 'FLOW_MOD', xid: 4, command: 'ADD', match: { in_port: 1 } }),
      encode({ type: 'BARRIER_REQUEST', xid: 5 }),
    ]);
    const run = (cuts: readonly number[]) => {
      const session = new Session({ side: 'switch' });
      session.start(0);
      let from = 0;
      for (const cut of [...cuts, stream.length]) {
        session.receive(stream.subarray(from, cut), 0);
        from = cut;
      }
      return { events: session.takeEvents(), output: taken(session).toString('hex') };
    };
    const whole = run([]);
    expect(whole.events.map((e) => (e.kind === 'message' ? e.message.type : e.kind))).toEqual([
      'ready',
      'FLOW_MOD',
      'BARRIER_REQUEST',
    ]);
    for (let i = 1; i < stream.length; i++) expect(run([i])).toEqual(whole);
    expect(run(Array.from(stream, (_, i) => i))).toEqual(whole);
  });

  it('ends at a length that is none, telling the peer', () => {
    const session = readySwitch();
    session.receive(Buffer.from('040e000700000009', 'hex'), 0);
    expect(messagesIn(taken(session))).toMatchObject([
      { type: 'ERROR', xid: 9, errorType: 'BAD_REQUEST', code: 'BAD_LEN' },
    ]);
    expect(closed(session.takeEvents())).toMatchObject([{ kind: 'framing' }]);
  });

  it('answers a malformed message with its error and goes on', () => {
    const session = readySwitch();
    session.receive(
      Buffer.concat([Buffer.from('0463000800000007', 'hex'), encode({ type: 'BARRIER_REQUEST', xid: 8 })]),
      0,
    );
    expect(messagesIn(taken(session))).toMatchObject([
      { type: 'ERROR', xid: 7, errorType: 'BAD_REQUEST', code: 'BAD_TYPE' },
    ]);
    expect(session.takeEvents().map((e) => e.kind)).toEqual(['malformed', 'message']);
  });

  it('answers another version with BAD_VERSION', () => {
    const session = readySwitch();
    session.receive(Buffer.from('010e000800000007', 'hex'), 0);
    expect(messagesIn(taken(session))).toMatchObject([{ type: 'ERROR', xid: 7, code: 'BAD_VERSION' }]);
    expect(session.state).toBe('ready');
  });

  it('never answers an error', () => {
    const session = readySwitch();
    session.receive(Buffer.from('0401000900000007ff', 'hex'), 0);
    expect(taken(session)).toHaveLength(0);
    expect(session.takeEvents()).toMatchObject([{ kind: 'malformed' }]);
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (chunks) => {
        const session = readySwitch();
        for (const chunk of chunks) session.receive(chunk, 0);
        // Whatever was said is OpenFlow.
        expect(() => messagesIn(taken(session))).not.toThrow();
      }),
      { numRuns: 300 },
    );
  });

  it('survives headers followed by any bytes', () => {
    const body = fc.tuple(fc.integer({ min: 0, max: 40 }), fc.uint8Array({ maxLength: 120 }));
    fc.assert(
      fc.property(fc.array(body, { maxLength: 6 }), (messages) => {
        const session = readyController();
        for (const [type, bytes] of messages) {
          session.receive(Buffer.concat([Uint8Array.of(4, type, 0, bytes.length + 8, 0, 0, 0, 1), bytes]), 0);
        }
        expect(() => messagesIn(taken(session))).not.toThrow();
        expect(session.state).toBe('ready');
      }),
      { numRuns: 500 },
    );
  });
});

describe('keepalive', () => {
  const config = { echoIntervalMs: 100, echoTimeoutMs: 50 };

  it('asks after silence, and closes when nothing comes', () => {
    const session = readyController(config, 1000);
    expect(session.nextDeadline()).toBe(1100);
    session.handleDeadline(1100);
    expect(messagesIn(taken(session))).toMatchObject([{ type: 'ECHO_REQUEST' }]);
    expect(session.nextDeadline()).toBe(1150);
    session.handleDeadline(1150);
    expect(closed(session.takeEvents())).toMatchObject([{ kind: 'echo-timeout' }]);
  });

  it('takes any message for a sign of life', () => {
    const session = readyController(config, 1000);
    session.handleDeadline(1100);
    session.takeOutput();
    session.receive(encode({ type: 'PACKET_IN', totalLength: 0, reason: 'ACTION' }), 1149);
    session.handleDeadline(1150);
    expect(session.state).toBe('ready');
    expect(session.nextDeadline()).toBe(1249);
  });

  it('does not count while the owner does not read', () => {
    const session = readyController({ ...config, requestTimeoutMs: 150 }, 1000);
    const token = session.request({ type: 'GET_CONFIG_REQUEST' }, 1000);
    session.setReading(false, 1050);
    expect(session.nextDeadline()).toBeUndefined();
    session.handleDeadline(9000);
    expect(session.takeEvents()).toEqual([]);
    session.setReading(true, 9000);
    // 50 of its 150 ms had passed, and the silence starts anew.
    expect(session.nextDeadline()).toBe(9100);
    session.handleDeadline(9100);
    expect(session.takeEvents()).toMatchObject([{ kind: 'failed', token, failure: { kind: 'timeout' } }]);
    expect(session.state).toBe('ready');
  });

  it('answers the peer’s echo with the same bytes, and keeps it to itself', () => {
    const session = readySwitch();
    session.receive(encode({ type: 'ECHO_REQUEST', xid: 77, data: Buffer.from('ping') }), 0);
    expect(messagesIn(taken(session))).toEqual([
      { type: 'ECHO_REPLY', xid: 77, data: Uint8Array.from(Buffer.from('ping')) },
    ]);
    expect(session.takeEvents()).toEqual([]);
  });

  it('ends a session whose peer asks but never reads', () => {
    const session = readySwitch({ maxQueuedBytes: 100 });
    for (let i = 0; i < 20; i++) session.receive(encode({ type: 'ECHO_REQUEST', xid: i }), 0);
    expect(closed(session.takeEvents())).toMatchObject([{ kind: 'overflow' }]);
  });
});

describe('requests', () => {
  it('match their answers by xid, in any order', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer(), (count, seed) => {
        const session = readyController({ firstXid: 0xfffffff0 });
        const tokens = Array.from({ length: count }, () =>
          session.request({ type: 'GET_CONFIG_REQUEST' }, 0),
        );
        expect(new Set(tokens).size).toBe(count);
        expect(tokens).not.toContain(0);
        const shuffled = [...tokens].sort((a, b) => ((a * 31 + seed) % 97) - ((b * 31 + seed) % 97));
        for (const xid of shuffled)
          session.receive(encode({ type: 'GET_CONFIG_REPLY', xid, flags: 0, missSendLength: 128 }), 0);
        const replies = session.takeEvents().flatMap((e) => (e.kind === 'reply' ? [e.token] : []));
        expect(replies).toEqual(shuffled);
        expect(session.pendingRequests).toBe(0);
      }),
    );
  });

  it('fail with the error that answers them', () => {
    const session = readyController();
    const token = session.request({ type: 'ROLE_REQUEST', role: 'MASTER', generationId: 1n }, 0);
    session.receive(
      encode({ type: 'ERROR', xid: token, errorType: 'ROLE_REQUEST_FAILED', code: 'STALE' }),
      0,
    );
    expect(session.takeEvents()).toMatchObject([
      {
        kind: 'failed',
        token,
        failure: { kind: 'refused', error: { errorType: 'ROLE_REQUEST_FAILED', code: 'STALE' } },
      },
    ]);
  });

  it('time out one by one, and their late answers are dropped', () => {
    const session = readyController({ echoIntervalMs: 0 });
    const slow = session.request({ type: 'GET_CONFIG_REQUEST' }, 0, { timeoutMs: 500 });
    const quick = session.request({ type: 'GET_CONFIG_REQUEST' }, 0, { timeoutMs: 100 });
    expect(session.nextDeadline()).toBe(100);
    session.handleDeadline(100);
    expect(session.takeEvents()).toMatchObject([
      { kind: 'failed', token: quick, failure: { kind: 'timeout' } },
    ]);
    expect(session.nextDeadline()).toBe(500);
    session.receive(encode({ type: 'BARRIER_REPLY', xid: quick }), 101);
    expect(session.takeEvents()).toEqual([]);
    session.close();
    expect(session.takeEvents()).toMatchObject([
      { kind: 'failed', token: slow, failure: { kind: 'closed' } },
      { kind: 'closed', reason: { kind: 'local' } },
    ]);
  });

  it('fail when the answer does not decode', () => {
    const session = readyController();
    const token = session.request({ type: 'MULTIPART_REQUEST', flags: [], body: { type: 'DESC' } }, 0);
    session.takeOutput();
    const short = Buffer.from('0413001200000000' + '00000000000000000000', 'hex');
    short.writeUInt32BE(token, 4);
    session.receive(short, 0);
    expect(session.takeEvents()).toMatchObject([{ kind: 'failed', token, failure: { kind: 'malformed' } }]);
    expect(taken(session)).toHaveLength(0);
  });

  it('commit a batch: the barrier’s reply tells which messages were refused', () => {
    const session = readyController();
    const flow = (priority: number): MessageInput => ({ type: 'FLOW_MOD', command: 'ADD', priority });
    const token = session.commit([flow(1), flow(2), flow(3)], 0);
    const sent = messagesIn(taken(session));
    expect(sent.map((m) => m.type)).toEqual(['FLOW_MOD', 'FLOW_MOD', 'FLOW_MOD', 'BARRIER_REQUEST']);
    const xid = sent[1]?.xid ?? 0;
    session.receive(encode({ type: 'ERROR', xid, errorType: 'FLOW_MOD_FAILED', code: 'TABLE_FULL' }), 0);
    expect(session.takeEvents()).toEqual([]);
    session.receive(encode({ type: 'BARRIER_REPLY', xid: token }), 0);
    expect(session.takeEvents()).toMatchObject([
      { kind: 'committed', token, errors: [undefined, { code: 'TABLE_FULL' }, undefined] },
    ]);
  });

  it('send nothing of a batch that cannot be encoded whole', () => {
    const session = readyController();
    expect(() =>
      session.commit(
        [
          { type: 'FLOW_MOD', command: 'ADD' },
          { type: 'FLOW_MOD', command: 'ADD', priority: -1 },
        ],
        0,
      ),
    ).toThrow();
    expect(taken(session)).toHaveLength(0);
    expect(session.pendingRequests).toBe(0);
  });
});

describe('multipart', () => {
  const entry = (priority: number) => ({ tableId: 0, priority, match: { in_port: priority } });
  const part = (xid: number, priorities: readonly number[], isLast: boolean): Buffer =>
    encode({
      type: 'MULTIPART_REPLY',
      xid,
      flags: isLast ? [] : ['REPLY_MORE'],
      body: { type: 'FLOW', entries: priorities.map(entry) },
    });
  const ask = (session: Session, parts = false): number =>
    session.request({ type: 'MULTIPART_REQUEST', body: { type: 'FLOW' } }, 0, { parts });

  it('joins parts of several interleaved answers, each in order', () => {
    const answers = fc.array(
      fc.array(fc.array(fc.nat(0xffff), { maxLength: 5 }), { minLength: 1, maxLength: 5 }),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(answers, fc.array(fc.nat(3)), (wanted, turns) => {
        const session = readyController();
        const open = wanted.map((parts) => ({ token: ask(session), parts, next: 0 }));
        const deliver = (which: number): void => {
          const answer = open[which % open.length];
          if (answer === undefined || answer.next >= answer.parts.length) return;
          const entries = answer.parts[answer.next++] ?? [];
          session.receive(part(answer.token, entries, answer.next === answer.parts.length), 0);
        };
        turns.forEach(deliver);
        open.forEach((answer, i) => answer.parts.forEach(() => deliver(i)));
        const replies = new Map<number, number[]>();
        for (const event of session.takeEvents()) {
          expect(event.kind).toBe('reply');
          if (
            event.kind === 'reply' &&
            event.message.type === 'MULTIPART_REPLY' &&
            event.message.body.type === 'FLOW'
          ) {
            replies.set(
              event.token,
              event.message.body.entries.map((flow) => flow.priority),
            );
          }
        }
        for (const answer of open) expect(replies.get(answer.token)).toEqual(answer.parts.flat());
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['bytes', { maxMultipartBytes: 200 }],
    ['parts', { maxMultipartParts: 2 }],
  ])('has a cap of %s', (_, config) => {
    const session = readyController(config);
    const token = ask(session);
    for (let i = 0; i < 4; i++) session.receive(part(token, [i], i === 3), 0);
    expect(session.takeEvents()).toMatchObject([{ kind: 'failed', token, failure: { kind: 'overflow' } }]);
    expect(session.pendingRequests).toBe(0);
  });

  it('hands out parts one by one when asked to, and starts the timeout anew with each', () => {
    const session = readyController({ requestTimeoutMs: 100, echoIntervalMs: 0, maxMultipartBytes: 1 });
    const token = ask(session, true);
    session.receive(part(token, [1, 2], false), 90);
    session.handleDeadline(150);
    session.receive(part(token, [3], true), 180);
    expect(session.takeEvents()).toMatchObject([
      { kind: 'part', token, entries: [{ priority: 1 }, { priority: 2 }] },
      { kind: 'reply', token, message: { body: { entries: [{ priority: 3 }] } } },
    ]);
  });

  it('refuses parts of different kinds', () => {
    const session = readyController();
    const token = ask(session);
    session.receive(part(token, [1], false), 0);
    session.receive(encode({ type: 'MULTIPART_REPLY', xid: token, body: { type: 'TABLE', entries: [] } }), 0);
    expect(session.takeEvents()).toMatchObject([{ kind: 'failed', token, failure: { kind: 'malformed' } }]);
  });

  const requestPart = (xid: number, isLast: boolean): Buffer =>
    encode({
      type: 'MULTIPART_REQUEST',
      xid,
      flags: isLast ? [] : ['REQ_MORE'],
      body: { type: 'TABLE_FEATURES', entries: [] },
    });

  it('joins requests on a switch, and refuses those it has no room for', () => {
    const session = readySwitch({ maxOpenMultiparts: 1 });
    session.receive(Buffer.concat([requestPart(1, false), requestPart(2, false), requestPart(1, true)]), 0);
    expect(messagesIn(taken(session))).toMatchObject([
      { type: 'ERROR', xid: 2, code: 'MULTIPART_BUFFER_OVERFLOW' },
    ]);
    expect(session.takeEvents()).toMatchObject([
      { kind: 'message', message: { type: 'MULTIPART_REQUEST', xid: 1 } },
    ]);
  });
});

describe('backpressure', () => {
  it('is congested from the high mark to the low one', () => {
    const session = readySwitch({ highWaterBytes: 100, lowWaterBytes: 20 });
    session.transportQueued(0);
    for (let i = 0; i < 13; i++) session.send({ type: 'BARRIER_REPLY' });
    expect([session.isWritable, session.isReadable]).toEqual([false, false]);
    session.takeOutput();
    session.transportQueued(21);
    expect(session.isWritable).toBe(false);
    session.transportQueued(20);
    expect([session.isWritable, session.isReadable]).toEqual([true, true]);
    expect(session.takeEvents()).toEqual([{ kind: 'drained' }]);
  });
});
