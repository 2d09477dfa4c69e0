import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import type { Letters, TenantId } from '../aggregation/secure-sum.ts';

/** Letters that are on disk; each is read when somebody asks for it. */
export interface SpooledLetters extends Letters {
  /** Bytes of the letter to this tenant; 0 where there is none. */
  lengthTo(tenant: TenantId): number;
}

/**
 * Letters that are too long for memory: where keys are dealt among two hundred tenants, 600 MB. They are with what was said in the
 * event store, durable, all of one tenant in one piece; here, one by one, for as long as somebody may be told of them.
 *
 * In a file without a name, gone with the process that opened it.
 */
export class Spool {
  readonly #folder: string;
  #file: File | undefined;

  /** @param folder - on a disk with room, not in memory */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws Error when the disk is full: `isStorageError` */
  put(letters: Letters): SpooledLetters {
    const all = [...letters];
    if (all.length === 0) return NONE;
    this.#file ??= namelessFile(this.#folder);
    const file = this.#file;
    const places = new Map<TenantId, Place>();
    let { end } = file;
    for (const [to, { length }] of all) {
      places.set(to, { at: end, length });
      end += length;
    }
    const pieces = all.map(([, bytes]) => bytes);
    writeAll(file.number, pieces, file.end);
    file.end = end;
    const read = (place: Place): Uint8Array => {
      // the system gives its number to another file
      if (file !== this.#file) throw new Error('a letter of a conversation that is over');
      return readAll(file.number, place);
    };
    return {
      size: places.size,
      lengthTo: (tenant) => places.get(tenant)?.length ?? 0,
      get(tenant) {
        const place = places.get(tenant);
        return place && read(place);
      },
      *[Symbol.iterator]() {
        for (const [to, place] of places) yield [to, read(place)];
      },
    };
  }

  /** Nobody will be told of any of them. */
  clear(): void {
    if (this.#file !== undefined) closeSync(this.#file.number);
    this.#file = undefined;
  }
}

const NONE: SpooledLetters = Object.assign(new Map(), { lengthTo: () => 0 });

interface File {
  readonly number: number;
  /** bytes */
  end: number;
}

function namelessFile(folder: string): File {
  const path = join(folder, `spool-${randomUUID()}`);
  const number = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return { number, end: 0 };
}

interface Place {
  readonly at: number;
  readonly length: number;
}

/** A disk that is nearly full takes a part, and says so only when it is given the rest. */
function writeAll(file: number, pieces: readonly Uint8Array[], at: number): void {
  const written = writevSync(file, pieces, at);
  const total = pieces.reduce((sum, { length }) => sum + length, 0);
  if (written < total) writeAll(file, [Buffer.concat(pieces).subarray(written)], at + written);
}

function readAll(file: number, { at, length }: Place): Uint8Array {
  const bytes = Buffer.allocUnsafe(length);
  if (readSync(file, bytes, 0, length, at) !== length) throw new Error('a letter is cut off');
  return bytes;
}
