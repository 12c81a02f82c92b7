/** /v1/config: the configuration as a document. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Harness } from './harness.js';

let harness: Harness;

beforeEach(async () => {
  harness = await Harness.create();
});
afterEach(() => harness.close());

const yaml = { 'content-type': 'application/yaml' };
const put = (text: string, query = '', headers = {}) =>
  harness.call('PUT', `/v1/config${query}`, text, { ...yaml, ...headers });
const get = (url = '/v1/config') => harness.call('GET', url);
const row = (table: string, name: string) => harness.configuration.database.find(table, 'name', name);

interface Change {
  op: string;
  path: string;
  fields: { field: string; from: unknown; to: unknown }[];
}
interface Outcome {
  changed: boolean;
  dryRun: boolean;
  changes: Change[];
  applied: unknown;
  revision: { revision: number; who: string; comment: string } | null;
}

const EXAMPLE = `
bridges:
  br0:
    macAgeingTimeS: 60
    controllers: ['tcp:127.0.0.1:6653', {target: 'ptcp:6654', inactivityProbeMs: 5000}]
    staticMacs:
      - {vlan: 10, mac: '02:00:00:00:00:0A', port: eth0}
    ports:
      eth0: {tag: 10}
      eth1:
        vlanMode: native-tagged
        tag: 5
        trunks: [5, 7, 10-20]
      int0: {type: internal, mac: '02:00:00:00:00:01', tag: 10}
      bond0:
        interfaces: [eth2, eth3]
        bondMode: balance-slb
        lacp: active
        otherConfig: {lacp-time: fast}
  br1:
`;

describe('PUT /v1/config', () => {
  it('brings an empty configuration to the document, and then has nothing to do', async () => {
    const first = await put(EXAMPLE);
    expect(first.status).toBe(200);
    const outcome = first.body as Outcome;
    expect(outcome.changes.map(({ op, path }) => `${op} ${path}`)).toContain('add /bridges/br0/ports/eth1');
    const { bridges } = harness.configuration.reading.network;
    const br0 = bridges.find(({ name }) => name === 'br0');
    expect(br0?.macAgeingTimeS).toBe(60);
    expect(br0?.staticMacs).toEqual([{ vlan: 10, mac: '02:00:00:00:00:0a', port: 'eth0' }]);
    expect(br0?.ports.find(({ name }) => name === 'eth1')?.trunks?.key).toBe('5,7,10-20');
    expect(br0?.ports.find(({ name }) => name === 'bond0')?.interfaces.map(({ name }) => name)).toEqual([
      'eth2',
      'eth3',
    ]);
    const size = harness.configuration.store.size;
    const again = (await put(EXAMPLE)).body as Outcome;
    expect(again).toMatchObject({ changed: false, changes: [], applied: [] });
    expect(harness.configuration.store.size).toBe(size);
  });

  it('keeps rows and uuids of what stays, and says each field that changes', async () => {
    await put(EXAMPLE);
    const before = row('Port', 'eth0')?.uuid;
    const { body } = await put(EXAMPLE.replace('eth0: {tag: 10}', 'eth0: {tag: 20}'));
    expect((body as Outcome).changes).toEqual([
      {
        op: 'change',
        kind: 'port',
        path: '/bridges/br0/ports/eth0',
        bridge: 'br0',
        port: 'eth0',
        name: 'eth0',
        fields: [{ field: 'tag', from: 10, to: 20 }],
      },
    ]);
    expect(row('Port', 'eth0')?.uuid).toBe(before);
  });

  it('with dryRun says the same and changes nothing', async () => {
    const { body } = await put(EXAMPLE, '?dryRun=true');
    expect(body).toMatchObject({ changed: true, dryRun: true, applied: null });
    expect(harness.configuration.reading.network.bridges).toEqual([]);
    const done = (await put(EXAMPLE)).body as Outcome;
    expect(done.changes).toEqual((body as Outcome).changes);
  });

  it('tells all faults at once, with path and line, and changes nothing', async () => {
    await put(EXAMPLE);
    const etag = (await get()).headers['etag'];
    const { status, body } = await put(`bridges:
  br0:
    macAgeingTimeS: 5
    ports:
      eth0: {tag: 5000}
      eth1: {vlanMode: trunk, tag: 5}
      eth2: {trunks: [30-20], colour: red}
      a/b: {}
  br1:
    ports:
      eth0: {}
      eth9: {mac: '01:00:00:00:00:00'}
    staticMacs: [{vlan: 1, mac: '02:00:00:00:00:01', port: nowhere}]
`);
    expect(status).toBe(400);
    const { errors } = body as { errors: { path: string; line: number }[] };
    expect(errors.map(({ path, line }) => `${line} ${path}`).sort()).toEqual([
      '11 /bridges/br1/ports/eth0',
      '12 /bridges/br1/ports/eth9/mac',
      '13 /bridges/br1/staticMacs',
      '3 /bridges/br0/macAgeingTimeS',
      '5 /bridges/br0/ports/eth0/tag',
      '6 /bridges/br0/ports/eth1/tag',
      '7 /bridges/br0/ports/eth2/colour',
      '7 /bridges/br0/ports/eth2/trunks/0',
      '8 /bridges/br0/ports/a~1b',
    ]);
    expect((await get()).headers['etag']).toBe(etag);
  });

  it.each([
    ['bridges: [', 1],
    ['bridges:\n  br0: &a [*a]\n', 2],
    ['bridges:\n  br0: {}\n  br0: {}\n', 3],
    ['- br0\n', 1],
    [`a: ${'['.repeat(100)}`, undefined],
    ['', undefined],
    ['a: &a [1]\nb: &b [*a, *a]\nbridges: {br0: *b}', undefined],
  ])('refuses %j', async (text, line) => {
    const { status, body } = await put(text);
    expect(status).toBe(400);
    const { errors } = body as { errors: { line?: number }[] };
    if (line !== undefined) expect(errors[0]?.line).toBe(line);
  });

  it('reads JSON strictly', async () => {
    const json = { 'content-type': 'application/json' };
    expect((await harness.call('PUT', '/v1/config', '{"bridges": {"br0": {}}}', json)).status).toBe(200);
    expect((await harness.call('PUT', '/v1/config', '{bridges: {}}', json)).status).toBe(400);
    const { body } = await harness.call('PUT', '/v1/config', '{"bridges":\n {"br0": {"stp": 1}}}', json);
    expect(body).toMatchObject({ errors: [{ path: '/bridges/br0/stp', line: 2 }] });
  });

  it('refuses what was made for another configuration', async () => {
    const etag = String((await get()).headers['etag']);
    expect((await put(EXAMPLE, '', { 'if-match': etag })).status).toBe(200);
    const late = await put('bridges: {}', '', { 'if-match': etag });
    expect(late).toMatchObject({ status: 412, body: { type: 'urn:weft:problem:changed-meanwhile' } });
    expect(
      (await harness.call('GET', '/v1/config', undefined, { 'if-none-match': String(late.headers['etag']) }))
        .status,
    ).toBe(304);
  });

  it('leaves alone what it has no words for, and the keys of others in external_ids', async () => {
    await put(EXAMPLE);
    await harness.configuration.transact([
      {
        op: 'update',
        table: 'Interface',
        where: [['name', '==', 'eth0']],
        row: {
          external_ids: [
            'map',
            [
              ['iface-id', 'vm1'],
              ['old', 'x'],
            ],
          ],
        },
      },
      { op: 'insert', table: 'AutoAttach', 'uuid-name': 'm', row: { system_name: 'm0' } },
      {
        op: 'update',
        table: 'Bridge',
        where: [['name', '==', 'br0']],
        row: { auto_attach: ['named-uuid', 'm'] },
      },
    ]);
    await put(
      EXAMPLE.replace('eth0: {tag: 10}', 'eth0: {tag: 11, interfaceExternalIds: {owner: me, old: null}}'),
    );
    const { keys, values } = row('Interface', 'eth0')?.fields['external_ids'] ?? {};
    expect([keys, values]).toEqual([
      ['iface-id', 'owner'],
      ['vm1', 'me'],
    ]);
    expect(row('Bridge', 'br0')?.fields['auto_attach']?.keys).toHaveLength(1);
  });

  it('has mirrors and collectors, of ports that it makes too; what is not there any more goes', async () => {
    const document = `bridges:
  br0:
    sflow: {targets: ["192.0.2.1", "[2001:db8::1]:7000"], agent: eth0, sampling: 100}
    netflow: {targets: ["192.0.2.1:2055"], version: 9}
    mirrors:
      m0: {sourcePorts: [p1], vlans: [5, 10-12], outputPort: p2}
      m1: {selectAll: true, outputVlan: 99}
    ports: {p1: {}, p2: {}}
`;
    expect((await put(document)).status).toBe(200);
    const [bridge] = harness.configuration.reading.network.bridges;
    expect(bridge?.exports?.sflow?.collectors).toHaveLength(2);
    expect(bridge?.exports?.netflow).toMatchObject({ version: 9, activeTimeoutS: 600 });
    expect(bridge?.mirrors.map(({ name, sourcePorts, output }) => [name, sourcePorts, output])).toEqual([
      ['m0', ['p1'], { kind: 'port', port: 'p2' }],
      ['m1', [], { kind: 'vlan', vlan: 99 }],
    ]);
    const uuid = bridge?.mirrors[0]?.uuid;
    expect((await put(document)).body).toMatchObject({ changed: false });
    const { body: read } = await harness.call('GET', '/v1/config');
    expect((read as { bridges: { br0: object } }).bridges.br0).toMatchObject({
      sflow: { sampling: 100, agent: 'eth0' },
      mirrors: { m0: { vlans: [5, '10-12'] } },
    });
    const changed = await put(
      document.replace('vlans: [5, 10-12]', 'vlans: [6]').replace(/ +netflow.*\n/, ''),
    );
    expect(changed.body).toMatchObject({
      changes: [
        { kind: 'netflow', op: 'remove' },
        { kind: 'mirror', op: 'change', name: 'm0' },
      ],
    });
    expect(harness.configuration.reading.network.bridges[0]?.mirrors[0]?.uuid).toBe(uuid);
    const wrong = await put(
      document.replace('sourcePorts: [p1]', 'sourcePorts: [p9]').replace('192.0.2.1:2055', 'a:b'),
    );
    expect(wrong).toMatchObject({ status: 400 });
    expect(wrong.text).toMatch(/has no port p9.*/);
    expect(wrong.text).toMatch(/is none: HOST:PORT/);
    await put('bridges: {br0: {ports: {p1: {}, p2: {}}}}');
    expect(harness.configuration.reading.network.bridges[0]).toMatchObject({ mirrors: [] });
    expect(harness.configuration.reading.network.bridges[0]?.exports).toBeUndefined();
  });

  it('removes what it does not name, but for names to keep', async () => {
    await put(EXAMPLE);
    await put('keep: [eth*, br1]\nbridges: {br0: {ports: {int0: {type: internal}}}}');
    const { bridges } = harness.configuration.reading.network;
    expect(bridges.map(({ name }) => name)).toEqual(['br0', 'br1']);
    expect(bridges[0]?.ports.map(({ name }) => name).sort()).toEqual(['br0', 'eth0', 'eth1', 'int0']);
    expect(bridges[0]?.macAgeingTimeS).toBe(300);
  });

  it('moves interfaces between ports and bridges in one transaction', async () => {
    await put('bridges: {br0: {ports: {p1: {}, p2: {}}}, br1: {}}');
    const { status } = await put('bridges: {br0: {ports: {b: {interfaces: [p1]}}}, br1: {ports: {p2: {}}}}');
    expect(status).toBe(200);
    const { bridges } = harness.configuration.reading.network;
    expect(bridges.map(({ ports }) => ports.map(({ name }) => name).sort())).toEqual([
      ['b', 'br0'],
      ['br1', 'p2'],
    ]);
  });
});

describe('GET /v1/config', () => {
  it('gives what, applied, changes nothing, whatever made it', async () => {
    await put(EXAMPLE);
    await harness.configuration.transact([
      {
        op: 'update',
        table: 'Port',
        where: [['name', '==', 'eth0']],
        row: { vlan_mode: 'trunk', other_config: ['map', [['x', '1']]] },
      },
      {
        op: 'update',
        table: 'Bridge',
        where: [['name', '==', 'br0']],
        row: { external_ids: ['map', [['a', '']]] },
      },
      // What means nothing and no document may say.
      { op: 'update', table: 'Interface', where: [['name', '==', 'eth1']], row: { mac: 'foo' } },
    ]);
    for (const format of ['yaml', 'json']) {
      const { text } = await get(`/v1/config?format=${format}`);
      const headers = { 'content-type': `application/${format}` };
      const { status, body } = await harness.call('PUT', '/v1/config', text, headers);
      expect({ status, body }).toMatchObject({ status: 200, body: { changed: false } });
    }
    expect(row('Interface', 'eth1')?.fields['mac']?.keys).toEqual(['foo']);
  });

  it('is YAML where that is accepted', async () => {
    await put('bridges: {br0: {ports: {p1: {tag: 10, trunks: []}}}}');
    const { text, headers } = await harness.call('GET', '/v1/config', undefined, {
      accept: 'application/yaml',
    });
    expect(headers['content-type']).toContain('application/yaml');
    expect(text).toBe('bridges:\n  br0:\n    ports:\n      p1:\n        tag: 10\n');
  });
});

describe('history', () => {
  it('has a revision for each document applied, and one for what others did', async () => {
    await put('bridges: {br0: {}}', '?comment=first');
    await harness.call('POST', '/v1/bridges', { name: 'br1' });
    const { revisions } = (await get('/v1/config/history')).body as {
      revisions: { comment: string; who: string }[];
    };
    expect(revisions.map(({ who, comment }) => [who, comment])).toEqual([
      ['api', 'api: add bridge br1'],
      ['local', 'first'],
    ]);
  });

  it('can be gone back in', async () => {
    await put(EXAMPLE);
    const before = (await get()).headers['etag'];
    await put('bridges: {}');
    const back = await harness.call('POST', '/v1/config/rollback', '{"revision": 1}', {
      'content-type': 'application/json',
    });
    expect(back).toMatchObject({
      status: 200,
      body: { changed: true, revision: { revision: 3, comment: 'roll back to 1' } },
    });
    expect((await get()).headers['etag']).toBe(before);
    expect((await get('/v1/config/history/2')).body).toEqual({ bridges: {} });
    const unknown = await harness.call('POST', '/v1/config/rollback', '{"revision": 9}', {
      'content-type': 'application/json',
    });
    expect(unknown).toMatchObject({ status: 404, body: { detail: '9: there are 1 to 3' } });
  });

  it('tells what differs', async () => {
    await put('bridges: {br0: {}}');
    await put('bridges: {br0: {ports: {p1: {}}}}');
    expect((await get('/v1/config/diff?from=1&to=2')).body).toMatchObject({
      summary: { added: 1, changed: 0, removed: 0 },
      changes: [{ op: 'add', path: '/bridges/br0/ports/p1' }],
    });
    const { body } = await harness.call('POST', '/v1/config/diff', 'bridges: {}', yaml);
    expect(body).toMatchObject({ summary: { removed: 3 } });
  });
});
