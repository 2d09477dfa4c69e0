import { CommandError, EXIT } from '../aggregation/exit.ts';
import type { SecretOptions } from '../aggregation/secret.ts';
import { customerOfEachRow, isHeldOut, type Table } from '../models/encode.ts';
import { type ClientStore, openClientStore } from './client-store.ts';
import { customersOf, policyOf } from './command-input.ts';
import { type Contained, containedIn } from './contained.ts';
import { eraseCustomers } from './erased.ts';
import { openedKeys, storeFile } from './folder.ts';
import { giveNotice, pendingNotice } from './give-notice.ts';
import type { Policy } from './policy.ts';
import { type PoolName, standingOf } from './spending.ts';

export interface EraseOptions extends SecretOptions {
  readonly folder: string;
  /** identifiers as they stand in the customer column */
  readonly customer?: readonly string[];
  /** lines of the data file, where a row is a customer */
  readonly row?: readonly number[];
  /** identifiers without a row are meant: their rows are out of the file already */
  readonly absent?: boolean;
  readonly json?: boolean;
}

/**
 * `parley client erase`: customers this tenant no longer uses, from its next start on, in running tasks too.
 *
 *   on the list here, durable ──▶ notice: neither who nor how many ──▶ ledger ──▶ what released models still contain
 *
 * Cut off from the coordinator it has erased all the same; without a customer the command gives the notice that is due.
 */
export async function erase(options: EraseOptions): Promise<void> {
  const policy = policyOf(options.folder);
  const { identity, storeKey } = await openedKeys(options.folder, options);
  const store = openClientStore(storeFile(options.folder), storeKey);
  try {
    const wasBegun = pendingNotice(store, 'erasure') !== undefined;
    const isDue = wasBegun || store.pinned(UNTOLD) === 'yes';
    const erased = isDue && !namesAny(options) ? [] : await putOnList(store, policy, options);
    const give = (): Promise<void> => giveNotice('erasure', { store, policy, identity });
    // one that was begun before does not speak of these customers
    await notifying(store, () => (wasBegun && erased.length > 0 ? give().then(give) : give()));
    const pools = erased.length === 0 ? POOLS : [...new Set(erased)];
    const statements = pools.map((pool) => statementOf(store, policy, pool));
    if (options.json) console.log(JSON.stringify({ erased: erased.length, statements }));
    else for (const statement of statements) console.log(textOf(statement));
  } finally {
    store.close();
  }
}

const namesAny = ({ customer = [], row = [] }: EraseOptions): boolean => customer.length + row.length > 0;

/** @returns the pool of each customer */
async function putOnList(store: ClientStore, policy: Policy, options: EraseOptions): Promise<PoolName[]> {
  const snapshot = await customersOf(policy);
  const customers = identified(policy, options, snapshot.table);
  store.commit(() => {
    eraseCustomers(store, policy.schema, snapshot, customers);
    store.pin(UNTOLD, 'yes');
  });
  return customers.map((customer) => (isHeldOut(policy.schema, customer) ? 'held-out' : 'training'));
}

const POOLS: readonly PoolName[] = ['training', 'held-out'];
/** The list has grown, and no notice was begun since. */
const UNTOLD = 'erasure-untold';

async function notifying(store: ClientStore, give: () => Promise<void>): Promise<void> {
  try {
    await give();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(
      error.code,
      `${error.message}\nNobody named is used here any more; the ledger does not say so yet: \`parley client erase\` without a customer tells it`,
    );
  }
  store.pin(UNTOLD, 'no');
}

/** Identifiers of those who are meant. @throws CommandError that names places on the command line, never a customer */
function identified(policy: Policy, { customer = [], row = [], absent = false }: EraseOptions, table: Table): string[] {
  const isRow = policy.schema.customer === 'row';
  if (isRow && customer.length > 0)
    throw new CommandError(EXIT.usage, 'one row is one customer here: name the line of the data file, with --row');
  if (!isRow && row.length > 0)
    throw new CommandError(EXIT.usage, 'customers have a column here: name what stands in it, with --customer');
  if (customer.length + row.length === 0)
    throw new CommandError(EXIT.usage, `name who is to be erased, with ${isRow ? '--row' : '--customer'}`);
  const customers = customerOfEachRow(policy.schema, table);
  if (isRow) return row.map((line) => atLine(policy, table, customers, line));
  const there = new Set(customers);
  const unknown = customer.flatMap((one, i) => (there.has(one.trim()) ? [] : [i + 1]));
  if (unknown.length > 0 && !absent)
    throw new CommandError(
      EXIT.input,
      `${policy.data}: no row of --customer number ${unknown.join(', ')}. Check the spelling; if their rows are out of the file already, add --absent`,
    );
  return customer.map((one) => one.trim());
}

function atLine(policy: Policy, table: Table, customers: readonly (string | null)[], line: number): string {
  const row = [...table.rows.keys()].find((each) => table.line(each) === line);
  if (row === undefined) throw new CommandError(EXIT.input, `${policy.data}: no customer begins at line ${line}`);
  return customers[row]!;
}

interface Statement {
  readonly pool: PoolName;
  readonly released: readonly Contained[];
  /** of one customer's lifetime, over all tasks; what is set aside for running ones included */
  readonly epsilon: number;
  readonly limit: number;
  readonly delta: number;
}

function statementOf(store: ClientStore, policy: Policy, pool: PoolName): Statement {
  const { epsilon } = standingOf(store, policy, pool, Date.now());
  const { epsilon: limit, delta } = policy.budget[pool];
  return { pool, released: containedIn(store, policy.tenant, pool), epsilon, limit, delta };
}

function textOf({ pool, released, epsilon, limit, delta }: Statement): string {
  const models = released.map((one) => {
    const name = `${one.name ?? 'task'} ${one.task.slice(0, 8)}`;
    const model = one.model === undefined ? 'nothing released' : `model ${one.model.slice(0, 12)}`;
    return `  ${name.padEnd(28)} ${model.padEnd(20)} ε ${one.epsilon.toFixed(3)} at δ ${one.delta}, ${one.openings} openings; recognised at 1 % false alarms: at most ${(100 * one.truePositiveRate).toFixed(1)} %`;
  });
  return `Erased from the ${pool} customers: not used from the next start of the client on. The ledger says that a customer was erased, not
who, and not how many. The data file may keep the rows or lose them; nothing else of it may change while tasks run.
Nothing can be removed from what is released. It contains a customer of that pool as far as this goes:
${models.join('\n') || '  nothing was released over these customers'}
ε and rates are those of the coordinator and the colluding tenants that each plan withstands, with every noise that is not
theirs; they are the most that anyone can tell about whether the customer was in it, whatever else he knows.
One customer's lifetime total: ε ${epsilon.toFixed(3)} of ${limit} at δ ${delta}`;
}
