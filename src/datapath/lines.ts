/** Lines out of a stream of chunks, however it is cut. Pure. */

/** A peer sends a line longer than the limit. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

export class LineReader {
  #chunks: Buffer[] = [];
  #length = 0;

  constructor(private readonly limit = 16 << 20) {}

  /** The lines that `chunk` completes, without their ends. @throws LineTooLong */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      lines.push(Buffer.concat([...this.#chunks, chunk.subarray(start, end)]).toString('utf8'));
      this.#chunks = [];
      this.#length = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      this.#chunks.push(chunk.subarray(start));
      this.#length += chunk.length - start;
      if (this.#length > this.limit) throw new LineTooLong(`a line exceeds ${this.limit} bytes`);
    }
    return lines;
  }
}
