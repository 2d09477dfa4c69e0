import { isSignedBy } from '../aggregation/identity.ts';
import type { Plan, Roster } from '../aggregation/plan.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import { logKey, quorumOf, witnessKey } from '../aggregation/witness.ts';
import { TransparencyRefused } from '../privacy/transparency/canonical-text.ts';
import { verifyCosigned } from '../privacy/transparency/cosignature.ts';
import { withSignature } from '../privacy/transparency/signed-note.ts';
import { verifyTrusted } from '../privacy/transparency/trusted-checkpoint.ts';
import type { EventStore } from './event-store.ts';

/**
 * Collects cosignatures over the ledger.
 *
 *   ask: the note over the head, to everybody there ──▶ hear: their lines ──▶ enough of a plan's roster? the note is kept
 *
 * One note is open at a time. Asking again at another head begins a new one: cosignatures of different sizes do not add up.
 */
export interface Witnessing {
  /** Who is to be asked to cosign the head now: those of `present` that were not asked yet. @param note - over the head */
  ask(size: number, note: string, present: Iterable<TenantId>): TenantId[];
  /** Takes in a line. @returns false when it is not over the open note, or not by this tenant */
  hear(tenant: Roster[number], size: number, line: string): boolean;
  /** The smallest note over entry `seq`, with the plan's quorum under it; undefined when there is none yet. */
  over(seq: number, plan: Plan): string | undefined;
  /** A connection is gone: what it was asked may be lost. */
  left(tenant: TenantId): void;
}

export function openWitnessing(store: EventStore, coordinatorKey: Uint8Array): Witnessing {
  let open: { readonly size: number; readonly asked: Set<TenantId>; note: string } | undefined;
  const verified = { logKeys: [logKey(coordinatorKey)], verify: isSignedBy };

  return {
    ask(size, note, present) {
      if (open?.size !== size) open = { size, asked: new Set(), note };
      const { asked } = open;
      const others = [...present].filter((tenant) => !asked.has(tenant));
      for (const tenant of others) asked.add(tenant);
      return others;
    },
    hear(tenant, size, line) {
      if (open?.size !== size) return false; // late: the ledger has grown, and this tenant was asked again
      try {
        const note = withSignature(open.note, line);
        const { cosignedBy } = verifyCosigned(note, { ...verified, witnesses: [witnessKey(tenant)] });
        if (cosignedBy.length === 0) return false;
        open.note = note;
      } catch (error) {
        if (error instanceof TransparencyRefused) return false;
        throw error;
      }
      store.putNote(size, open.note);
      return true;
    },
    over(seq, plan) {
      const policy = quorumOf(plan, coordinatorKey);
      const enough = (note: string): boolean => {
        try {
          verifyTrusted(note, policy, isSignedBy);
          return true;
        } catch (error) {
          if (error instanceof TransparencyRefused) return false;
          throw error;
        }
      };
      return store.notes(seq).find(({ note }) => enough(note))?.note;
    },
    left: (tenant) => void open?.asked.delete(tenant),
  };
}
