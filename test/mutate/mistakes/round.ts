import { inTests, type Mutation } from '../mutation.ts';

const GATES = 'client/gated-round.ts';
const LEDGER = 'client/task-ledger.ts';
const inLies = (named: string) => inTests('test/attacks/lying-coordinator.test.ts', named);
const inRound = inTests('test/coordinator/round.test.ts');
const inHeRound = (named: string) => inTests('test/aggregation/threshold-he/round.test.ts', named);

/** What is said in a round, in which order, and how often. */
export const round: readonly Mutation[] = [
  {
    name: 'share-before-the-charge',
    why: 'a sum is opened that no ledger has: nobody ever counts it',
    file: GATES,
    find: '    checkCharged(store, this.#task, this.number, due);\n',
    replace: '',
    caughtBy: [inLies('opening')],
  },
  {
    name: 'charge-for-another-sum',
    why: 'the ledger charges one sum, and another is opened',
    file: LEDGER,
    find: 'charge.sumHash !== due.sumHash || charge.contributions',
    replace: 'charge.contributions',
    caughtBy: [inLies('charge for another sum')],
  },
  {
    name: 'charge-for-a-cheaper-event',
    why: 'the ledger charges less than the sum costs',
    file: LEDGER,
    find: ' || !isSameEvent)',
    replace: ')',
    caughtBy: [inLies('charge for a cheaper event')],
  },
  {
    name: 'charge-after-opening',
    why: 'a coordinator that dies between the two has opened for nothing',
    file: 'coordinator/round.ts',
    find: "if (stage.gate === 'open' && state.charge === undefined)",
    replace: "if (stage.gate === 'open' && state.phase === 'done')",
    caughtBy: [inRound],
    fast: true,
  },
  {
    name: 'small-sum-charged',
    why: 'a sum over fewer than n_min tenants is never opened, whoever is lost',
    file: 'coordinator/round.ts',
    find: '      if (state.cohort.length < rules.minCohort)\n        throw',
    replace: '      if (state.cohort.length < 1)\n        throw',
    caughtBy: [inRound],
  },
  {
    name: 'second-sum-opened',
    why: 'two sums of one round differ by one tenant: that one’s contribution in the clear',
    file: 'aggregation/threshold-he/round.ts',
    find: 'if (answered && !same(answered, sumHash)) {',
    replace: 'if (answered && answered.length === 0) {',
    caughtBy: [inHeRound('one sum only')],
  },
  {
    name: 'opened-too-often',
    why: 'each further set of openers takes away from the smudging',
    file: GATES,
    find: 'answered.openerSets.includes(set) || answered.openerSets.length >= MAX_OPENER_SETS',
    replace: 'answered.openerSets.includes(set)',
    caughtBy: [inLies('a third set, gets no further share')],
  },
  {
    name: 'another-cohort-opened',
    why: 'a share for a cohort this tenant did not contribute to',
    file: GATES,
    find: 'answered.cohort !== cohortHash(cohort)',
    replace: "answered.cohort === ''",
    caughtBy: [inLies('offered as the sum gets no share')],
  },
  {
    name: 'round-answered-twice',
    why: 'a second contribution to one round: another noise over the same data, and paid for once',
    file: GATES,
    find: '  if (round <= store.lastRound(task))\n',
    replace: '  if (round < 0)\n',
    caughtBy: [inLies('answered is not answered again')],
  },
  {
    name: 'paid-after-it-left',
    why: 'a tenant that dies in between has given a contribution it does not know of',
    file: GATES,
    find: `    declining('budget', () => payRound(this.#world, this.#plan, this.number, cohortHash(cohort)));
    await this.#uploadTime();
    return sealed;`,
    replace: `    await this.#uploadTime();
    setTimeout(() => declining('budget', () => payRound(this.#world, this.#plan, this.number, cohortHash(cohort))));
    return sealed;`,
    caughtBy: [inLies('that ends the task ends the contributions')],
  },
  {
    name: 'upload-when-ready',
    why: 'when a contribution arrives tells how long the batch took',
    file: GATES,
    find: '    await this.#uploadTime();\n',
    replace: '',
    caughtBy: [inTests('test/client/upload-time.test.ts')],
  },
  {
    name: 'model-not-recomputed',
    why: 'each tenant is handed a model of its own, made to draw out what it holds',
    file: 'client/task-session.ts',
    find: '    if (model !== opened.model)\n',
    replace: '    if (model === "")\n',
    caughtBy: [inLies('different models to different tenants')],
  },
  {
    name: 'statements-not-verified',
    why: 'the coordinator says in the name of others what it likes',
    file: 'aggregation/transcript.ts',
    find: '  return isSignedBy(publicKey, statementDigest(place, relayed), relayed.signature);',
    replace: '  return statementDigest(place, relayed).length > 0;',
    caughtBy: [inLies('who takes part')],
  },
];
