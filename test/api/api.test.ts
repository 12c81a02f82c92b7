import { Tokens } from '../../src/api/security.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { negotiate } from '../../src/api/negotiation.js';
import { Harness, learned } from './harness.js';

let api: Harness;
beforeEach(async () => {
  api = await Harness.create();
});
afterEach(() => api.close());

const json = { 'content-type': 'application/json' };
const problem = (status: number, code: string) => ({
  status,
  body: { status, type: `urn:weft:problem:${code}` },
});
const paths = (body: unknown) =>
  (body as { errors: { path: string }[] }).errors.map(({ path }) => path).sort();

describe('bridges', () => {
  test('made with its own port, read, replaced, removed', async () => {
    const made = await api.call('POST', '/v1/bridges', { name: 'br0' });
    expect(made).toMatchObject({
      status: 201,
      headers: { location: '/v1/bridges/br0' },
      body: {
        name: 'br0',
        failMode: 'standalone',
        controllers: [],
        connection: null,
        macAgeingTimeS: 300,
        floodVlans: [],
      },
    });
    const { datapathId, mac } = made.body as { datapathId: string; mac: string };
    expect(datapathId).toBe(`0000${mac.replaceAll(':', '')}`);
    expect((await api.call('GET', '/v1/bridges/br0/ports')).body).toMatchObject({
      ports: [{ name: 'br0', type: 'internal', ofport: 65534, vlanMode: 'trunk', tag: null, trunks: null }],
    });
    const replaced = await api.call('PUT', '/v1/bridges/br0', {
      failMode: 'secure',
      macAgeingTimeS: 60,
      controllers: ['tcp:127.0.0.1:6653'],
    });
    expect(replaced).toMatchObject({
      status: 200,
      body: { failMode: 'secure', macAgeingTimeS: 60, datapathId, controllers: ['tcp:127.0.0.1:6653'] },
    });
    expect((await api.call('PUT', '/v1/bridges/br0', {})).body).toMatchObject({
      failMode: 'standalone',
      macAgeingTimeS: 300,
      controllers: [],
    });
    expect((await api.call('GET', '/v1/bridges')).body).toMatchObject({ bridges: [{ name: 'br0' }] });
    expect((await api.call('DELETE', '/v1/bridges/br0')).status).toBe(204);
    expect((await api.call('GET', '/v1/bridges')).body).toEqual({ bridges: [], next: null });
  });

  test('PUT makes one too, the same twice is the same', async () => {
    expect((await api.call('PUT', '/v1/bridges/br1', { datapathId: '00000000000000aa' })).status).toBe(201);
    const again = await api.call('PUT', '/v1/bridges/br1', { datapathId: '00000000000000aa' });
    expect(again).toMatchObject({ status: 200, body: { datapathId: '00000000000000aa' } });
  });

  test('what GET shows, PUT takes', async () => {
    await api.call('POST', '/v1/bridges', { name: 'br0', floodVlans: [5, 7] });
    await api.call('POST', '/v1/bridges/br0/ports', {
      name: 'p1',
      vlanMode: 'native-untagged',
      tag: 10,
      trunks: [20],
    });
    for (const url of ['/v1/bridges/br0', '/v1/bridges/br0/ports/p1']) {
      const before = (await api.call('GET', url)).body;
      expect(await api.call('PUT', url, before)).toMatchObject({ status: 200 });
      expect((await api.call('GET', url)).body).toEqual(before);
    }
  });

  test('refused: twice the same, names that Linux does not take, unknown ones', async () => {
    await api.call('POST', '/v1/bridges', { name: 'br0' });
    expect(await api.call('POST', '/v1/bridges', { name: 'br0' })).toMatchObject(
      problem(409, 'bridge-exists'),
    );
    for (const name of ['', 'a b', 'a/b', 'sixteencharacter', '.', '..', 7, null]) {
      expect(await api.call('POST', '/v1/bridges', { name })).toMatchObject(problem(400, 'invalid'));
    }
    expect(await api.call('PUT', '/v1/bridges/sixteencharacter', {})).toMatchObject(problem(400, 'invalid'));
    expect(await api.call('PUT', '/v1/bridges/br0', { name: 'br1' })).toMatchObject(problem(400, 'invalid'));
    for (const [method, url] of [
      ['GET', '/v1/bridges/no'],
      ['DELETE', '/v1/bridges/no'],
      ['GET', '/v1/bridges/no/ports'],
      ['GET', '/v1/bridges/no/fdb'],
      ['GET', '/v1/bridges/no/flows'],
    ] as const) {
      expect(await api.call(method, url)).toMatchObject(problem(404, 'no-such-bridge'));
    }
  });

  test('a switch that does not forward so yet is said', async () => {
    api.switches.pending = 'weft-datapath is not connected';
    expect(await api.call('POST', '/v1/bridges', { name: 'br0' })).toMatchObject({
      status: 202,
      body: { name: 'br0', pending: 'weft-datapath is not connected' },
    });
    expect(await api.call('DELETE', '/v1/bridges/br0')).toMatchObject({
      status: 202,
      body: { pending: 'weft-datapath is not connected' },
    });
  });
});

describe('ports', () => {
  beforeEach(async () => {
    await api.call('POST', '/v1/bridges', { name: 'br0' });
  });

  test('every mode, as it was given', async () => {
    const bodies = [
      { name: 'acc', vlanMode: 'access', tag: 10 },
      { name: 'short', tag: 10 },
      { name: 'all' },
      { name: 'list', vlanMode: 'trunk', trunks: [10, 20] },
      { name: 'nt', vlanMode: 'native-tagged', tag: 10, trunks: [20] },
      { name: 'nu', vlanMode: 'native-untagged', tag: 10 },
      { name: 'q', vlanMode: 'dot1q-tunnel', tag: 30, cvlans: [10], qinqEthertype: '802.1q' },
      { name: 'pt', tag: 10, priorityTags: 'always', protected: true },
      { name: 'int', type: 'internal', tag: 2, mac: '02:00:00:AA:00:01', mtuRequest: 1400 },
    ];
    for (const [i, body] of bodies.entries()) {
      const wanted = {
        ...body,
        ...(body.mac ? { mac: body.mac.toLowerCase() } : {}),
        bridge: 'br0',
        ofport: i + 1,
      };
      expect(await api.call('POST', '/v1/bridges/br0/ports', body)).toMatchObject({
        status: 201,
        body: wanted,
      });
      expect((await api.call('GET', `/v1/bridges/br0/ports/${body.name}`)).body).toMatchObject(wanted);
    }
    expect((await api.call('GET', '/v1/bridges/br0/ports/short')).body).toMatchObject({ vlanMode: 'access' });
    expect((await api.call('GET', '/v1/bridges/br0/ports/all')).body).toMatchObject({
      vlanMode: 'trunk',
      tag: null,
      trunks: null,
    });
  });

  test('numbers: asked for, kept, the lowest free one taken', async () => {
    const ofport = async (name: string) =>
      ((await api.call('GET', `/v1/bridges/br0/ports/${name}`)).body as { ofport: number }).ofport;
    await api.call('POST', '/v1/bridges/br0/ports', { name: 'a', ofportRequest: 7 });
    await api.call('POST', '/v1/bridges/br0/ports', { name: 'b' });
    await api.call('POST', '/v1/bridges/br0/ports', { name: 'c' });
    expect([await ofport('a'), await ofport('b'), await ofport('c')]).toEqual([7, 1, 2]);
    await api.call('DELETE', '/v1/bridges/br0/ports/b');
    await api.call('PUT', '/v1/bridges/br0/ports/c', { tag: 4 });
    expect(await ofport('c')).toBe(2);
    await api.call('POST', '/v1/bridges/br0/ports', { name: 'd' });
    expect(await ofport('d')).toBe(1);
    await api.call('PUT', '/v1/bridges/br0/ports/d', { ofportRequest: 7 });
    expect([await ofport('a'), await ofport('d')]).toEqual([7, 1]);
  });

  test('all faults of a body at once, with their paths', async () => {
    const { status, body, headers } = await api.call('POST', '/v1/bridges/br0/ports', {
      vlanMode: 'access',
      trunks: [1, 1, 5000],
      cvlans: [3],
      mac: '01:00:5e:00:00:01',
      type: 'vxlan',
      colour: 'red',
    });
    expect(status).toBe(400);
    expect(headers['content-type']).toContain('application/problem+json');
    expect(paths(body)).toEqual([
      '/colour',
      '/cvlans',
      '/mac',
      '/name',
      '/tag',
      '/trunks',
      '/trunks/2',
      '/type',
    ]);
    const { errors } = body as { errors: { path: string; message: string }[] };
    expect(errors.find(({ path }) => path === '/type')?.message).toBe(
      'must be one of system, internal, patch',
    );
  });

  test.each([
    [{ vlanMode: 'trunk', tag: 5 }, ['/tag']],
    [{ vlanMode: 'access' }, ['/tag']],
    [{ vlanMode: 'native-tagged' }, ['/tag']],
    [{ tag: 4096 }, ['/tag']],
    [{ tag: -1 }, ['/tag']],
    [{ tag: '5' }, ['/tag']],
    [{ tag: 5, trunks: [6] }, ['/trunks']],
    [{ vlanMode: 'dot1q-tunnel', tag: 5, trunks: [6] }, ['/trunks']],
    [{ vlanMode: 'hybrid' }, ['/vlanMode']],
  ])('VLAN settings that do not go together: %j', async (settings, wanted) => {
    const answer = await api.call('POST', '/v1/bridges/br0/ports', { name: 'p', ...settings });
    expect(answer).toMatchObject(problem(400, 'invalid'));
    expect(paths(answer.body)).toEqual(wanted);
  });

  test('a name is one port of one bridge; the own port stays', async () => {
    await api.call('POST', '/v1/bridges', { name: 'br1' });
    await api.call('POST', '/v1/bridges/br0/ports', { name: 'p' });
    expect(await api.call('POST', '/v1/bridges/br1/ports', { name: 'p' })).toMatchObject(
      problem(409, 'port-exists'),
    );
    expect(await api.call('POST', '/v1/bridges', { name: 'p' })).toMatchObject(problem(409, 'port-exists'));
    expect(await api.call('GET', '/v1/bridges/br1/ports/p')).toMatchObject(problem(404, 'no-such-port'));
    expect(await api.call('DELETE', '/v1/bridges/br0/ports/br0')).toMatchObject(
      problem(409, 'is-local-port'),
    );
    expect(await api.call('PUT', '/v1/bridges/br0/ports/br0', { tag: 9 })).toMatchObject({
      status: 200,
      body: { type: 'internal', tag: 9 },
    });
    expect((await api.call('DELETE', '/v1/bridges/br0')).status).toBe(204);
    expect((await api.call('POST', '/v1/bridges/br1/ports', { name: 'p' })).status).toBe(201);
  });
});

describe('fdb, flows and groups', () => {
  beforeEach(async () => {
    await api.call('POST', '/v1/bridges', { name: 'br0' });
    await api.call('POST', '/v1/bridges/br0/ports', { name: 'p1', tag: 10 });
    api.switches.fdb = [learned(10, '02:00:00:00:00:01', 'p1'), learned(20, '02:00:00:00:00:02', 'p2')];
  });

  test('shown, filtered, flushed', async () => {
    expect((await api.call('GET', '/v1/bridges/br0/fdb')).body).toMatchObject({
      entries: [{ mac: '02:00:00:00:00:01', kind: 'learned' }, {}],
    });
    expect((await api.call('GET', '/v1/bridges/br0/fdb?vlan=20')).body).toMatchObject({
      entries: [{ vlan: 20 }],
    });
    expect((await api.call('DELETE', '/v1/bridges/br0/fdb?port=p1')).body).toEqual({ flushed: 1 });
    expect((await api.call('DELETE', '/v1/bridges/br0/fdb')).body).toEqual({ flushed: 1 });
    const answer = await api.call('GET', '/v1/bridges/br0/fdb?vlan=9999&colour=red');
    expect(answer).toMatchObject(problem(400, 'invalid'));
    expect(paths(answer.body)).toEqual(['?colour', '?vlan']);
  });

  test('static entries are configuration', async () => {
    expect(await api.call('PUT', '/v1/bridges/br0/fdb/10/02:00:00:00:00:0A', { port: 'p1' })).toMatchObject({
      status: 200,
      body: { vlan: 10, mac: '02:00:00:00:00:0a', port: 'p1', kind: 'static' },
    });
    const [bridge] = api.configuration.reading.network.bridges;
    expect(bridge?.staticMacs).toEqual([{ vlan: 10, mac: '02:00:00:00:00:0a', port: 'p1' }]);
    expect((await api.call('DELETE', '/v1/bridges/br0/fdb/10/02:00:00:00:00:0a')).status).toBe(204);
    expect(await api.call('DELETE', '/v1/bridges/br0/fdb/10/02:00:00:00:00:0a')).toMatchObject(
      problem(404, 'no-such-entry'),
    );
    expect((await api.call('DELETE', '/v1/bridges/br0/fdb/10/02:00:00:00:00:01')).status).toBe(204);
    expect(await api.call('PUT', '/v1/bridges/br0/fdb/10/01:00:00:00:00:0a', { port: 'p1' })).toMatchObject(
      problem(400, 'invalid'),
    );
    expect(await api.call('PUT', '/v1/bridges/br0/fdb/10/02:00:00:00:00:0a', { port: 'none' })).toMatchObject(
      problem(404, 'no-such-port'),
    );
  });

  test('flows and groups, as JSON and as ovs-ofctl prints them', async () => {
    api.switches.flows = [
      {
        tableId: 64,
        priority: 100,
        cookie: 0x57ff_ffff_ffff_ffffn,
        match: { in_port: 1, vlan_vid: 0x100a },
        instructions: [
          { type: 'APPLY_ACTIONS', actions: [{ type: 'POP_VLAN' }, { type: 'OUTPUT', port: 2 }] },
        ],
        idleTimeoutS: 0,
        hardTimeoutS: 0,
        flags: [],
        packets: 5n,
        bytes: 300n,
        durationS: 1.5,
        owner: { program: 'bridge', table: 'egress', kind: 'out', reason: 'p1 carries VLAN 10' },
      },
    ];
    api.switches.groups = [
      {
        groupId: 7,
        type: 'ALL',
        buckets: [
          {
            weight: 0,
            watchPort: 0xffffffff,
            watchGroup: 0xffffffff,
            actions: [{ type: 'OUTPUT', port: 3 }],
          },
        ],
        owner: null,
      },
    ];
    expect((await api.call('GET', '/v1/bridges/br0/flows')).body).toMatchObject({
      flows: [
        { cookie: '0x57ffffffffffffff', packets: 5, text: expect.stringContaining('dl_vlan=10') as string },
      ],
    });
    const text = await api.call('GET', '/v1/bridges/br0/flows', undefined, { accept: 'text/plain' });
    expect(text.headers['content-type']).toContain('text/plain');
    expect(text.text).toBe(
      'cookie=0x57ffffffffffffff, duration=1.500s, table=64, n_packets=5, n_bytes=300, priority=100,in_port=1,dl_vlan=10 actions=pop_vlan,output:2 # bridge/egress: p1 carries VLAN 10\n',
    );
    expect((await api.call('GET', '/v1/bridges/br0/groups', undefined, { accept: 'text/plain' })).text).toBe(
      'group_id=7,type=all,bucket=actions=output:3\n',
    );
    expect((await api.call('GET', '/v1/bridges/br0/groups')).body).toMatchObject({
      groups: [{ groupId: 7, type: 'ALL' }],
    });
    api.switches.connected = false;
    expect(await api.call('GET', '/v1/bridges/br0/flows')).toMatchObject(
      problem(409, 'switch-not-connected'),
    );
  });
});

describe('the service', () => {
  test('health: 200 while the database is fine, the body tells the rest', async () => {
    await api.call('POST', '/v1/bridges', { name: 'br0' });
    expect(await api.call('GET', '/healthz')).toMatchObject({
      status: 200,
      body: { status: 'ok', database: { ok: true } },
    });
    api.switches.connected = false;
    expect(await api.call('GET', '/healthz')).toMatchObject({
      status: 200,
      body: {
        status: 'degraded',
        datapath: { connected: false },
        switches: [{ bridge: 'br0', connected: false }],
      },
    });
  });

  test('the OpenAPI document names every route and has no dangling parts', async () => {
    const { body } = await api.call('GET', '/openapi.json');
    const document = body as {
      openapi: string;
      paths: Record<string, Record<string, { responses: object }>>;
      components: { schemas: object };
    };
    expect(document.openapi).toBe('3.1.0');
    // The whole list is in docs/rest-reference.md, which a test compares.
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/healthz', '/v1/warnings', '/v1/bridges/{name}/fdb/{vlan}/{mac}']),
    );
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g);
    for (const [, name = ''] of references) expect(document.components.schemas).toHaveProperty(name);
  });

  test('bodies that are no JSON, too large, or of another type', async () => {
    expect(await api.call('POST', '/v1/bridges', '{"name":', json)).toMatchObject({ status: 400 });
    expect(
      await api.call('POST', '/v1/bridges', '{"name":"br0","name":1}', { 'content-type': 'text/plain' }),
    ).toMatchObject(problem(415, 'unsupported-media-type'));
    expect(
      await api.call('POST', '/v1/bridges', JSON.stringify({ name: 'x'.repeat(300_000) }), json),
    ).toMatchObject(problem(413, 'too-large'));
    expect(await api.call('POST', '/v1/bridges', '[]', json)).toMatchObject(problem(400, 'invalid'));
    expect(await api.call('POST', '/v1/bridges', 'null', json)).toMatchObject({ status: 400 });
    expect(await api.call('POST', '/v1/bridges', '{"__proto__":{"name":"br0"}}', json)).toMatchObject({
      status: 400,
    });
    expect(await api.call('POST', '/v1/bridges')).toMatchObject({ status: 400 });
    expect(await api.call('GET', '/v2')).toMatchObject(problem(404, 'not-found'));
  });

  test('what was acknowledged is there after a restart of the API', async () => {
    await api.call('POST', '/v1/bridges', { name: 'br0' });
    expect(api.configuration.store.size).toBeGreaterThan(0);
  });

  test('a token, where one is set', async () => {
    const guarded = await Harness.create({ tokens: Tokens.parse('correct-horse-battery\n') });
    try {
      expect(await guarded.call('GET', '/v1')).toMatchObject(problem(401, 'unauthorized'));
      expect(await guarded.call('GET', '/v1', undefined, { authorization: 'Bearer wrong' })).toMatchObject({
        status: 401,
      });
      expect(
        await guarded.call('GET', '/v1', undefined, { authorization: 'Bearer correct-horse-battery' }),
      ).toMatchObject({ status: 200 });
    } finally {
      await guarded.close();
    }
  });

  test('a web page that rebinds its name to loopback is refused', async () => {
    const guarded = await Harness.create({ policy: { needsToken: false, loopbackOnly: true } });
    try {
      expect(await guarded.call('GET', '/v1', undefined, { host: 'evil.example:8080' })).toMatchObject(
        problem(403, 'wrong-host'),
      );
      for (const host of ['127.0.0.1:8080', 'localhost', '[::1]:8080']) {
        expect(await guarded.call('GET', '/v1', undefined, { host })).toMatchObject({ status: 200 });
      }
    } finally {
      await guarded.close();
    }
  });

  test('content negotiation', () => {
    const prefersText = (accept: string | undefined) =>
      negotiate(accept, ['application/json', 'text/plain']) === 'text/plain';
    expect(prefersText('text/plain')).toBe(true);
    expect(prefersText('text/*;q=0.5, application/json;q=0.1')).toBe(true);
    for (const accept of [
      undefined,
      '*/*',
      'application/json',
      'text/plain;q=0.1, application/json',
      'text/html, */*;q=0.8',
    ]) {
      expect(prefersText(accept)).toBe(false);
    }
  });
});
