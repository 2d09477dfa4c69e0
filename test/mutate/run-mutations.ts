import { availableParallelism } from 'node:os';
import { ask, type Finding, nameOf } from './catch.ts';
import type { Catcher, Mutation } from './mutation.ts';
import { openWorkshop, type WorkingCopy } from './working-copy.ts';

/**
 * Makes each mistake by itself, in a copy, and looks who finds it.
 *
 *   copy ─▶ each catcher: green? ─▶ one mistake ─▶ each of its catchers: red? ─▶ caught, or SURVIVED
 *
 * A catcher that is red without a mistake, or cannot be asked, catches nothing: its mistakes are `unjudged`.
 */
export interface Outcome {
  readonly name: string;
  readonly verdict: 'caught' | 'SURVIVED' | 'unjudged';
  /** tests that failed, what the compiler or the audit said; or why there is no verdict */
  readonly by: readonly string[];
  readonly seconds: number;
}

export interface RunOptions {
  /** of this repository */
  readonly root: string;
  /** copies at work at the same time; as many as there are cores when left out */
  readonly jobs?: number;
  /** told as it comes */
  readonly onOutcome?: (outcome: Outcome) => void;
}

/**
 * @returns in the order in which they ended
 * @throws RangeError when the list is not up to date with the code
 */
export async function runMutations(
  mutations: readonly Mutation[],
  { root, jobs = availableParallelism(), onOutcome = () => {} }: RunOptions,
): Promise<Outcome[]> {
  const workshop = openWorkshop(root);
  const close = (): void => workshop.close();
  process.once('exit', close);
  try {
    const copies = Array.from({ length: Math.min(jobs, mutations.length) }, () => workshop.copy());
    const catchers = new Map(mutations.flatMap(({ caughtBy }) => caughtBy.map((one) => [nameOf(one), one])));
    const before = new Map<string, Finding>();
    await shared([...catchers], copies, async ([name, catcher], { folder }) => {
      before.set(name, await ask(catcher, folder));
    });
    const outcomes: Outcome[] = [];
    await shared(mutations, copies, async (mutation, copy) => {
      const outcome = await tried(mutation, copy, before);
      outcomes.push(outcome);
      onOutcome(outcome);
    });
    return outcomes;
  } finally {
    process.off('exit', close);
    close();
  }
}

/** Each copy takes the next item as soon as it is free. */
async function shared<Item>(
  items: readonly Item[],
  copies: readonly WorkingCopy[],
  work: (item: Item, copy: WorkingCopy) => Promise<void>,
): Promise<void> {
  const left = items.values();
  await Promise.all(
    copies.map(async (copy) => {
      for (const item of left) await work(item, copy);
    }),
  );
}

async function tried(mutation: Mutation, copy: WorkingCopy, before: ReadonlyMap<string, Finding>): Promise<Outcome> {
  const startedAt = performance.now();
  const found = await copy.with(mutation, async () => {
    const all: [Catcher, Finding][] = [];
    for (const catcher of mutation.caughtBy) all.push([catcher, await ask(catcher, copy.folder)]);
    return all;
  });
  const seconds = (performance.now() - startedAt) / 1000;
  return { name: mutation.name, ...judged(found, before), seconds };
}

/**
 * @param found - with the mistake, by catcher
 * @param before - without it, by `nameOf` the catcher
 */
export function judged(
  found: readonly (readonly [Catcher, Finding])[],
  before: ReadonlyMap<string, Finding>,
): Pick<Outcome, 'verdict' | 'by'> {
  const doubts = found.flatMap(([catcher, finding]) => {
    const without = before.get(nameOf(catcher))!;
    if (without.colour === 'red') return [`${nameOf(catcher)} is red without the mistake: ${without.by}`];
    if (without.colour === 'none') return [`${nameOf(catcher)}, without the mistake: ${without.because}`];
    return finding.colour === 'none' ? [`${nameOf(catcher)}: ${finding.because}`] : [];
  });
  if (doubts.length > 0) return { verdict: 'unjudged', by: doubts };
  const passed = found.filter(([, { colour }]) => colour === 'green').map(([catcher]) => nameOf(catcher));
  if (passed.length > 0) return { verdict: 'SURVIVED', by: passed };
  return { verdict: 'caught', by: found.flatMap(([, finding]) => (finding.colour === 'red' ? [finding.by] : [])) };
}
