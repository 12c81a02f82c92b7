/** The example of src/programs/README.md, in front of the bridge program. */
import { expect, it } from 'vitest';
import { newBridge, newPort, type Dpid } from '../../src/domain/index.js';
import { bridgeProgram, defineProgram, NEXT_PROGRAM, Pipeline } from '../../src/programs/index.js';
import { compile, EMPTY_TABLES, plan } from '../../src/reconcile/index.js';
import { makeFrame } from './frame.js';
import { ModelSwitch } from './switch.js';

const acl = defineProgram({
  name: 'acl',
  id: 100,
  kinds: ['host'],
  tables: [
    {
      name: 'hosts',
      does: 'passes on what listed hosts send',
      match: { eth_src: 'exact' },
      miss: { kind: 'drop', reason: 'not a listed host' },
      next: [NEXT_PROGRAM],
    },
  ],
  init: () => ({ hosts: ['02:00:00:00:00:01'] }),
  flows: (_context, { hosts }) => ({
    flows: hosts.map((mac) => ({
      table: 'hosts',
      priority: 100,
      match: { eth_src: mac },
      instructions: [{ type: 'GOTO_TABLE', table: NEXT_PROGRAM }],
      kind: 'host',
      reason: `${mac} is a listed host`,
    })),
  }),
});

it('a program in front of the bridge program decides what reaches it', () => {
  const ports = [1, 2].map((ofport) => newPort({ name: `p${ofport}`, ofport, tag: 10 }));
  const context = {
    bridge: newBridge({ name: 'br0', datapathId: '0000000000000001' as Dpid, ports }),
    settings: {},
  };
  const pipeline = new Pipeline([acl, bridgeProgram], { firstTable: 0, tableCount: 254 });
  const wanted = pipeline.programs.map((program) => ({
    program,
    set: program.flows(context, program.init(context, 0)),
  }));
  const model = new ModelSwitch([1, 2]);
  for (const phase of plan(EMPTY_TABLES, compile(pipeline, wanted, []))) model.applyAll(phase);

  const from = (src: string): number[] =>
    model.inject(1, makeFrame({ dst: 'ff:ff:ff:ff:ff:ff', src })).outputs.map(({ port }) => port);
  expect(from('02:00:00:00:00:01')).toEqual([2]);
  expect(from('02:00:00:00:00:02')).toEqual([]);
});
