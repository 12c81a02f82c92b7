/**
 * The database file: transactions are appended and on disk before they are acknowledged; many that wait at the same
 * time share one fsync. A crash may cut the last record, which then was not acknowledged: it is cut off on opening.
 */
import { randomUUID } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { mkdir, open, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Database } from './database.js';
import type { Change } from './database.js';
import { OvsdbError } from './errors.js';
import {
  decodeRecord,
  encodeRecord,
  hasRecordAfter,
  recordToChanges,
  snapshotToRecord,
  transactionToRecord,
} from './journal-format.js';
import { equalSchemas, mergeSchemas, schemaFromJson, schemaToJson } from './schema.js';
import type { DatabaseSchema } from './schema.js';

/** The file cannot be used; the message is one line for the user. */
export class JournalError extends Error {
  override readonly name = 'JournalError';
}

export interface JournalOptions {
  readonly path: string;
  readonly schema: DatabaseSchema;
  /** What was repaired or compacted. */
  readonly log: (message: string) => void;
  readonly nowMs?: () => number;
  /** The file is compacted once it exceeds twice its compacted size and this (bytes). */
  readonly compactAtBytes?: number;
}

interface Entry {
  readonly bytes: Buffer;
  readonly written: () => void;
  readonly failed: (error: OvsdbError) => void;
}

export class Journal {
  #database: Database;
  readonly #options: Required<JournalOptions>;
  readonly #lockFile: number;
  #file: FileHandle;
  /** Where the next record goes: the end of the last whole one. */
  #end: number;
  #compactedSize: number;
  #queue: Entry[] = [];
  #writer: Promise<void> | null = null;
  #compactBecause: string | null = null;
  #broken: Error | null = null;
  /** While a conversion is not on disk: what the file has. */
  #before: Database | null = null;
  #closed = false;

  private constructor(
    options: Required<JournalOptions>,
    lockFile: number,
    file: FileHandle,
    database: Database,
    end: number,
  ) {
    this.#options = options;
    this.#lockFile = lockFile;
    this.#file = file;
    this.#database = database;
    this.#end = end;
    this.#compactedSize = end;
  }

  /** Opens the file, making it where there is none, and reads it. @throws JournalError */
  static async open(given: JournalOptions): Promise<Journal> {
    // Behind a symbolic link, so that compaction does not replace the link.
    const path = await realpath(given.path).catch(() => resolve(given.path));
    const options = { nowMs: Date.now, compactAtBytes: 1 << 20, ...given, path };
    let lockFile: number | undefined;
    try {
      await mkdir(dirname(options.path), { recursive: true });
      lockFile = lock(options.path);
      return await Journal.#open(options, lockFile);
    } catch (error) {
      if (lockFile !== undefined) closeSync(lockFile);
      if (error instanceof JournalError) throw error;
      throw new JournalError(`the database ${options.path} cannot be used: ${(error as Error).message}`);
    }
  }

  static async #open(options: Required<JournalOptions>, lockFile: number): Promise<Journal> {
    const { path, schema, log } = options;
    const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return Buffer.alloc(0);
      throw error;
    });
    if (bytes.length === 0) {
      const record = encodeRecord(schemaToJson(schema));
      const file = await replace(path, record);
      log(`made the database ${path}`);
      return new Journal(options, lockFile, file, new Database(schema), record.length);
    }
    const { database, end, fault, isForeign } = read(bytes, options);
    const file = await open(path, 'r+');
    if (fault !== null) {
      if (hasRecordAfter(bytes, end)) {
        // Not the trace of a crash in the middle of an append. What follows may matter to somebody.
        const rest = `${path}.cut-at-${end}`;
        await writeFile(rest, bytes.subarray(end));
        log(`${path} is damaged at byte ${end} (${fault}), with records after it: these are kept in ${rest}`);
      }
      log(
        `${path} is cut to its last whole record: ${bytes.length - end} of ${bytes.length} bytes go (${fault})`,
      );
      await file.truncate(end);
      await file.datasync();
    }
    const journal = new Journal(options, lockFile, file, database, end);
    if (isForeign) await journal.compact('the schema changed');
    return journal;
  }

  get database(): Database {
    return this.#database;
  }

  /** Bytes on disk. */
  get size(): number {
    return this.#end;
  }

  /**
   * Writes the record of a transaction that the caller has just applied to {@link database}.
   * @param written called when it is on disk, in the order of the calls
   * @param failed called instead when the disk refuses it: then it is not in the file, nor is any transaction that
   *   was waiting behind it. All of them are told in the same turn, the oldest first.
   */
  append(
    changes: readonly Change[],
    comment: string,
    written: () => void,
    failed: (error: OvsdbError) => void,
  ): void {
    const record = transactionToRecord(this.database.schema, changes, this.#options.nowMs(), comment);
    this.#enqueue({ bytes: record === null ? Buffer.alloc(0) : encodeRecord(record), written, failed });
  }

  /** Rewrites the file with one record that holds everything. */
  compact(because: string): Promise<void> {
    this.#compactBecause ??= because;
    return new Promise((written, failed) => this.#enqueue({ bytes: Buffer.alloc(0), written, failed }));
  }

  /**
   * Goes over to another database, of another schema; nothing may be waiting to be written. Resolves when the file holds
   * it. @throws OvsdbError where it cannot be written: then the old one, and the file as it was, are what counts
   */
  convert(into: Database): Promise<void> {
    this.#before = this.#database;
    this.#database = into;
    return this.compact('converted to another schema');
  }

  /** Waits for what is being written and lets go of the file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    while (this.#writer) await this.#writer;
    await this.#file.close();
    closeSync(this.#lockFile);
  }

  #enqueue(entry: Entry): void {
    if (this.#closed) {
      entry.failed(new OvsdbError('I/O error', 'the database is closed'));
      return;
    }
    this.#queue.push(entry);
    this.#writer ??= this.#write();
  }

  async #write(): Promise<void> {
    // Those that arrive in this turn of the event loop, and during each fsync, are written together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      if (this.#compactBecause !== null) {
        const because = this.#compactBecause;
        this.#compactBecause = null;
        await this.#compactNow(because);
        continue;
      }
      const batch = this.#queue.splice(0);
      try {
        if (this.#broken) throw this.#broken;
        const bytes = Buffer.concat(batch.map((entry) => entry.bytes));
        if (bytes.length > 0) {
          await writeAll(this.#file, bytes, this.#end);
          await this.#file.datasync();
          this.#end += bytes.length;
        }
      } catch (error) {
        await this.#file.truncate(this.#end).catch((cause: Error) => (this.#broken ??= cause));
        const why = new OvsdbError('I/O error', `${this.#options.path}: ${(error as Error).message}`);
        // What is queued by now builds on what failed.
        for (const entry of [...batch, ...this.#queue.splice(0)]) entry.failed(why);
        continue;
      }
      for (const entry of batch) entry.written();
      if (this.#end > Math.max(2 * this.#compactedSize, this.#options.compactAtBytes))
        this.#compactBecause = 'it had grown';
    }
    // In the same turn as the queue was seen to be empty: whoever comes next starts a new writer.
    this.#writer = null;
  }

  /** The snapshot is of memory, so what waits in the queue is in it and is written with it. */
  async #compactNow(because: string): Promise<void> {
    const { path, log, nowMs } = this.#options;
    const batch = this.#queue.splice(0);
    const before = this.#end;
    try {
      const snapshot = snapshotToRecord(this.database, nowMs(), `compacted: ${because}`);
      const bytes = Buffer.concat([encodeRecord(schemaToJson(this.database.schema)), encodeRecord(snapshot)]);
      const file = await replace(path, bytes);
      await this.#file.close();
      this.#file = file;
      this.#broken = null;
      this.#end = this.#compactedSize = bytes.length;
      this.#before = null;
    } catch (error) {
      if (this.#before) return this.#takeBack(batch, this.#before, error as Error);
      // The old file is whole; try again when it has doubled.
      this.#compactedSize = before;
      this.#queue.unshift(...batch);
      log(`${path} could not be compacted: ${(error as Error).message}`);
      return;
    }
    for (const entry of batch) entry.written();
    log(`compacted ${path} from ${before} to ${this.#end} bytes (${because})`);
  }

  /** A conversion that cannot be written has not been, and what came after it has nothing to stand on. */
  #takeBack(batch: readonly Entry[], before: Database, because: Error): void {
    const why = new OvsdbError('I/O error', `${this.#options.path}: ${because.message}`);
    for (const entry of [...batch, ...this.#queue.splice(0)]) entry.failed(why);
    this.#database = before;
    this.#before = null;
  }
}

interface Contents {
  readonly database: Database;
  readonly end: number;
  /** Why reading stopped before the end of the file. */
  readonly fault: string | null;
  /** Written with another schema than ours. */
  readonly isForeign: boolean;
}

function read(bytes: Buffer, { path, schema }: Required<JournalOptions>): Contents {
  if (bytes.subarray(0, 14).toString('latin1') === 'OVSDB CLUSTER ') {
    throw new JournalError(
      `${path} is a member of a cluster; make a file of it with "ovsdb-tool cluster-to-standalone"`,
    );
  }
  const first = decodeRecord(bytes, 0);
  if ('fault' in first) throw new JournalError(`${path} is no Open vSwitch database: ${first.fault}`);
  const theirs = schemaFromJson(first.json);
  if (theirs.name !== schema.name)
    throw new JournalError(`${path} holds the database ${theirs.name}, not ${schema.name}`);
  const merged = mergeSchemas(schema, theirs);
  const isForeign = !equalSchemas(merged, theirs);
  const database = new Database(isForeign ? merged : theirs);
  let end = first.end;
  let fault: string | null = null;
  while (end < bytes.length && fault === null) {
    const record = decodeRecord(bytes, end);
    if ('fault' in record) fault = record.fault;
    else {
      try {
        database.apply(recordToChanges(database, record.json, randomUUID));
        end = record.end;
      } catch (error) {
        if (!(error instanceof OvsdbError)) throw error;
        throw new JournalError(
          `${path}: the record at byte ${end} does not fit the schema (${error.message})`,
        );
      }
    }
  }
  return { database, end, fault, isForeign };
}

/** Puts a file with these contents in place of `path` at one stroke, and gives it open for writing. */
async function replace(path: string, bytes: Buffer): Promise<FileHandle> {
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx+', 0o640);
  try {
    await writeAll(file, bytes, 0);
    await file.sync();
    await rename(temporary, path);
    await syncDirectory(dirname(path));
    return file;
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

/**
 * Locks the database against another process, until this one ends however it ends. flock(1) locks the open file that
 * it inherits, so the lock outlives it and is ours. Open vSwitch's tools lock the same file, but with fcntl(2): these
 * locks are looked for in /proc/locks.
 */
function lock(path: string): number {
  const lockPath = join(dirname(path), `.${basename(path)}.~lock~`);
  const file = openSync(lockPath, 'a', 0o600);
  try {
    const result = spawnSync('flock', ['--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', file] });
    if (result.error) throw new JournalError(`flock (of util-linux) cannot be run: ${result.error.message}`);
    if (result.status !== 0) throw new JournalError(`the database ${path} is in use by another weftd`);
    const owner = posixLockOwner(fstatSync(file).ino);
    if (owner !== null)
      throw new JournalError(`the database ${path} is in use by process ${owner} (ovsdb-server?)`);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function posixLockOwner(inode: number): string | null {
  let locks = '';
  try {
    locks = readFileSync('/proc/locks', 'latin1');
  } catch {
    return null;
  }
  for (const line of locks.split('\n')) {
    const [, kind, , , pid, file] = line.trim().split(/\s+/);
    if (kind === 'POSIX' && file?.endsWith(`:${inode}`)) return pid ?? null;
  }
  return null;
}
