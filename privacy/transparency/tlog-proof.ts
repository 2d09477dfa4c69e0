/**
 * Offline proofs: that an entry is in a log, and that witnesses saw the log with it, in one file that needs no server.
 *
 *     c2sp.org/tlog-proof@v1
 *     extra dGhlIGVudHJ5                                         optional, vouched for by nobody
 *     index 73894
 *     gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=               the inclusion proof, the leaf's sibling first
 *
 *     example.com/fancylog                                       the checkpoint, as it was signed
 *     …
 *
 * @see C2SP tlog-proof. Files end in `.tlog-proof`
 */
import { base64, decimal, parseBase64, parseDecimal, parseHash, TransparencyRefused } from './canonical-text.ts';
import { parseCheckpoint } from './checkpoint.ts';
import type { CosignedCheckpoint } from './cosignature.ts';
import { verifyInclusion } from './merkle.ts';
import { parseNote } from './signed-note.ts';
import type { TrustPolicy } from './trust-policy.ts';
import { verifyTrusted } from './trusted-checkpoint.ts';
import type { Verify } from './verifier-key.ts';

export interface TlogProof {
  /** of the entry, from 0 */
  readonly index: number;
  /** as `inclusionProof` gives it for the checkpoint's size */
  readonly path: readonly Uint8Array[];
  /** a signed note, with its cosignatures */
  readonly checkpoint: string;
  /** opaque, not empty. Anyone may have changed it: what it says counts only when the leaf's hash follows from it */
  readonly extra?: Uint8Array;
}

/** A proof may have 1 MiB: a note, 63 hashes, and the rest for what is extra. */
export const MAX_PROOF_BYTES = 1_048_576;

const HEADER = 'c2sp.org/tlog-proof@v1';

/**
 * @throws RangeError when the index is none
 * @throws TransparencyRefused when `parseProof` would refuse the result
 */
export function formatProof({ index, path, checkpoint, extra }: TlogProof): string {
  const head = [
    HEADER,
    ...(extra === undefined ? [] : [`extra ${base64(extra)}`]),
    `index ${decimal(index, 'index')}`,
    ...path.map(base64),
  ];
  const text = `${head.join('\n')}\n\n${checkpoint}`;
  parseProof(text);
  return text;
}

/**
 * Reads a proof and verifies nothing.
 *
 * @throws TransparencyRefused unless `text` is what `formatProof` writes for some proof
 */
export function parseProof(text: string): TlogProof {
  if (Buffer.byteLength(text) > MAX_PROOF_BYTES) throw new TransparencyRefused(`proof: over ${MAX_PROOF_BYTES} bytes`);
  // neither line nor hash is empty, so the first empty line is where the checkpoint begins
  const split = text.indexOf('\n\n');
  const lines = text.slice(0, Math.max(split, 0)).split('\n');
  if (lines.shift() !== HEADER) throw new TransparencyRefused(`proof: does not begin with ${HEADER} and end in a note`);
  const extra = lines[0]?.startsWith('extra ') ? parseBase64(lines.shift()!.slice(6), 'proof: extra') : undefined;
  if (extra?.length === 0)
    throw new TransparencyRefused('proof: the extra line is left out when there is nothing in it');
  const index = lines.shift();
  if (!index?.startsWith('index ')) throw new TransparencyRefused('proof: there is no index line');
  if (lines.length > 63) throw new TransparencyRefused('proof: more than 63 hashes');
  const checkpoint = text.slice(split + 2);
  parseCheckpoint(parseNote(checkpoint).text);
  return {
    index: parseDecimal(index.slice(6), 'proof: index'),
    path: lines.map((line, at) => parseHash(line, `proof: hash ${at + 1}`)),
    checkpoint,
    ...(extra === undefined ? {} : { extra }),
  };
}

export interface ProvenEntry extends CosignedCheckpoint {
  readonly index: number;
}

/**
 * That `leaf` is in a log that `policy` trusts, at the index the proof says, as its quorum has seen (tlog-proof, Verifying).
 *
 * @param text - the proof
 * @param leaf - the entry's hash, computed by the caller from an entry it has: never from the proof alone
 * @throws TransparencyRefused when it is not, and why
 */
export function verifyProof(text: string, leaf: Uint8Array, policy: TrustPolicy, verify: Verify): ProvenEntry {
  const { index, path, checkpoint: note } = parseProof(text);
  const cosigned = verifyTrusted(note, policy, verify);
  const { size, root } = cosigned.checkpoint;
  if (!verifyInclusion({ index, size, leaf, proof: path, root })) {
    throw new TransparencyRefused(`proof: the entry is not entry ${index} of the ${size} under the checkpoint's root`);
  }
  return { ...cosigned, index };
}
