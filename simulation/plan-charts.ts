import { cutAt, type LineChart, type Point, roundUp } from '../aggregation/plot.ts';
import { ADVERSARIES, type Adversary } from '../privacy/adversary.ts';
import { attackGains, epsilonAfter, type Priced } from './adversaries.ts';
import type { PrivacyPlan } from './plan-figures.ts';

/**
 * A plan in two pictures: what its ε are after so many rounds, and what an attacker can at most gain from all of them.
 */

/** Who each adversary is, in a few words. */
export function whoIs(adversary: Adversary, { secureSum: { colluders } }: PrivacyPlan): string {
  const together = `the coordinator and ${colluders} tenant${colluders === 1 ? '' : 's'} together`;
  return {
    release: 'an outsider, who sees what is released',
    coalition: colluders === 0 ? 'the coordinator' : together,
    floor: 'everybody else together',
  }[adversary];
}

/** Points of a curve; a chart this wide shows no more. */
const MOST_POINTS = 60;

/** A curve that ends above this many times the promised ε is cut there: it would flatten the others. */
const TALLEST = 4;

/** ε against rounds, up to all openings; and the ε that is promised. @param nameOf - of a curve, with the ε it ends at */
export function epsilonChart(
  plan: PrivacyPlan,
  priced: Priced,
  nameOf: (adversary: Adversary, last: number) => string,
): LineChart {
  const { openings, target, delta } = plan;
  const steps = Math.min(openings, MOST_POINTS);
  const counts = Array.from({ length: steps }, (_, i) => Math.round((openings * (i + 1)) / steps));
  const after = epsilonAfter(priced, [...new Set([0, 1, ...counts])]); // the first step is the steepest
  const highest = Math.max(target, ...ADVERSARIES.map((who) => after.at(-1)![who]));
  const top = roundUp(Math.min(highest, TALLEST * target));
  return {
    title: `${plan.task}: ε after each round`,
    x: { label: 'sums opened (rounds, spare ones included)', from: 0, to: openings },
    y: { label: `ε at δ = ${Number(delta.total.toPrecision(3))}, upper bound`, from: 0, to: top },
    series: [
      ...ADVERSARIES.map((who) => ({
        label: nameOf(who, after.at(-1)![who]),
        points: cutAt(
          top,
          after.map((row) => ({ x: row.at, y: row[who] })),
        ),
      })),
      {
        label: `promised: coalition at most ${target}`,
        points: [
          { x: 0, y: target },
          { x: openings, y: target },
        ],
      },
    ],
  };
}

/** Rates of false positives, closer together where the curves bend. */
const RATES = [
  0.001,
  0.003,
  0.01,
  0.02,
  0.04,
  0.07,
  ...Array.from({ length: 17 }, (_, i) => (i + 2) / 20),
  0.98,
  0.995,
];

/** True against false positives of the best attacker there can be, after all openings; and of one who guesses. */
export function attackChart(plan: PrivacyPlan, priced: Priced, nameOf: (adversary: Adversary) => string): LineChart {
  const [none, all] = [
    { x: 0, y: 0 },
    { x: 100, y: 100 },
  ];
  return {
    title: `${plan.task}: who took part? The best attack`,
    x: { label: 'false positives, %', from: 0, to: 100 },
    y: { label: 'true positives, %, upper bound', from: 0, to: 100 },
    series: [
      ...ADVERSARIES.map((who) => ({ label: nameOf(who), points: [none, ...gains(priced, who), all] })),
      { label: 'blind guessing', points: [none, all] },
    ],
  };
}

const gains = (priced: Priced, who: Adversary): Point[] =>
  attackGains(priced, who, RATES).map(({ falsePositiveRate, truePositiveRate }) => ({
    x: 100 * falsePositiveRate,
    y: 100 * truePositiveRate,
  }));
