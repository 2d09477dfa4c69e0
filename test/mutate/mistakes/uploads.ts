import { inTests, type Mutation } from '../mutation.ts';

const UPLOADS = 'coordinator/uploads.ts';
const KEY = 'const keyOf = ({ epoch, round, stage, attempt }: BodyPlace, tenant: TenantId): string =>';
const CLIENT = 'client/upload.ts';
const inUploads = (named?: string) => inTests('test/coordinator/uploads.test.ts', named);
const inSockets = (named: string) => inTests('test/coordinator/websocket.test.ts', named);
const inClient = (named: string) => inTests('test/client/upload.test.ts', named);

/** Vectors that travel in parts. */
export const uploads: readonly Mutation[] = [
  {
    name: 'parts-in-any-order',
    why: 'a vector of as many bytes is put together otherwise than it was sent',
    file: UPLOADS,
    find: 'const isNext = at === upload.stored && upload.last === undefined;',
    replace: 'const isNext = upload.last === undefined;',
    caughtBy: [inUploads('a part is not taken')],
  },
  {
    name: 'part-after-the-last',
    why: 'what was complete is exchanged before its statement comes',
    file: UPLOADS,
    find: 'at === upload.stored && upload.last === undefined;',
    replace: 'at === upload.stored;',
    caughtBy: [inUploads('beyond the vector')],
  },
  {
    name: 'vector-where-there-is-none',
    why: 'a stage that has no vector is sent one, and its statement signs it',
    file: UPLOADS,
    find: 'if (!isNext || at >= total || bytes.length',
    replace: 'if (!isNext || bytes.length',
    caughtBy: [inUploads('where a stage has none')],
  },
  {
    name: 'parts-of-any-length',
    why: 'a part at a time of one byte each, and the disk holds a row for every one',
    file: UPLOADS,
    find: ' || bytes.length !== Math.min(PART_BYTES, total - at)) return false;',
    replace: ') return false;',
    caughtBy: [inUploads('a part is not taken')],
  },
  {
    name: 'hash-without-the-last-part',
    why: 'what a tenant signed is not what the coordinator has',
    file: UPLOADS,
    find: 'hash.copy().update(last).digest()',
    replace: 'hash.copy().digest()',
    caughtBy: [inUploads('has the hash of all of it')],
  },
  {
    name: 'parts-of-another-tenant',
    why: 'who sends faster fills the vector of who sends slowly',
    file: UPLOADS,
    find: KEY,
    replace: KEY.replace('tenant: TenantId', '_: TenantId, tenant = 0'),
    caughtBy: [inUploads('of a tenant or a round')],
  },
  {
    name: 'parts-of-another-round',
    why: 'half a vector of the round before is the beginning of this one',
    file: UPLOADS,
    find: KEY,
    replace: KEY.replace('round, ', '').replace('tenant: TenantId', 'tenant: TenantId, round = 0'),
    caughtBy: [inUploads('of a tenant or a round')],
  },
  {
    name: 'disk-read-for-every-word',
    why: 'two hundred bytes make the coordinator read and hash a hundred megabytes, as often as they are sent',
    file: UPLOADS,
    find: 'if (upload !== undefined) upload.last = undefined;',
    replace: 'this.#open.delete(keyOf(place, tenant));',
    caughtBy: [inUploads('read from disk once')],
  },
  {
    name: 'statement-without-its-last-part',
    why: 'the contribution counts, and after a crash its end is gone',
    file: UPLOADS,
    find: 'if (upload?.last !== undefined) this.#store.putPart(this.#task, place, tenant, upload.stored, upload.last);',
    replace: 'void upload;',
    caughtBy: [inUploads('before and after its last part')],
  },
  {
    name: 'vectors-erased-too-early',
    why: 'the sum of a round is opened over vectors that are gone',
    file: UPLOADS,
    find: 'this.#store.eraseParts(this.#task, round)',
    replace: 'this.#store.eraseParts(this.#task, round + 1)',
    caughtBy: [inUploads('erased after its round')],
  },
  {
    name: 'parts-for-any-place',
    why: 'what was sent for one round is taken for another',
    file: 'coordinator/answers.ts',
    find: 'const isHere = part.epoch === state.epoch && part.round === roundNumber(state) && part.attempt === attempt;',
    replace: 'const isHere = part.epoch === state.epoch;',
    caughtBy: [inSockets('parts of another round'), inSockets('parts of another attempt')],
  },
  {
    name: 'parts-for-any-stage',
    why: 'a share is taken for a contribution',
    file: 'coordinator/answers.ts',
    find: 'if (!isHere || part.stage !== name || ',
    replace: 'if (!isHere || ',
    caughtBy: [inSockets('parts of another stage')],
  },
  {
    name: 'all-parts-at-once',
    why: 'a coordinator with a slow disk is buried, and holds in memory what it was to hold on disk',
    file: CLIENT,
    find: ' && next - onDisk < WINDOW * PART_BYTES;',
    replace: ';',
    caughtBy: [inClient('parts under way')],
  },
  {
    name: 'vector-from-the-start-again',
    why: 'whoever loses connections often never gets a long vector through',
    file: CLIENT,
    find: 'let next = have;',
    replace: 'let next = 0 * have;',
    caughtBy: [inClient('disk ends')],
  },
  {
    name: 'statement-before-its-vector',
    why: 'a statement whose vector is not there is refused, and the tenant is lost to the round',
    file: CLIENT,
    find: 'if (next < vector.length || isSaid) return;',
    replace: 'if (isSaid) return;',
    caughtBy: [inClient('after the last')],
  },
];
