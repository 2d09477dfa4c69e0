import type { LedgerExport } from '../../aggregation/ledger-export.ts';
import type { SecureSumName } from '../../aggregation/secure-sum.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import type { Backend } from '../../models/backend.ts';
import type { Guarantees } from '../../privacy/guarantee.ts';
import type { RandomSource } from '../../privacy/random.ts';
import { type AttackLimit, attackLimit } from './attack-limit.ts';
import { type CanaryTask, canaryTask } from './canaries.ts';
import { hashOfSums, sumsOf, sumsOfFederation } from './canary-run.ts';
import { type ClaimCheck, checkClaim, checkLedger } from './claim.ts';
import { asReleased, type Contribute, withLessNoise } from './contribute.ts';
import { attack, type Evidence } from './evidence.ts';
import { checkNoise, type NoiseCheck } from './noise-check.ts';
import { type Neighbours, replayNeighbours } from './replay.ts';
import type { Subject } from './subject.ts';

/**
 * An audit: the real code is attacked, and what the attack finds is compared with what is claimed.
 *
 *   claim     do the three ε follow from the noise that is planned?
 *   replay    does one customer, however odd, move a contribution by more than the sensitivity, or change how it is made?
 *   noise     is the noise in opened sums the noise that is promised, and new in every round?
 *   canaries  can somebody who sees every opened sum tell who was there better than ε allows?
 *   control   would all this have found noise that is too small?
 *
 * A pass says that this attack found nothing, never that nothing is there: even a perfect attack shows a fraction of the true
 * ε. What it finds is a bug, for certain up to the stated confidence.
 */
export interface AuditReport {
  readonly verdict: Verdict;
  /** why it is no pass; empty for one */
  readonly reasons: readonly string[];
  readonly subject: Subject;
  readonly canaries: number;
  readonly confidence: number;
  readonly secureSum: SecureSumName;
  readonly claim: ClaimCheck;
  readonly replay: { readonly allowed: number; readonly neighbours: readonly Neighbours[] };
  readonly noise: NoiseCheck;
  readonly evidence: Evidence;
  readonly limit: AttackLimit;
  readonly control: Control;
  /** of all opened sums of the canary run */
  readonly sumsHash: string;
}

export type Verdict = 'PASS' | 'VIOLATION' | 'INCONCLUSIVE';

/** The same attack on the same path with too little noise. */
export interface Control {
  /** the first of the factors 2, 4, … by which noise is too small and the attack shows it; undefined when it never does */
  readonly caughtAt: number | undefined;
  /** of the last control, caught or not */
  readonly evidence: Evidence;
}

export interface AuditOptions {
  readonly backend: Backend;
  readonly canaries: number;
  /** with which the lower bounds hold, in (0, 1) */
  readonly confidence: number;
  readonly secureSum: SecureSumName;
  /** coins, control noise and keys of replays; secure, or the audit can be foreseen */
  readonly random: RandomSource;
  /** the ledger that the subject was read from, or is in: all of it is checked */
  readonly ledger?: LedgerExport;
  /** told what is done next */
  readonly onStep?: (step: string) => void;
  readonly onRound?: (conductor: Conductor | undefined) => void;
  /** makes contributions in place of the clients of a federation: how tests break what an audit must find broken */
  readonly contribute?: Contribute;
}

/** Controls have noise 2, 4, … times too small, up to this. */
const MOST_TOO_SMALL = 64;

/**
 * @throws RangeError when the number of canaries is out of range
 * @throws PlanRefused when the secure sum cannot serve the subject's cohort
 */
export async function audit(subject: Subject, options: AuditOptions): Promise<AuditReport> {
  const { backend, random, confidence, secureSum, canaries, onStep = () => {} } = options;
  const contribute = options.contribute ?? asReleased;
  const task = canaryTask(subject, canaries, secureSum, random);
  onStep('canaries: a federation to be attacked');
  const opened =
    options.contribute === undefined
      ? await sumsOfFederation(task, backend, options.onRound)
      : await sumsOf(task, contribute, { backend, random });
  const limit = attackLimit(opened.plan);
  const how = { delta: subject.privacy.delta, confidence, random };
  const evidence = attack(opened, task.present, how);
  onStep('noise, claim, neighbours');
  const absent = task.present.flatMap((there, canary) => (there ? [] : [canary]));
  const noise = checkNoise(opened, absent);
  const claim = claimOf(subject, options.ledger);
  const replayedPlan = subject.own ?? opened.plan;
  const neighbours = await replayNeighbours(replayedPlan, contribute, { backend, random });
  const replay = { allowed: replayedPlan.derived.sensitivity, neighbours };
  onStep('control: the same with too little noise');
  const isRefuted = (found: Evidence) => refutes(found, subject.claimed, limit);
  const control = await controlled(task, isRefuted, { ...how, backend });
  const problems = [
    ...claim.problems,
    ...replayProblems(replay),
    ...noise.problems,
    ...(isRefuted(evidence) ? [tooMuch(evidence, subject.claimed, confidence)] : []),
  ];
  return {
    ...verdictOf(problems, control, subject.claimed),
    ...{ subject, canaries, confidence, secureSum, claim, replay, noise, evidence, limit, control },
    sumsHash: hashOfSums(opened),
  };
}

function claimOf({ own }: Subject, ledger: LedgerExport | undefined): ClaimCheck {
  const ofPlan = own === undefined ? { problems: [] } : checkClaim(own);
  const ofLedger = ledger === undefined ? { problems: [] } : checkLedger(ledger);
  return { ...ofPlan, problems: [...ofPlan.problems, ...ofLedger.problems] };
}

/**
 * Is the release's ε refuted? By one-run for any mechanism; by f-DP when not even a Gaussian that is nowhere more private than
 * the plan's own trade-off explains the guesses.
 */
const refutes = ({ oneRun, fdp }: Evidence, { release }: Guarantees, limit: AttackLimit): boolean =>
  oneRun > release || fdp.mu > limit.mu;

async function controlled(
  task: CanaryTask,
  isRefuted: (evidence: Evidence) => boolean,
  how: { delta: number; confidence: number; random: RandomSource; backend: Backend },
): Promise<Control> {
  for (let factor = 2; ; factor *= 2) {
    const evidence = attack(await sumsOf(task, withLessNoise(factor), how), task.present, how);
    const isCaught = isRefuted(evidence);
    if (isCaught || factor === MOST_TOO_SMALL) return { caughtAt: isCaught ? factor : undefined, evidence };
  }
}

function replayProblems({ allowed, neighbours }: AuditReport['replay']): string[] {
  return neighbours.flatMap(({ one, moved, sameFlow }) => [
    ...(moved <= allowed
      ? []
      : [`${one} moves a contribution by ${moved.toPrecision(6)} grid steps, ${allowed} are allowed`]),
    ...(sameFlow ? [] : [`${one} changes how a contribution is made`]),
  ]);
}

const tooMuch = ({ oneRun, fdp }: Evidence, { release }: Guarantees, confidence: number): string =>
  `who was there can be told too well: ε is at least ${oneRun.toFixed(3)} (one-run) and ${fdp.epsilon.toFixed(3)} (f-DP) with confidence ${confidence}, the release claims ${release.toFixed(3)}`;

function verdictOf(
  problems: readonly string[],
  { caughtAt, evidence }: Control,
  { release }: Guarantees,
): Pick<AuditReport, 'verdict' | 'reasons'> {
  if (problems.length > 0) return { verdict: 'VIOLATION', reasons: problems };
  if (caughtAt !== undefined) return { verdict: 'PASS', reasons: [] };
  const most = Math.max(evidence.oneRun, evidence.fdp.epsilon);
  const reason = `with noise ${MOST_TOO_SMALL} times too small this attack shows no more than ε ${most.toFixed(2)}, so it could not have refuted ${release.toFixed(2)}: take more canaries`;
  return { verdict: 'INCONCLUSIVE', reasons: [reason] };
}
