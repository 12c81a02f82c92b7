/** The MAC table, as it goes over the REST API. */
import { Type } from 'typebox';
import {
  BridgeParams,
  InterfaceName,
  Next,
  Paging,
  Pending,
  StationMac,
  VlanId,
  component,
  orNull,
  strict,
  word,
} from './common.js';

export const FDB_KINDS = ['learned', 'static', 'own'] as const;

export const FdbEntryView = component(
  'FdbEntry',
  Type.Object(
    {
      vlan: VlanId,
      mac: Type.String(),
      port: Type.String(),
      kind: word(FDB_KINDS, { description: "own: an address of one of the bridge's internal interfaces" }),
      ageS: orNull(Type.Number({ description: 'Seconds since it was learned or moved' })),
      pending: Pending,
    },
    { examples: [{ vlan: 10, mac: '02:00:00:00:00:01', port: 'tap2', kind: 'learned', ageS: 3 }] },
  ),
);
export const FdbView = component('Fdb', Type.Object({ entries: Type.Array(FdbEntryView), next: Next }));
export const FdbTarget = component(
  'FdbTarget',
  Type.Object({ port: InterfaceName }, { ...strict, examples: [{ port: 'tap2' }] }),
);
export const Flushed = component(
  'Flushed',
  Type.Object({ flushed: Type.Integer({ description: 'How many learned addresses were forgotten' }) }),
);

const criteria = {
  port: Type.Optional(InterfaceName),
  vlan: Type.Optional(VlanId),
  mac: Type.Optional(StationMac),
};
export const FdbFlush = Type.Object(criteria, strict);
export const FdbFilter = Type.Object(
  { ...criteria, kind: Type.Optional(word(FDB_KINDS)), ...Paging },
  strict,
);
export const FdbParams = Type.Object({ ...BridgeParams.properties, vlan: VlanId, mac: StationMac });
