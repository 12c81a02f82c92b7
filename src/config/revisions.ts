/**
 * What the configuration was: a bounded list of revisions, each a file of its own beside the database, put in place at
 * one stroke. A document that is applied becomes one at once; what others change (`ovs-vsctl`, say) becomes one when they
 * pause, so that a thousand commands in a row are one revision. A shell.
 */
import { mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diffDocuments, fromValue, readDocument, toValue } from './document/index.js';
import type { Document, ObjectChange } from './document/index.js';
import { isConfiguration } from './configuration.js';
import type { Configuration, ConfigurationLog } from './configuration.js';

export interface Revision {
  readonly revision: number;
  /** RFC 3339. */
  readonly time: string;
  readonly who: string;
  readonly comment: string;
  /** How many objects (bridges, ports, …) differ from the revision before. */
  readonly summary: { readonly added: number; readonly changed: number; readonly removed: number };
}

export interface RevisionsOptions {
  /** Made where there is none. */
  readonly folder: string;
  readonly log: ConfigurationLog;
  readonly nowMs?: () => number;
  /** More revisions than these are forgotten, the oldest first. */
  readonly limit?: number;
  /** Changes of others are a revision once nothing has changed for so long, or after the longer time at the latest. */
  readonly pauseMs?: number;
  readonly longestMs?: number;
}

const FILE = /^(\d{8,})\.json$/;
const MAX_COMMENTS = 3;

export class Revisions {
  readonly #options: Required<RevisionsOptions>;
  /** Oldest first. */
  readonly #list: Revision[] = [];
  #latest: Document = { bridges: new Map() };
  /** Comments of transactions that no revision has yet. */
  #comments: string[] = [];
  #isDue = false;
  #firstMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #working: Promise<unknown> = Promise.resolve();
  readonly #unsubscribe: () => void;

  private constructor(
    private readonly configuration: Configuration,
    options: Required<RevisionsOptions>,
  ) {
    this.#options = options;
    this.#unsubscribe = configuration.store.subscribe((changes, comment) => {
      if (changes.some(isConfiguration)) this.#note(comment);
    });
  }

  /** Reads what there is; what changed while nobody looked is a revision, too. */
  static async open(configuration: Configuration, given: RevisionsOptions): Promise<Revisions> {
    const defaults = { nowMs: Date.now, limit: 100, pauseMs: 2_000, longestMs: 30_000 };
    const revisions = new Revisions(configuration, { ...defaults, ...given });
    await mkdir(given.folder, { recursive: true, mode: 0o750 });
    await revisions.#load();
    await revisions.record('weftd', 'as found at the start').catch((error: unknown) => {
      given.log.error({ err: error }, 'the history cannot be written');
    });
    return revisions;
  }

  /** Newest first. */
  list(): Revision[] {
    return [...this.#list].reverse();
  }

  /** The latest, null while nothing was ever configured. */
  get latest(): Revision | null {
    return this.#list.at(-1) ?? null;
  }

  /** The configuration as it was; undefined: not known (any more). */
  async read(revision: number): Promise<Document | undefined> {
    if (!this.#list.some((each) => each.revision === revision)) return undefined;
    const [, text] = splitLines(await readFile(this.#path(revision), 'utf8'));
    return fromValue(JSON.parse(text)).document;
  }

  /** Makes a revision of what others have changed so far, without waiting for them to pause. */
  async settle(): Promise<void> {
    if (!this.#isDue) return;
    const [who, comment] = describe(this.#comments);
    await this.record(who, comment);
  }

  /** Makes a revision of the present configuration, if it differs from the latest. */
  record(who: string, comment: string): Promise<Revision | null> {
    this.#isDue = false;
    this.#comments = [];
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const document = readDocument(this.configuration.database);
    const recording = this.#working.then(() => this.#record(document, who, comment));
    this.#working = recording.catch(() => undefined);
    return recording;
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    await this.settle().catch((error: unknown) => this.#failed(error));
    await this.#working;
  }

  #note(comment: string): void {
    const { nowMs, pauseMs, longestMs } = this.#options;
    if (!this.#isDue) this.#firstMs = nowMs();
    this.#isDue = true;
    if (comment !== '' && this.#comments.length <= MAX_COMMENTS && !this.#comments.includes(comment))
      this.#comments.push(comment);
    if (this.#timer) clearTimeout(this.#timer);
    const leftMs = Math.max(0, this.#firstMs + longestMs - nowMs());
    this.#timer = setTimeout(
      () => void this.settle().catch((error: unknown) => this.#failed(error)),
      Math.min(pauseMs, leftMs),
    );
    this.#timer.unref();
  }

  async #record(document: Document, who: string, comment: string): Promise<Revision | null> {
    const changes = diffDocuments(this.#latest, document);
    if (changes.length === 0) return null;
    const revision: Revision = {
      revision: (this.latest?.revision ?? 0) + 1,
      time: new Date(this.#options.nowMs()).toISOString(),
      who,
      comment,
      summary: summarize(changes),
    };
    const text = `${JSON.stringify(revision)}\n${JSON.stringify(toValue(document))}\n`;
    await putInPlace(this.#options.folder, this.#path(revision.revision), text);
    this.#list.push(revision);
    this.#latest = document;
    while (this.#list.length > this.#options.limit) {
      const oldest = this.#list.shift();
      if (oldest) await rm(this.#path(oldest.revision), { force: true });
    }
    return revision;
  }

  async #load(): Promise<void> {
    const { folder, log } = this.#options;
    const names = await readdir(folder);
    for (const name of names.filter((each) => each.endsWith('.tmp')))
      await rm(join(folder, name), { force: true });
    for (const name of names.filter((each) => FILE.test(each)).sort((a, b) => parseInt(a) - parseInt(b))) {
      try {
        const [info, text] = splitLines(await readFile(join(folder, name), 'utf8'));
        const revision = JSON.parse(info) as Revision;
        if (revision.revision !== Number(FILE.exec(name)?.[1])) throw new Error('it is of another revision');
        this.#latest = fromValue(JSON.parse(text)).document;
        this.#list.push(revision);
      } catch (error) {
        log.warn(
          { file: name },
          `a revision of the configuration cannot be read: ${(error as Error).message}`,
        );
      }
    }
  }

  #failed(error: unknown): void {
    this.#options.log.error({ err: error }, 'the history cannot be written');
  }

  #path(revision: number): string {
    return join(this.#options.folder, `${String(revision).padStart(8, '0')}.json`);
  }
}

/** Who wrote transactions with these comments, and what they say together. */
function describe(comments: readonly string[]): [who: string, comment: string] {
  const [first = ''] = comments;
  const who = /^([\w-]{1,32})(?= \(|:)/.exec(first)?.[1] ?? 'database';
  const shown = comments.slice(0, MAX_COMMENTS).map((each) => each.slice(0, 200));
  return [who, shown.join('; ') + (comments.length > MAX_COMMENTS ? '; …' : '')];
}

export function summarize(changes: readonly ObjectChange[]): Revision['summary'] {
  const count = (op: ObjectChange['op']) => changes.filter((each) => each.op === op).length;
  return { added: count('add'), changed: count('change'), removed: count('remove') };
}

function splitLines(text: string): [info: string, document: string] {
  const end = text.indexOf('\n');
  if (end < 0) throw new Error('it is cut off');
  return [text.slice(0, end), text.slice(end + 1)];
}

/** A crash leaves the whole file or none. */
async function putInPlace(folder: string, path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w', 0o640);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
