/**
 * Checkpoints: what a log says it holds, in three lines, as a signed note.
 *
 *     example.com/behind-the-sofa                                origin: which log
 *     20852163                                                   size: entries
 *     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=               root over all of them
 *
 * @see C2SP tlog-checkpoint
 */
import { base64, decimal, hasControl, parseDecimal, parseHash, TransparencyRefused } from './canonical-text.ts';
import { emptyRoot, type TreeHead } from './merkle.ts';
import { signNote } from './signed-note.ts';
import type { Signer } from './verifier-key.ts';

export interface Checkpoint extends TreeHead {
  /** which log: not empty, at most 255 bytes, no control characters; an address without its scheme is recommended */
  readonly origin: string;
  /** opaque lines after the third. Logs are advised against them, and cosigners vouch for nothing in them */
  readonly extensions: readonly string[];
}

/**
 * The note's text, the final line break included.
 *
 * @throws RangeError when a field cannot stand in a checkpoint
 */
export function formatCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  const problem = problemWith({ origin, size, root, extensions });
  if (problem !== undefined) throw new RangeError(`not a checkpoint: ${problem}`);
  return [origin, decimal(size, 'size'), base64(root), ...extensions].map((line) => `${line}\n`).join('');
}

/** @throws TransparencyRefused unless `text` is what `formatCheckpoint` writes for some checkpoint */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin, size, root, ...extensions] = text.split('\n');
  if (origin === undefined || size === undefined || root === undefined || extensions.pop() !== '') {
    throw new TransparencyRefused('checkpoint: not at least three lines, each ending with a line break');
  }
  const checkpoint = {
    origin,
    size: parseDecimal(size, 'checkpoint: line 2, the size'),
    root: parseHash(root, 'checkpoint: line 3, the root'),
    extensions,
  };
  const problem = problemWith(checkpoint);
  if (problem !== undefined) throw new TransparencyRefused(`checkpoint: ${problem}`);
  return checkpoint;
}

/**
 * The checkpoint as a note, signed by the log. The key's name is the origin, by which policies find it (tlog-policy,
 * Defining a log).
 *
 * @throws RangeError when it is not, or as `formatCheckpoint` and `signNote`
 */
export function signCheckpoint(checkpoint: Checkpoint, signer: Signer): string {
  if (signer.key.name !== checkpoint.origin) {
    throw new RangeError(`the log ${checkpoint.origin} cannot be signed for by the key of ${signer.key.name}`);
  }
  return signNote(formatCheckpoint(checkpoint), signer);
}

function problemWith({ origin, size, root, extensions }: Checkpoint): string | undefined {
  // 255: an origin that fits into the cosigned_message of tlog-cosignature
  if (!isLine(origin) || Buffer.byteLength(origin) > 255) return 'the origin is one line of 1 to 255 bytes';
  if (root.length !== 32) return `a root has 32 bytes, got ${root.length}`;
  if (size === 0 && !emptyRoot.every((byte, at) => byte === root[at])) return 'size 0 has the root of the empty tree';
  if (!extensions.every(isLine)) return 'an extension line is empty or has control characters';
  return undefined;
}

const isLine = (line: string): boolean => line.length > 0 && !hasControl(line) && line.isWellFormed();
