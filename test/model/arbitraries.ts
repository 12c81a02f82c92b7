/** Random bridges and frames for property tests, dense enough in few VLANs that ports meet. */
import fc from 'fast-check';
import {
  newBridge,
  newPort,
  parseDpid,
  VlanSet,
  type Bridge,
  type Dpid,
  type LogicalPort,
} from '../../src/domain/index.js';
import type { Tag } from './frame.js';

const VIDS = [0, 1, 10, 11, 20, 4095] as const;
const vid = (): fc.Arbitrary<number> => fc.constantFrom(...VIDS);
const vlanSet = (): fc.Arbitrary<VlanSet | null> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    {
      weight: 2,
      arbitrary: fc.uniqueArray(vid(), { minLength: 1, maxLength: 4 }).map((vids) => VlanSet.of(vids)),
    },
  );

export function anyPort(ofport: number): fc.Arbitrary<LogicalPort> {
  return fc
    .record({
      vlanMode: fc.constantFrom('access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel'),
      tag: vid(),
      trunks: vlanSet(),
      cvlans: vlanSet(),
      qinqEthertype: fc.constantFrom(0x8100, 0x88a8),
      priorityTags: fc.constantFrom('never', 'never', 'if-nonzero', 'always'),
      protected: fc.boolean(),
    } as const)
    .map(({ tag, ...rest }) =>
      newPort({ name: `p${ofport}`, ofport, ...rest, tag: rest.vlanMode === 'trunk' ? null : tag }),
    );
}

/** Two to six ports, numbered from 1; some numbers left out. */
export function anyBridge(): fc.Arbitrary<Bridge> {
  return fc
    .uniqueArray(fc.integer({ min: 1, max: 6 }), { minLength: 2, maxLength: 6 })
    .chain((ofports) => fc.tuple(...ofports.map((ofport) => anyPort(ofport))))
    .map((ports) => newBridge({ name: 'br0', datapathId: (parseDpid('1') ?? '') as Dpid, ports }));
}

export function anyTags(): fc.Arbitrary<Required<Tag>[]> {
  const tag = fc.record({
    tpid: fc.constantFrom(0x8100, 0x8100, 0x88a8),
    vid: vid(),
    pcp: fc.constantFrom(0, 0, 5),
  });
  return fc.array(tag, { maxLength: 2 });
}
