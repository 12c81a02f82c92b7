/** Why frames are dropped, in sentences, whatever the datapath says. */
import { explainDrop } from '../domain/index.js';
import type { DropReasonText } from '../domain/index.js';

/** Counted where packet-ins wait for their connection, not by the tables. */
const QUEUE_FULL: DropReasonText = {
  meaning: 'The controller does not keep up with the packet-ins, and this one found no room.',
  remedy: 'Frames are forwarded all the same; see what floods the controller (`weft top`), or meter it.',
};

/** What a reason means; of a word that a newer datapath may have, the word itself. */
export function dropText(reason: string): DropReasonText {
  if (reason === 'packet-in-queue-full') return QUEUE_FULL;
  return explainDrop(reason) ?? { meaning: `The datapath says “${reason}”.`, remedy: '' };
}
