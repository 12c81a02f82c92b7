/** Why the datapath drops frames (datapath/pipeline/src/drops.rs), in sentences. */

export const DROP_REASONS: Readonly<Record<string, string>> = {
  rule: 'A rule matched that sends the frame nowhere.',
  'table-miss': 'No rule of the table matched, not even one for what nothing else matches.',
  'unknown-in-port': 'It came in by a port that the bridge does not have.',
  'no-such-port': 'Its only outputs are to ports that the bridge does not have.',
  'port-down': 'The port that it came in by, or all that it was to leave by, are set down (OFPPC_PORT_DOWN).',
  'no-receive': 'The port that it came in by is set not to receive (OFPPC_NO_RECV).',
  'no-forward': 'The ports that it was to leave by are set not to forward (OFPPC_NO_FWD).',
  'in-port': 'Its only output is the port that it came in by, and only an output to IN_PORT sends it back.',
  meter: 'A meter’s rate is exceeded.',
  'ttl-expired': 'Its TTL ran out at a decrement.',
  malformed: 'It is shorter than an Ethernet header.',
  fragment: 'It is an IP fragment, and the switch is set to drop those (OFPC_FRAG_DROP).',
  'group-empty': 'The group has no bucket that is live, or does not exist.',
  recursion: 'Resubmits or groups are nested too deeply, or there are too many of them.',
  'bad-action': 'An action cannot be applied to such a frame (a tag popped that is not there, say).',
  'no-packet-in':
    'The controller was its only output, and the port it came in by is set to send none there (OFPPC_NO_PACKET_IN).',
  'packet-in-queue-full': 'The controller does not keep up with the packet-ins, and this one found no room.',
};

/** The sentence of a reason; of one that a newer datapath may have, the word itself. */
export function dropSentence(reason: string): string {
  return DROP_REASONS[reason] ?? `The datapath says “${reason}”.`;
}
