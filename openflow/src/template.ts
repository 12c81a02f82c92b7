/** Messages that are sent by the thousand and differ in the value of one match field only, as the rules of learned addresses do. */

import { OpenFlowEncodeError } from './codec/errors.js';
import type { ByteSink } from './codec/writer.js';
import { Message, type MessageInput } from './messages/message.js';
import { oxmFields, type OxmField, type OxmFieldName, type OxmValue } from './oxm/fields.js';
import { writer } from './openflow.js';

/** Where the xid stands in the header (OF 1.3.5 §7.1). */
const XID_AT = 4;

/**
 * A message encoded once, of which copies are made with another value of one field of its match: at a fifth of what
 * it costs to encode each of them.
 */
export class MessageTemplate<K extends OxmFieldName = OxmFieldName> {
  readonly #bytes: Buffer;
  readonly #field: OxmField<OxmValue<K>>;
  /** Where the field's value stands. */
  readonly #at: number;

  /**
   * @param message with any value of that field, without a mask
   * @throws OpenFlowEncodeError also where the field does not stand in the message exactly once
   */
  constructor(message: MessageInput, field: K) {
    this.#field = oxmFields[field];
    writer.begin();
    const places = writer.placesOf(field, () => Message.write(writer, message));
    const [place] = places;
    if (place === undefined || places.length > 1)
      throw new OpenFlowEncodeError(
        `${field} stands ${places.length} times, and should once, without a mask`,
      );
    this.#at = place;
    this.#bytes = Buffer.from(writer.take());
  }

  /** `ofp_type` of the message. */
  get typeNumber(): number {
    return this.#bytes[1] ?? 0;
  }

  /** The message with that value. @throws OpenFlowEncodeError */
  encode(value: OxmValue<K>): Buffer {
    this.#write(value);
    return writer.take();
  }

  /** Appends the message with that value and xid. @throws OpenFlowEncodeError */
  encodeTo(sink: ByteSink, value: OxmValue<K>, xid: number): void {
    const start = this.#write(value);
    writer.view.setUint32(start + XID_AT, xid);
    writer.takeTo(sink);
  }

  /** Returns where the message starts. */
  #write(value: OxmValue<K>): number {
    writer.begin();
    const start = writer.advance(this.#bytes.length);
    writer.bytes.set(this.#bytes, start);
    const end = writer.pos;
    writer.pos = start + this.#at;
    this.#field.codec.write(writer, value);
    writer.pos = end;
    return start;
  }
}
