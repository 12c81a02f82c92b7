/** What the routes about the fast path show. */
import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { InterfaceName } from './schemas.js';

const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Count = Type.Integer({ minimum: 0 });
const Rate = orNull(
  Type.Number({ minimum: 0, description: 'Over `windowS`; null: not seen for long enough yet' }),
);
const counted = (description: string) => Type.Object({ packets: Count, perS: Rate }, { description });

const Refusal = Type.Object({
  reason: Type.String({ examples: ['packet-in'] }),
  sentence: Type.String({ description: 'The reason, for people' }),
  remedy: Type.String({ description: 'What to look at or to change; may be empty' }),
});

export const BridgeFastPath = Type.Object({
  bridge: Type.String(),
  windowS: orNull(
    Type.Number({ description: 'Seconds that the rates are means over; null: there are none yet' }),
  ),
  flows: Type.Object(
    { total: Count, kernel: Count },
    { description: 'Megaflows: translations that are kept, and those of them that the kernel has' },
  ),
  masks: Type.Integer({ minimum: 0, description: 'Distinct masks among them' }),
  hits: Type.Object({
    kernel: counted('Frames that the kernel treated by itself'),
    userSpace: counted('Frames treated in user space by a translation that was kept'),
  }),
  misses: counted('Frames that were walked through the tables'),
  evictions: Type.Integer({
    minimum: 0,
    description: 'Translations that had to make room for others',
  }),
  turnedAway: Type.Integer({
    minimum: 0,
    description:
      'Translations not kept, as room or time was short and nobody had asked for them before: flows of one packet',
  }),
  notOffloaded: Type.Array(Type.Intersect([Refusal, Type.Object({ flows: Count })]), {
    description: 'Megaflows that are not in the kernel, by reason; most frequent first',
  }),
  punts: Type.Array(
    Type.Object({
      port: Type.String(),
      ofport: Type.Integer({ description: '65534: the bridge’s own port' }),
      sent: counted(
        'What the kernel handed to user space: a frame, and as much again for each 512 bytes of it',
      ),
      dropped: counted('Frames lost, as too many of this port were on their way already'),
      waiting: Type.Integer({ minimum: 0, description: 'Of that, what is on its way now' }),
    }),
    { description: 'Of ports that the kernel has; internal ports hand over by themselves' },
  ),
});
export type BridgeFastPath = Static<typeof BridgeFastPath>;

export const FastPathView = Type.Object({
  active: Type.Boolean({ description: 'The kernel forwards known flows' }),
  whyNot: orNull(Type.String({ description: 'Why it does not' })),
  kernel: orNull(
    Type.Object(
      {
        hooking: Type.Union([Type.Literal('tcx'), Type.Literal('clsact')], {
          description: 'How the program gets onto devices: TCX links, or clsact filters as before Linux 6.6',
        }),
        flows: Count,
        masks: Count,
        limits: Type.Object({ flows: Count, masks: Count }),
        ports: Type.Integer({ minimum: 0, description: 'Devices that have the program' }),
        events: Type.Record(Type.String(), counted('Frames'), {
          description:
            'What the program counted: misses (no flow), deep (headers that it does not read to the end), punt_drops, ' +
            'too_long (for the port they leave by), unseen (no room for what observers are to see), behind (kept in order behind ' +
            'earlier packets of their flow that are in user space), errors',
        }),
        puntsLost: Type.Integer({ minimum: 0, description: 'Frames lost between kernel and user space' }),
        firstPackets: Type.Object(
          {
            processorShare: orNull(
              Type.Number({
                minimum: 0,
                maximum: 1,
                description: 'The part of one processor that they get; null: there is no limit',
                examples: [0.12],
              }),
            ),
            refused: counted('Frames that ended where they came in while there was a limit'),
          },
          {
            description:
              'Frames without a flow in the kernel: limited while the machine’s processors are busy, so that those who ' +
              'send what nobody knows do not slow down established traffic',
          },
        ),
      },
      { description: 'Of all bridges together; null while it is not active' },
    ),
  ),
  bridges: Type.Array(BridgeFastPath),
});
export type FastPathView = Static<typeof FastPathView>;

export const MegaflowQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_536,
      default: 1000,
      description: 'At most so many, most used first',
    }),
  ),
  port: Type.Optional(
    Type.Unsafe<string>({ ...InterfaceName, description: 'Only of frames that come in by this port' }),
  ),
  offloaded: Type.Optional(Type.Boolean({ description: 'Only those that the kernel has, or has not' })),
  reason: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'Only those that the kernel has not for this reason',
      examples: ['packet-in'],
    }),
  ),
});
export const Megaflow = Type.Object({
  match: Type.String({ description: 'What its frames agree on, in the words of ovs-ofctl' }),
  fields: Type.Array(Type.String(), { description: 'The same as the datapath has it: OXM’s names, bits' }),
  actions: Type.String({ description: 'What is done with them; empty: nothing' }),
  drop: orNull(Type.String({ description: 'Why they are dropped' })),
  packets: Count,
  bytes: Count,
  usedS: orNull(Type.Number({ minimum: 0, description: 'Seconds since its last frame' })),
  offloaded: Type.Boolean({ description: 'The kernel has it' }),
  notOffloaded: orNull(Refusal),
});
export type Megaflow = Static<typeof Megaflow>;
export const MegaflowsView = Type.Object({ bridge: Type.String(), flows: Type.Array(Megaflow) });
export type MegaflowsView = Static<typeof MegaflowsView>;
