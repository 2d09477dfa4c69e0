import { EVERYBODY } from '../../privacy/poisson.ts';
import type { ReportFigures, TaskFigures } from './figures.ts';
import { openersOf } from './openers-of.ts';
import { short } from './rounded.ts';

/**
 * What the figures rest on, and what they do not cover. A figure without these says nothing.
 *
 * @see README.md, aggregation/SECURITY.md, privacy/DISCRETE-GAUSSIAN.md
 */
export interface Statement {
  readonly about: string;
  readonly text: string;
}

/** Each must be true for the figures to hold. With the numbers of the tasks in the report. */
export function assumptions({ tasks }: ReportFigures): readonly Statement[] {
  const plans = tasks.map(({ plan }) => plan);
  const values = (of: (plan: TaskFigures['plan']) => number | string): string =>
    plans.length === 0 ? '–' : [...new Set(plans.map((plan) => of(plan)))].join(', ');
  const rates = values(({ mechanism }) =>
    mechanism.rate === EVERYBODY ? 'everybody' : `q = ${short(mechanism.rate / EVERYBODY)}`,
  );
  return [
    {
      about: 'Poisson sampling',
      text: `Every customer enters each sum by a coin of its own, never by shuffled batches (${rates}). Batches are padded to ${values(({ mechanism }) => mechanism.maxBatch)} places; one that came out larger would be cut, and the chance of that is paid from δ.`,
    },
    {
      about: 'Contribution bound',
      text: `One customer moves a sum by at most its clip norm in L2 (${values(({ mechanism }) => `${short(mechanism.clipNorm)}, or ${short(mechanism.sensitivity)} grid steps`)}), whatever its rows hold. Its unit's client clips, on a grid, in integers.`,
    },
    {
      about: 'Colluders',
      text: `No more business units than planned work together with the coordinator (${values(({ trust }) => `${trust.colluders} of at least ${trust.minCohort} in each sum`)}). Units that a client's policy does not pin by fingerprint count as colluders.`,
    },
    { about: 'Secure sum', text: secureSums(tasks) },
    {
      about: 'Randomness',
      text: "Noise and coins come from the operating system's cryptographic generator on each unit's own machine (node:crypto). Nobody else sees or predicts them, and every retry draws new ones.",
    },
    {
      about: 'Discrete noise',
      text: 'Noise is an exact discrete Gaussian on the grid, so floating point plays no part in it. It is accounted as a continuous Gaussian of a slightly smaller variance (σ² − 16 grid steps²), with a proof in privacy/DISCRETE-GAUSSIAN.md.',
    },
    {
      about: 'Customers in several units',
      text: `One customer is a customer of at most as many units as the plan states (${values(({ tenantsPerCustomer }) => tenantsPerCustomer)}), and each unit tosses its own coins for it. The tables also show what it would be for 1, 2 and 3 units.`,
    },
    {
      about: 'Honest rows',
      text: 'A unit keeps each customer under one name, and in one group (trained on, or held out). What a unit says of its own rows is checked by nobody else.',
    },
    {
      about: 'Honest machines',
      text: "The units that count run this software unchanged on machines that are not broken into. The dates are those of the coordinator's clock.",
    },
    {
      about: 'Accounting',
      text: 'Tight figures compose the privacy losses of all openings numerically, and are proven for tasks that were fixed before the first of them. Filter figures add Rényi divergences at one order fixed beforehand, and are what limits budgets where a task is chosen in view of earlier results. All are upper bounds, rounded up.',
    },
  ];
}

function secureSums(tasks: readonly TaskFigures[]): string {
  const kinds = new Map(tasks.map(({ plan }) => [`${plan.trust.secureSum} ${openersOf(plan)}`, plan]));
  const said = [...kinds.values()].map((plan) =>
    plan.trust.secureSum === 'plain'
      ? '"plain" secures nothing: the coordinator sees each contribution, and one unit\'s own noise is all that protects against it. The figures count it so.'
      : `"${plan.trust.secureSum}", opened by ${openersOf(plan)} units: nobody learns more than the sum, under the assumptions in aggregation/SECURITY.md.`,
  );
  return said.length === 0 ? '–' : said.join(' ');
}

/** What is not hidden by any noise. */
export const UNPROTECTED: readonly Statement[] = [
  {
    about: 'Schema',
    text: 'Which columns there are, their kinds, bounds and categories, and who counts as a customer. They are part of the plan; they must not have been read off the data.',
  },
  { about: 'Roster', text: 'Which business units take part, and in which rounds they contributed.' },
  {
    about: 'Size of the work',
    text: 'Rounds, openings, places in a batch, and the bound on customers of a unit; not how many customers there are.',
  },
  {
    about: 'Architecture',
    text: 'The kind of model, its dimension, learning rate and every other setting of the plan.',
  },
  {
    about: 'Timing',
    text: 'When rounds happened, who was connected, and which unit was lost. Contributions leave at fixed times, whatever the batch.',
  },
  { about: 'Purpose', text: 'What a task is for, its legal basis, and how long its result may be used.' },
];

/** What was done before, and is not in any ε. */
export const NOT_COVERED: readonly Statement[] = [
  {
    about: 'Preprocessing',
    text: 'Values are clamped to their bounds, missing and unknown ones replaced or refused as the plan says, and numbers scaled by their bounds. None of it looks at other customers, so it costs nothing. Whatever a unit did to its data before is its own, and not covered.',
  },
  {
    about: 'Hyper-parameter tuning',
    text: "Not covered. Trying out settings on the units' data costs ε, and is counted here only where it was done by tasks of this ledger.",
  },
];
