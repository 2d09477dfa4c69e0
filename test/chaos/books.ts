import { DatabaseSync } from 'node:sqlite';
import { type Plan, planSchema } from '../../aggregation/plan.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import { vectorFrom } from '../../aggregation/wire.ts';
import type { AnsweredRound } from '../../client/client-store.ts';
import type { TaskFact } from '../../coordinator/task.ts';
import { readBudget } from '../../privacy/budget.ts';
import type { LedgerEntry, LedgerPosition } from '../../privacy/ledger.ts';

/*
 * What lies on the disks in the end, read with SQL and nothing of what wrote it: the stores are asked no question, the facts are
 * folded by no `advance`.
 */
export interface Books {
  readonly plan: Plan;
  readonly facts: readonly TaskFact[];
  readonly rounds: readonly RoundBook[];
  readonly epochs: ReadonlyMap<number, EpochBook>;
  /** as text, from the first */
  readonly ledger: readonly string[];
  /** of this task, in order */
  readonly entries: readonly LedgerEntry[];
  readonly notes: readonly string[];
  readonly sums: readonly SumBook[];
  readonly parameters: ReadonlyMap<string, Uint8Array>;
  /** by tenant: does the coordinator's count agree with what it stated last of this task's pool */
  readonly agreed: ReadonlyMap<TenantId, boolean>;
}

export interface EpochBook {
  readonly parties: readonly TenantId[];
  readonly head: LedgerPosition;
}

/** One round, from the facts. */
export interface RoundBook {
  readonly epoch: number;
  readonly round: number;
  /** hash of what was said, by stage number, then tenant; of a stage asked twice the last */
  readonly said: ReadonlyMap<number, ReadonlyMap<TenantId, string>>;
  readonly charged: string | undefined;
  readonly opened: { readonly sumHash: string; readonly model: string } | undefined;
  readonly abandoned: string | undefined;
}

export interface SumBook {
  readonly round: number;
  readonly sum: Float64Array;
  readonly contributions: number;
  readonly model: string;
}

/** A tenant's own. */
export interface TenantBooks {
  readonly ledger: readonly string[];
  readonly rounds: ReadonlyMap<number, AnsweredRound>;
  /** openings of the task that it has paid for, and that it has still set aside */
  readonly committed: number;
  readonly reserved: number;
  /** how the task ended for it */
  readonly over: string | undefined;
  readonly declined: string | undefined;
}

export function readBooks(database: string, task: string): Books {
  return withDatabase(database, (db) => {
    const all = <Row>(sql: string, ...args: string[]): Row[] => db.prepare(sql).all(...args) as unknown as Row[];
    const [stored] = all<{ plan: string }>('select plan from task where id = ?', task);
    if (stored === undefined) throw new Error(`${database} knows nothing of task ${task}`);
    const plan = planSchema.parse(JSON.parse(stored.plan));
    const facts = all<{ fact: string }>('select fact from fact where task = ? order by seq', task).map(
      ({ fact }) => JSON.parse(fact) as TaskFact,
    );
    const ledger = all<{ entry: string }>('select entry from ledger order by seq').map(({ entry }) => entry);
    const dimension = plan.derived.dimension;
    return {
      ...{ plan, facts, ledger, ...told(facts) },
      entries: ledger.map((text) => JSON.parse(text) as LedgerEntry).filter((entry) => entry.task === task),
      notes: all<{ note: string }>('select note from note order by size').map(({ note }) => note),
      sums: all<Omit<SumBook, 'sum'> & { sum: Uint8Array }>(
        'select round, sum, contributions, model from sum where task = ? order by round',
        task,
      ).map((row) => ({ ...row, sum: vectorFrom(row.sum, dimension) })),
      parameters: new Map(
        all<{ hash: string; bytes: Uint8Array }>('select hash, bytes from parameters').map((row) => [
          row.hash,
          row.bytes,
        ]),
      ),
      agreed: new Map(
        all<{ tenant: string; text: string }>("select tenant, text from standing where pool = 'training'").map(
          ({ tenant, text }) => [tenant, (JSON.parse(text) as { agrees: boolean }).agrees],
        ),
      ),
    };
  });
}

export function readTenantBooks(database: string, task: string): TenantBooks {
  return withDatabase(database, (db) => {
    const kept = (name: string) => db.prepare('select value from kept where name = ?').get(name)?.['value'];
    const text = kept('budget') as string | undefined;
    const held =
      text && readBudget(JSON.parse(text)).pools.flatMap((pool) => pool.held.filter((of) => of.task === task));
    return {
      ledger: db
        .prepare('select entry from ledger order by seq')
        .all()
        .map((row) => row['entry'] as string),
      rounds: new Map(
        db
          .prepare('select round, answered from round where task = ?')
          .all(task)
          .map((row) => [row['round'] as number, JSON.parse(row['answered'] as string) as AnsweredRound]),
      ),
      committed: held ? (held[0]?.committed ?? 0) : 0,
      reserved: held ? (held[0]?.reserved ?? 0) : 0,
      over: kept(`over/${task}`) as string | undefined,
      declined: kept(`declined/${task}`) as string | undefined,
    };
  });
}

/** The facts of a task alone: of a database that a process left when it was killed. */
export const readFacts = (database: string, task: string): string[] =>
  withDatabase(database, (db) =>
    db
      .prepare('select fact from fact where task = ? order by seq')
      .all(task)
      .map((row) => row['fact'] as string),
  );

function withDatabase<T>(database: string, read: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(database);
  try {
    return read(db);
  } finally {
    db.close();
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Rounds and epochs, as the facts tell of them. */
function told(facts: readonly TaskFact[]): Pick<Books, 'rounds' | 'epochs'> {
  const rounds: Writable<RoundBook>[] = [];
  const epochs = new Map<number, EpochBook>();
  let now: Writable<RoundBook> | undefined;
  let epoch = 0;
  let stage = -1;
  for (const fact of facts) {
    if (fact.type === 'epoch-begun') {
      epoch = fact.epoch;
      epochs.set(epoch, { parties: fact.members, head: fact.head });
      now = undefined; // what is said now makes keys
    } else if (fact.type === 'round-begun') {
      const nothing = { said: new Map(), charged: undefined, opened: undefined, abandoned: undefined };
      now = { epoch, round: fact.round, ...nothing };
      rounds.push(now);
    } else if (now !== undefined && fact.type === 'opened') now.opened = { sumHash: fact.sumHash, model: fact.model };
    else if (now !== undefined && fact.type === 'in-round') {
      const inner = fact.fact;
      const said = now.said as Map<number, Map<TenantId, string>>;
      if (inner.type === 'asked') {
        stage = inner.stage;
        said.set(stage, new Map());
      } else if (inner.type === 'said') said.get(stage)!.set(inner.tenant, inner.hash);
      else if (inner.type === 'charged') now.charged = inner.sumHash;
      else if (inner.type === 'abandoned') now.abandoned = inner.reason;
    }
  }
  return { rounds, epochs };
}
