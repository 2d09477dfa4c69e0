/**
 * Releases on one grid, and the answer to a question about all of them in one direction.
 *
 * Promise: everything chosen here (reach, step, tilt) decides only how wide the bracket is, never whether it holds.
 */
import { type Direction, highLaws, type LossCells, lossAt, lossCells, lowLaws, type Reach, reachOf } from './pld.ts';
import { compose, type Prepared, type Profile, prepare, type Side } from './pld-compose.ts';
import { type Aim, chooseTilt, type LossSketch, lossSketch, renyiLogDelta, variance } from './pld-tilt.ts';
import type { Release } from './releases.ts';

export const DIRECTIONS: readonly Direction[] = ['remove', 'add'];

/** Releases cut into cells of one step, ready for either side and direction. */
export interface Grid {
  readonly cells: readonly LossCells[];
  readonly counts: readonly number[];
  readonly sketches: Readonly<Record<Direction, readonly LossSketch[]>>;
}

/** What is asked of a composed profile. */
export interface ProfileQuestion {
  readonly aim: Aim;
  readonly ofProfile: (profile: Profile, side: Side) => number;
  /** the part of δ behind this answer that is mere allowance for errors */
  readonly slackOf: (profile: Profile, answer: number) => number;
}

/**
 * κ: the step in root-mean-square standard deviations of the losses. Cells raise the variance of the sum by κ²/6 of itself, and
 * with it ε by some κ²/12 = 2e-4 at most (where ε is all deviation and no mean).
 */
const STEP_PER_STD_DEV = 0.05;
const LARGEST_STEP = 1e-3;

/** No grid has more points than this; where it would, the step is larger and the bracket wider. */
const MOST_POINTS = 2 ** 20;

/** Part of δ that is given away by not telling the most extreme outcomes apart: some 1e-6 of ε. */
const UNRESOLVED = 1e-5;
const LEAST_UNRESOLVED = 1e-60;

/**
 * @param aim - what the reach and the step have to be good for
 * @param stepPerStdDev - of the losses, in the root mean square
 */
export function gridFor(releases: readonly Release[], aim: Aim, stepPerStdDev: number = STEP_PER_STD_DEV): Grid {
  const openings = releases.reduce((sum, { count }) => sum + count, 0);
  const reachesFor = (delta: number) =>
    releases.map(({ mixture }) => reachOf(mixture, Math.max(LEAST_UNRESOLVED, (UNRESOLVED * delta) / openings)));
  const sketchesFor = (reaches: readonly Reach[], direction: Direction) =>
    releases.map(({ mixture, count }, i) => lossSketch(mixture, count, reaches[i]!, direction));

  let reaches = reachesFor('delta' in aim ? aim.delta : 0);
  if ('epsilon' in aim) {
    // The Rényi bound is above the δ that is asked for, by far less than this.
    const bounds = DIRECTIONS.map((direction) => renyiLogDelta(sketchesFor(reaches, direction), aim.epsilon));
    reaches = reachesFor(1e-4 * Math.exp(Math.max(...bounds)));
  }
  const sketches = { remove: sketchesFor(reaches, 'remove'), add: sketchesFor(reaches, 'add') };

  const tilts = DIRECTIONS.map((direction) => chooseTilt(sketches[direction], aim, TILTS[0]!));
  const widest = Math.max(
    ...releases.map(({ mixture }, i) => lossAt(mixture, reaches[i]!.to) - lossAt(mixture, reaches[i]!.from)),
    ...tilts.map(({ lower, upper }) => lower + upper),
  );
  const finest = stepPerStdDev * Math.sqrt(variance(sketches.remove) / openings);
  const step = Math.max(Math.min(LARGEST_STEP, finest), widest / MOST_POINTS);
  const cells = releases.map(({ mixture }, i) => lossCells(mixture, step, reaches[i]!));
  return { cells, counts: releases.map(({ count }) => count), sketches };
}

/** Tilts to try, as parts of the best: the first is the cheapest, the last the most precise. */
const TILTS = [0.5, 0.8, 1];

/** Part of δ that may be mere allowance for errors before another tilt is tried: below 1e-4 of ε. */
const MOST_SLACK = 1e-3;

/** The answer by the first tilt that leaves little slack, or else by the last; and the laws so prepared. */
export function answerOn(
  { cells, counts, sketches }: Grid,
  side: Side,
  direction: Direction,
  { aim, ofProfile, slackOf }: ProfileQuestion,
): { readonly answer: number; readonly prepared: Prepared } {
  const laws = cells.map((each) => (side === 'high' ? highLaws(each) : lowLaws(each))[direction]);
  const by = (part: number) => {
    const prepared = prepare(laws, chooseTilt(sketches[direction], aim, part));
    const profile = compose(prepared, counts);
    const answer = ofProfile(profile, side);
    return { answer, prepared, slack: slackOf(profile, answer) };
  };
  let found = by(TILTS[0]!);
  for (const part of TILTS.slice(1)) if (found.slack > MOST_SLACK) found = by(part);
  return found;
}
