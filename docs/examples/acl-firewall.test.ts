import { expect, it } from 'vitest';
import { BridgeModel, makeFrame, newBridge, newPort } from 'weft/testing';
import firewall, { readRules } from './acl-firewall.js';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';

/** A bridge with two ports and these rules. */
function bridgeWith(otherConfig: Record<string, string>): BridgeModel {
  const ports = [1, 2].map((ofport) => newPort({ name: `p${ofport}`, ofport }));
  return new BridgeModel(newBridge({ ports, otherConfig }), [firewall]);
}

/** An IPv4 frame from A to B carrying TCP to `tcpDst`. */
function tcpFrame(tcpDst: number): Uint8Array {
  const ip = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
  const tcp = [0x9c, 0x40, tcpDst >> 8, tcpDst & 0xff, ...new Array<number>(16).fill(0)];
  return makeFrame({ dst: B, src: A, ethertype: 0x0800, payload: Uint8Array.from([...ip, ...tcp]) });
}

const passes = (model: BridgeModel, frame: Uint8Array): boolean => model.outputs(1, frame).size > 0;

it('lets through what no rule denies', () => {
  const model = bridgeWith({});
  expect(passes(model, tcpFrame(80))).toBe(true);
});

it('the rule of the highest priority decides', () => {
  const model = bridgeWith({
    'acl-200': 'allow tcp,nw_dst=10.0.0.2,tp_dst=80',
    'acl-100': 'deny ip,nw_dst=10.0.0.0/24',
  });
  expect(passes(model, tcpFrame(80))).toBe(true);
  expect(passes(model, tcpFrame(23))).toBe(false);
  expect(passes(model, makeFrame({ dst: B, src: A }))).toBe(true);
});

it('denies by default where that is wanted', () => {
  const model = bridgeWith({ 'acl-default': 'deny', 'acl-10': 'allow arp' });
  expect(passes(model, tcpFrame(80))).toBe(false);
  expect(
    passes(
      model,
      makeFrame({ dst: B, src: A, ethertype: 0x0806, payload: Uint8Array.from({ length: 28 }, () => 0) }),
    ),
  ).toBe(true);
});

it('says which rule it cannot read', () => {
  const read = (text: string) => () => readRules({ otherConfig: { 'acl-5': text } });
  expect(read('refuse ip')).toThrow('acl-5: "allow MATCH" or "deny MATCH" is wanted, not "refuse ip"');
  expect(read('deny nw_dst=10.0.0.300')).toThrow(/^acl-5: /);
});
