import { hkdf } from '../key-agreement.ts';
import { type Neighbourhood, neighbourhood, neighbours } from '../neighbours.ts';
import { keyAgreementOf, publicKeyBytes } from '../pair-key.ts';
import { type EpochContext, type KeyAgreement, ProtocolBroken, type TenantId } from '../secure-sum.ts';
import { digest } from '../transcript.ts';
import type { Cover } from './cover.ts';

/**
 * What is said in a round under pairwise masks, byte by byte.
 *
 *   keys         commitment to b (32) ‖ key for masks ‖ key for shares
 *   deal         to each neighbour a letter (`letter.ts`)
 *   contribute   as its vector, the values under their cover (`cover.ts`)
 *   agree        hash of the survivors' contributions (32)
 *   reveal       one share of each tenant that dealt to me, and of mine, by name
 */
export const SEED_BYTES = 32;
const COMMITMENT_BYTES = 32;

/**
 * An epoch's or a round's transcript, bound to the protocol: everything derived hangs on it, so nothing that is said under
 * one cover means anything under another.
 */
export const boundTo = ({ name }: Cover, transcript: Uint8Array): Uint8Array =>
  digest('parley/masking/protocol/v1', name, transcript);

export const keysBytes = (kind: KeyAgreement): number => COMMITMENT_BYTES + 2 * publicKeyBytes(kind);

export interface Keys {
  readonly commitment: Uint8Array;
  readonly mask: Uint8Array;
  readonly share: Uint8Array;
}

/** What everyone sees of a round once keys are announced. */
export interface Announced {
  /** sorted */
  readonly names: readonly TenantId[];
  readonly keys: ReadonlyMap<TenantId, Keys>;
  /** 32 bytes: the round, its members and all keys */
  readonly identity: Uint8Array;
  readonly neighbourhood: Neighbourhood;
  readonly neighbours: ReadonlyMap<TenantId, readonly TenantId[]>;
}

/** Binds a self-mask before anyone knows who will survive: shares that were bent are seen when they are put together. */
export const commitmentTo = (selfSeed: Uint8Array, transcript: Uint8Array, name: TenantId): Uint8Array =>
  digest('parley/masking/self-mask/v1', transcript, name, selfSeed);

/** @param transcript - of the round, bound to the protocol @throws ProtocolBroken */
export function readKeys(
  heard: ReadonlyMap<TenantId, { readonly open: Uint8Array }>,
  { shape, members, transcript: epoch }: Omit<EpochContext, 'me'>,
  transcript: Uint8Array,
): Announced {
  if (heard.size < shape.threshold)
    throw new ProtocolBroken(`${heard.size} tenants announced keys, ${shape.threshold} are needed to open`);
  const kind = keyAgreementOf(shape);
  const names = [...heard.keys()].sort();
  const taken = new Set<string>();
  const keys = new Map<TenantId, Keys>();
  for (const name of names) {
    const { open } = heard.get(name)!;
    if (!members.includes(name)) throw new ProtocolBroken('announced keys and is no member', name);
    if (open.length !== keysBytes(kind)) throw new ProtocolBroken('announced keys of the wrong length', name);
    const split = COMMITMENT_BYTES + publicKeyBytes(kind);
    const one = {
      commitment: open.subarray(0, COMMITMENT_BYTES),
      mask: open.subarray(COMMITMENT_BYTES, split),
      share: open.subarray(split),
    };
    for (const part of Object.values(one)) {
      const hex = Buffer.from(part).toString('hex');
      if (taken.has(hex)) throw new ProtocolBroken('announced a key that is already taken', name);
      taken.add(hex);
    }
    keys.set(name, one);
  }
  // shares are numbered by `members`: who was told another list works in another round
  const parties = digest('parley/masking/parties/v1', kind, String(shape.threshold), ...members);
  const listed = names.flatMap((name) => [name, heard.get(name)!.open]);
  const identity = digest('parley/masking/keys/v1', epoch, transcript, parties, ...listed);
  const around = neighbourhood(names.length, shape);
  return { names, keys, identity, neighbourhood: around, neighbours: neighbours(names, around.degree, identity) };
}

/** Names what the masks of a round are for: all keys, and who was there to share. */
export const occasionOf = ({ identity }: Announced, cohort: readonly TenantId[]): Uint8Array =>
  digest('parley/masking/occasion/v1', identity, ...cohort);

/** Shamir's x: the place in the epoch's list, from 1. */
export const placeOf = (members: readonly TenantId[], name: TenantId): number => members.indexOf(name) + 1;

/** Those whose shares a tenant holds, itself included: who dealt, and is its neighbour. Sorted. */
export const heldBy = (announced: Announced, cohort: readonly TenantId[], name: TenantId): TenantId[] =>
  cohort.filter((other) => other === name || announced.neighbours.get(name)!.includes(other));

/** AES-128 keys: of a pair's mask, which the first by name adds and the other subtracts, and of a tenant's own. */
export const pairMaskKey = (secret: Uint8Array, occasion: Uint8Array, a: TenantId, b: TenantId): Uint8Array =>
  hkdf(secret, occasion, digest('parley/masking/pair-mask/v1', occasion, ...[a, b].sort()), 16);

export const selfMaskKey = (selfSeed: Uint8Array, occasion: Uint8Array, name: TenantId): Uint8Array =>
  hkdf(selfSeed, occasion, digest('parley/masking/own-mask/v1', occasion, name), 16);

/** The identity of a sum. @param hashes - SHA-256 of what each survivor contributed */
export function sumHashOf(epoch: Uint8Array, hashes: ReadonlyMap<TenantId, Uint8Array>): Uint8Array {
  const leaves = [...hashes].sort(([a], [b]) => (a < b ? -1 : 1)).flat();
  return digest('parley/masking/sum/v1', epoch, ...leaves);
}
