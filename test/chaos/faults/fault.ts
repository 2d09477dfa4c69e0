import type { RealFederation } from '../real-federation.ts';

/** One kind of fault that a federation of real processes is put through while it runs a task. A file for each kind. */
export interface Fault {
  readonly name: string;
  /**
   * Where it can strike: one task for each.
   *
   * @param commits - of facts, in a task in which nothing goes wrong
   */
  points(commits: number): readonly number[];
  /**
   * Called before the task is proposed.
   *
   * @param point - one of `points`
   * @param random - in [0, 1), the same again for the same seed and point
   * @param scale - of a network's times
   * @returns ends it, when the task is over; and how often it struck, where that is not to be seen by processes that ended
   */
  begin(
    federation: RealFederation,
    point: number,
    commits: number,
    random: () => number,
    scale: number,
    // biome-ignore lint/suspicious/noConfusingVoidType: most have nothing to say
  ): Promise<() => Promise<number | void>>;
}

/** Of a network’s times, so that a short task meets several of them: six tenths of a second stand for a minute. */
export const SCALE = 0.01;

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
