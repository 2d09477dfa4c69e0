import { createHash, type Hash } from 'node:crypto';
import type { StoredVector, TenantId } from '../aggregation/secure-sum.ts';
import { PART_BYTES } from '../aggregation/wire.ts';
import type { BodyPlace, EventStore } from './store/event-store.ts';

/**
 * Vectors on their way in: part after part to disk, none of them held in memory.
 *
 *   part ─▶ the next one, of the right length? ─▶ on disk, hashed on the way
 *   last part ─▶ kept until the statement comes ─▶ on disk with it
 *
 * A vector counts only when the statement that its tenant signed holds its hash (`hearing.ts`), and is then as durable as the
 * statement. What was on disk before a crash, or before a connection was lost, is not sent again.
 */
export class Uploads {
  readonly #store: EventStore;
  readonly #task: string;
  readonly #open = new Map<string, Upload>();
  /** the last round that has left nothing */
  #swept = -1;

  constructor(store: EventStore, task: string) {
    this.#store = store;
    this.#task = task;
  }

  /** Bytes that are on disk. */
  held(place: BodyPlace, tenant: TenantId): number {
    return this.#upload(place, tenant).stored;
  }

  /**
   * @param total - bytes of the whole vector
   * @returns whether this was the part that comes next; if not, nothing has changed
   */
  take(place: BodyPlace, tenant: TenantId, { at, bytes }: { at: number; bytes: Uint8Array }, total: number): boolean {
    const upload = this.#upload(place, tenant);
    const isNext = at === upload.stored && upload.last === undefined;
    if (!isNext || at >= total || bytes.length !== Math.min(PART_BYTES, total - at)) return false;
    if (at + bytes.length === total) upload.last = Uint8Array.from(bytes);
    else {
      this.#store.commitSoon(() => this.#store.putPart(this.#task, place, tenant, at, bytes));
      upload.stored += bytes.length;
      upload.hash.update(bytes);
    }
    return true;
  }

  /** The whole vector; undefined as long as parts are missing. Looks at no disk: whoever says nothing new costs nothing. */
  complete(place: BodyPlace, tenant: TenantId): StoredVector | undefined {
    const upload = this.#open.get(keyOf(place, tenant));
    if (upload?.last === undefined) return undefined;
    const { stored, last, hash } = upload;
    return storedVector(this.#store, this.#task, place, tenant, {
      length: stored + last.length,
      hash: hash.copy().update(last).digest(),
      last,
    });
  }

  /** Puts the last part on disk. Within the transaction of the statement. */
  keep(place: BodyPlace, tenant: TenantId): void {
    const upload = this.#open.get(keyOf(place, tenant));
    if (upload?.last !== undefined) this.#store.putPart(this.#task, place, tenant, upload.stored, upload.last);
  }

  /** It is said: the last part is on disk with the others. They are not read again, whatever comes next. */
  drop(place: BodyPlace, tenant: TenantId): void {
    const upload = this.#open.get(keyOf(place, tenant));
    if (upload !== undefined) upload.last = undefined;
  }

  /**
   * What was refused. A vector that is all there and not the one that was signed is erased: parts carry no signature, and one that
   * somebody on the wire slipped in would make every later statement a wrong one. Of half a vector nothing is known yet.
   */
  refuse(place: BodyPlace, tenant: TenantId): void {
    const key = keyOf(place, tenant);
    if (this.#open.get(key)?.last === undefined) return;
    this.#store.commitSoon(() => this.#store.eraseVector(this.#task, place, tenant));
    this.#open.delete(key);
  }

  forget(): void {
    this.#open.clear();
  }

  /** Erases some of what rounds up to `round` have left, in memory all of it. Called again and again, it erases everything. */
  sweep(round: number): void {
    if (round <= this.#swept) return;
    for (const [key, upload] of this.#open) if (upload.round <= round) this.#open.delete(key);
    if (!this.#store.commitSoon(() => this.#store.eraseParts(this.#task, round))) this.#swept = round;
  }

  #upload(place: BodyPlace, tenant: TenantId): Upload {
    const key = keyOf(place, tenant);
    let upload = this.#open.get(key);
    if (upload === undefined) {
      upload = { round: place.round, stored: 0, last: undefined, hash: createHash('sha256') };
      // what was there before a restart
      for (;;) {
        const part = this.#store.part(this.#task, place, tenant, upload.stored);
        if (part === undefined) break;
        upload.hash.update(part);
        upload.stored += part.length;
      }
      this.#open.set(key, upload);
    }
    return upload;
  }
}

interface Upload {
  readonly round: number;
  /** bytes on disk */
  stored: number;
  last: Uint8Array | undefined;
  /** over those on disk */
  readonly hash: Hash;
}

/** @param vector - `last` while that part is not on disk yet */
export function storedVector(
  store: EventStore,
  task: string,
  place: BodyPlace,
  tenant: TenantId,
  vector: { readonly length: number; readonly hash: Uint8Array; readonly last?: Uint8Array },
): StoredVector {
  const { length, hash, last } = vector;
  const lastAt = last && length - last.length;
  const part = (at: number): Uint8Array => {
    const bytes = at === lastAt ? last : store.part(task, place, tenant, at);
    if (bytes === undefined) throw new Error(`event store damaged: byte ${at} of a vector of task ${task} is missing`);
    return bytes;
  };
  return {
    length,
    hash,
    read(from, to) {
      const first = from - (from % PART_BYTES);
      if (to <= first + PART_BYTES) return part(first).subarray(from - first, to - first);
      const bytes = new Uint8Array(to - from);
      for (let at = first; at < to; at += PART_BYTES) {
        const piece = part(at).subarray(Math.max(0, from - at), to - at);
        bytes.set(piece, Math.max(at, from) - from);
      }
      return bytes;
    },
  };
}

const keyOf = ({ epoch, round, stage, attempt }: BodyPlace, tenant: TenantId): string =>
  `${epoch}/${round}/${stage}/${attempt}/${tenant}`;
