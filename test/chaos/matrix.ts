import type { Kill, Moment, When } from './fate.ts';

/**
 * Which deaths to try, from what happened in a run without them. Alone, each is a run of its own; together, a run has those deaths
 * that are the first of their kind, another the second, and so on.
 */
export interface Attempt {
  readonly kind: string;
  readonly kills: readonly Kill[];
}

/** Two of four end when they are to contribute: where the others have waited for them, the round is abandoned and held again. */
export const LOSS: readonly Kill[] = ['cleo', 'dan'].map((who) => ({
  who,
  at: 'receive ask 1/1/contribute/1',
  when: 'before',
}));

/**
 * The coordinator, at every commit: before it is on disk, and after, when nobody was told.
 *
 * @param moments - of a run with nothing but `LOSS`
 */
export function* coordinatorDeaths(moments: readonly Moment[], areAlone: boolean): Iterable<Attempt> {
  for (const when of ['before', 'after'] as const)
    for (const kills of deaths('coordinator', moments, when, areAlone))
      yield { kind: `coordinator ${when} a commit`, kills: [...LOSS, ...kills] };
  // what is written beside facts: what is left is as it was before, or as a power cut leaves it
  for (const when of ['before', 'power'] as const)
    for (const kills of deaths('coordinator, aside', moments, when, areAlone))
      yield { kind: `coordinator ${when === 'power' ? 'without power after' : 'before'} a note`, kills };
}

/**
 * A client, after everything it writes, receives and sends: before the next is the same.
 *
 * @param moments - of a run in which nobody dies
 * @param areAlone - or a run has one death in its first half, and another client's in its second
 */
export function* clientDeaths(moments: readonly Moment[], areAlone: boolean): Iterable<Attempt> {
  const all = moments.filter(({ who }) => who === 'bob');
  const half = areAlone ? all.length : Math.ceil(all.length / 2);
  for (let i = 0; i < half; i++) {
    const kills: Kill[] = [{ who: 'bob', at: all[i]!.kind, nth: all[i]!.nth, when: 'after' }];
    const later = areAlone ? undefined : all[i + half];
    if (later !== undefined) kills.push({ who: 'cleo', at: later.kind, nth: later.nth, when: 'after' });
    yield { kind: 'client after anything', kills };
  }
}

/** A run for each kind of thing that nobody has died of yet: deaths that share a run may keep each other from happening. */
export function* deathsLeft(
  moments: readonly Moment[],
  died: readonly Moment[],
  kill: Omit<Kill, 'at'>,
  beside: readonly Kill[] = [],
): Iterable<Attempt> {
  const kinds = new Set(moments.filter(({ who }) => who === kill.who).map(({ kind }) => kind));
  for (const { kind } of died) kinds.delete(kind);
  for (const at of kinds) yield { kind: `${kill.who} ${kill.when}`, kills: [...beside, { ...kill, at }] };
}

function* deaths(who: string, moments: readonly Moment[], when: When, areAlone: boolean): Iterable<Kill[]> {
  const all = moments.filter((one) => one.who === who);
  const kills = all.map(({ kind, nth }): Kill => ({ who, at: kind, nth, when }));
  if (areAlone) for (const kill of kills) yield [kill];
  else
    for (let nth = 1, some = kills; some.length > 0; nth++) {
      some = kills.filter((kill) => kill.nth === nth);
      if (some.length > 0) yield some;
    }
}

/** A few deaths of anybody, anywhere. @param random - in [0, 1) */
export function deathsAtRandom(random: () => number, moments: readonly Moment[], tenants: readonly string[]): Attempt {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  const few = (most: number): number[] => Array.from({ length: Math.floor(random() * (most + 1)) });
  const at = (who: string): Pick<Kill, 'at' | 'nth'> => {
    const { kind, nth } = pick(moments.filter((one) => one.who === who));
    return { at: kind, nth };
  };
  const kills: Kill[] = [
    ...few(5).map(() => ({
      who: 'coordinator',
      ...at('coordinator'),
      when: pick(['before', 'after', 'power'] as const),
    })),
    ...few(2).map(() => ({ who: 'coordinator, aside', ...at('coordinator, aside'), when: 'power' as const })),
    ...few(2).map(() => ({ who: pick(tenants), ...at('bob'), when: pick(['before', 'after'] as const) })),
  ];
  return { kind: 'at random', kills };
}

/** Marsaglia's xorshift: the same deaths again for the same seed. @param seed - a positive integer */
export function seeded(seed: number): () => number {
  let state = seed >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) next(); // small seeds begin alike
  return next;
}
