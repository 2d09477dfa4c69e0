import { CommandError, EXIT } from '../aggregation/exit.ts';
import type { SecretOptions } from '../aggregation/secret.ts';
import { verifyLedgerExport } from '../aggregation/verify-ledger.ts';
import { commit, hold, openBudget } from '../privacy/budget.ts';
import { EMPTY_LEDGER, type LedgerEntry, type LedgerHead, verifyChain } from '../privacy/ledger.ts';
import { followSpending } from '../privacy/ledger-spending.ts';
import { type ClientStore, openClientStore } from './client-store.ts';
import { policyOf } from './command-input.ts';
import { openedKeys, storeFile } from './folder.ts';
import { readExport } from './ledger-commands.ts';
import type { Policy } from './policy.ts';
import { asTenant, type Reader } from './reader.ts';
import { standingOf } from './spending.ts';

export interface RestoreOptions extends SecretOptions {
  readonly folder: string;
  /** an export, such as another tenant's; from the coordinator when left out */
  readonly ledger?: string;
  readonly json?: boolean;
}

/**
 * `parley client restore-budget`: a budget for a tenant whose store is lost.
 *
 *   ledger, verified ──▶ every task this tenant accepted ──▶ all openings of its plan, as if every one had been spent
 *
 * Never less than was spent: a client contributes to nothing before the ledger holds its acceptance, and pays for no opening
 * beyond the plan's. What was spent when is the coordinator's word, so all of it counts in the period of the restoring.
 * A ledger that was cut off says too little: the next news bring the missing acceptance, and the client stops (`own-word.ts`).
 */
export async function restoreBudget(options: RestoreOptions): Promise<void> {
  const policy = policyOf(options.folder);
  const { identity, storeKey } = await openedKeys(options.folder, options);
  const file = storeFile(options.folder);
  const store = openClientStore(file, storeKey);
  try {
    if (store.budget() !== undefined)
      throw new CommandError(EXIT.refused, `${file} has a budget; it knows better than the ledger what was spent`);
    const { entries, head } = await verified(
      policy,
      options.ledger,
      asTenant(identity, policy.coordinator.fingerprint),
    );
    const tasks = restore(store, policy, entries, head, Date.now());
    report(store, policy, { tasks, entries: entries.length, hash: head.hash }, options.json === true);
  } finally {
    store.close();
  }
}

async function verified(
  policy: Policy,
  from: string | undefined,
  reader: Reader,
): Promise<{ entries: LedgerEntry[]; head: LedgerHead }> {
  const found = await readExport(from, policy.coordinator.url, reader);
  const verdict = verifyLedgerExport(found, { coordinator: policy.coordinator.fingerprint, tenants: policy.peers });
  if (!verdict.verified) {
    const findings = verdict.findings.map(({ seq, problem }) => `entry ${seq}: ${problem}`);
    throw new CommandError(EXIT.broken, findings.join('\n'));
  }
  const chain = verifyChain(verdict.entries, EMPTY_LEDGER);
  if (!chain.intact) throw new CommandError(EXIT.broken, `entry ${chain.seq}: ${chain.problem}`);
  return { entries: [...verdict.entries], head: chain.head };
}

/**
 * Takes over ledger and budget; all of it, or nothing. What ran is over for this tenant: which of its rounds it answered, and
 * how, went with the store.
 *
 * @param entries - a verified ledger, with its head
 * @param now - Unix ms
 * @returns the tasks that are counted
 * @throws CommandError when the store has seen another ledger
 */
export function restore(
  store: ClientStore,
  policy: Policy,
  entries: readonly LedgerEntry[],
  head: LedgerHead,
  now: number,
): string[] {
  const seen = store.ledgerHead();
  const isContinued = seen.size === 0 || hashAt(entries, seen.size) === seen.hash;
  if (!isContinued)
    throw new CommandError(
      EXIT.broken,
      `the ledger does not continue the ${seen.size} entries that this store has seen`,
    );
  const spending = followSpending();
  for (const entry of entries) spending.see(entry);
  const tasks = spending.tasksOf(policy.tenant);
  const budget = tasks.reduce((before, { pool, task, purpose, event, openings }) => {
    const all = { pool, task, purpose, event, count: openings };
    return commit(hold(before, all, now), all);
  }, openBudget(policy.budget));
  store.commit(() => {
    store.addLedger(entries.slice(seen.size), head);
    store.setBudget(budget);
    for (const { task } of tasks) store.pin(`declined/${task}`, 'budget');
  });
  return tasks.map(({ task }) => task);
}

/** Hash of the ledger's head when it had this many entries. */
function hashAt(entries: readonly LedgerEntry[], size: number): string {
  const chain = verifyChain(entries.slice(0, size));
  return chain.intact ? chain.head.hash : '';
}

function report(
  store: ClientStore,
  policy: Policy,
  { tasks, entries, hash }: { tasks: readonly string[]; entries: number; hash: string },
  asJson: boolean,
): void {
  const pools = (['training', 'held-out'] as const).map((pool) => {
    const { epsilon } = standingOf(store, policy, pool, Date.now());
    return { pool, epsilon, limit: policy.budget[pool].epsilon };
  });
  if (asJson) return console.log(JSON.stringify({ tasks, pools, ledger: { entries, hash } }));
  const lines = pools.map(({ pool, epsilon, limit }) => `  ${pool.padEnd(9)} ε ${epsilon.toFixed(3)} of ${limit}`);
  console.log(`Counted as spent: every opening of the ${tasks.length} tasks that ${policy.tenant} accepted, used or not.
${lines.join('\n')}
From a ledger of ${entries} entries, last hash ${hash}:
compare both with another tenant's, aloud. A shorter ledger would say too little.
Not in the ledger, and lost: the salt of the data commitments, the list of erased customers (erase them again), which data
earlier tasks were accepted with. Keep the data contract as it was: who was held out must stay held out.`);
}
