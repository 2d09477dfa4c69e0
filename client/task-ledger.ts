import canonicalize from 'canonicalize';
import { isSignedBy } from '../aggregation/identity.ts';
import { type Plan, taskId } from '../aggregation/plan.ts';
import { planEntry } from '../aggregation/plan-entry.ts';
import { answerDigest } from '../aggregation/wire.ts';
import type { LedgerEntry } from '../privacy/ledger.ts';
import type { ClientStore } from './client-store.ts';
import type { Ask } from './conversation.ts';
import { Declined } from './declined.ts';
import { LedgerBroken, witnessedSize } from './ledger-view.ts';
import type { ClientWorld } from './participant.ts';

/**
 * What the ledger must say of a task for this tenant to go on:
 *
 *   checkBegun      before it says anything          the plan, word for word, cosigned; its own acceptance
 *   headHash        when a conversation begins       the same ledger for all who take part
 *   checkCharged    before a share leaves            exactly this sum, and what it costs
 *   checkReleased   before it takes a model in       this model, from the sum that was charged
 *   checkFinished   before it hands a result out     this model as the end, cosigned
 *
 * The ledger is the tenant's own copy, which only grows (`ledger-view.ts`): nothing is asked of the coordinator.
 */

/** @throws Declined when the plan is not in the ledger, word for word and cosigned by the quorum, with this tenant's acceptance */
export function checkBegun({ store, policy, identity }: ClientWorld, plan: Plan): void {
  const task = taskId(plan);
  const entry = store.planEntry(task);
  const isPlan = entry !== undefined && canonicalize({ ...entry, ...planEntry(plan) }) === canonicalize(entry);
  if (!isPlan) throw new Declined('broken-promise', 'the ledger does not hold the plan, or says something else of it');
  if (entry.seq >= witnessedSize(store, task))
    throw new Declined('broken-promise', 'the task begins before the quorum has cosigned its plan');
  // so what this tenant pays can be counted again from the ledger alone, should its store be lost
  const accepted = store.acceptEntry(task, policy.tenant);
  const isMine =
    accepted?.kind === 'accept' &&
    isSignedBy(
      identity.publicKey,
      answerDigest(policy.tenant, { type: 'accept', task, round: 0, dataset: accepted.dataset }),
      Buffer.from(accepted.signature, 'hex'),
    );
  if (!isMine) throw new Declined('broken-promise', 'the ledger does not hold this tenant’s acceptance of the task');
}

/**
 * The head of the ledger that a conversation begins with. It goes into every signature, so tenants that are shown two
 * ledgers cannot hear each other.
 *
 * @returns its hash
 * @throws Declined when this tenant's ledger had another head at that size
 */
export function headHash(store: ClientStore, { head }: Ask): string {
  if (store.ledgerHashAt(head.size) !== head.hash)
    throw new Declined('broken-promise', 'the conversation begins with another ledger than this tenant was shown');
  return head.hash;
}

/**
 * A share leaves only for a sum that the ledger charges to exactly this round.
 *
 * @param due - the sum that is to be opened, how many contributed to it, and what it costs
 * @throws Declined
 */
export function checkCharged(
  store: ClientStore,
  task: string,
  round: number,
  due: Pick<Charge, 'sumHash' | 'contributions' | 'event'>,
): void {
  const charge = store.ledgerEntry(task, round, 'charge');
  if (charge?.kind !== 'charge')
    throw new Declined('broken-promise', `round ${round}: asked to open before the ledger charges it`);
  if (store.ledgerEntry(task, round, 'abort') !== undefined)
    throw new Declined('broken-promise', `round ${round}: the ledger aborted this round`);
  const isSameEvent = canonicalize(charge.event) === canonicalize(due.event);
  if (charge.sumHash !== due.sumHash || charge.contributions !== due.contributions || !isSameEvent)
    throw new Declined(
      'broken-promise',
      `round ${round}: the ledger charges another sum, or another event, than is to be opened`,
    );
}

type Charge = Extract<LedgerEntry, { kind: 'charge' }>;

/**
 * @param model - hash of the model that this tenant computed from the round's sum
 * @throws Declined when the ledger does not release it, or releases another sum than it charges
 */
export function checkReleased(store: ClientStore, task: string, round: number, model: string): void {
  const release = store.ledgerEntry(task, round, 'release');
  const charge = store.ledgerEntry(task, round, 'charge');
  if (release?.kind !== 'release' || release.modelHash !== model)
    throw new Declined('broken-promise', `round ${round}: the ledger does not release this model`);
  if (charge?.kind !== 'charge' || charge.sumHash !== release.sumHash)
    throw new Declined('broken-promise', `round ${round}: the ledger does not charge the sum it releases`);
}

/**
 * @param model - hash of the model that this tenant computed from the task's last sum
 * @throws LedgerBroken when a result is handed out that too few have cosigned, or another one
 */
export function checkFinished(store: ClientStore, task: string, model: string): void {
  const last = store.endOf(task);
  if (last === undefined || last.seq >= witnessedSize(store, task))
    throw new LedgerBroken('a task is finished, and the quorum has not cosigned a ledger with its end');
  if (last.kind !== 'finish' || last.modelHash !== model)
    throw new LedgerBroken(`ledger entry ${last.seq}: the task ends with another model than this tenant has computed`);
}
