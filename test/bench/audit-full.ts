import { startBackend } from '../../models/backend.ts';
import { secureRandom } from '../../privacy/random.ts';
import { attackLimit } from '../../simulation/audit/attack-limit.ts';
import { canaryTask } from '../../simulation/audit/canaries.ts';
import { sumsOfFederation } from '../../simulation/audit/canary-run.ts';
import { attack } from '../../simulation/audit/evidence.ts';
import { checkNoise } from '../../simulation/audit/noise-check.ts';
import { subjectOf } from '../../simulation/audit/subject.ts';
import { churnSettings } from '../../simulation/telco.ts';

/**
 * `npm run audit:full`: the canary audit of the churn task again and again, each time in a new federation with new keys, coins,
 * batches and noise. On correct code no lower bound may exceed the ε that is claimed, but for the chance the confidence leaves,
 * and the noise must be the promised one every time.
 *
 * 200 runs of 300 canaries and 8 rounds; `-- --smoke` makes 3. Ends with 1 when a bound exceeds ε or noise is not as promised.
 */
const RUNS = process.argv.includes('--smoke') ? 3 : 200;
const [CANARIES, ROUNDS, CONFIDENCE] = [300, 8, 0.95];

const subject = subjectOf(churnSettings, ROUNDS);
const { release } = subject.claimed;
const backend = await startBackend('wasm');
const random = secureRandom();
const startedAt = performance.now();
const found: { oneRun: number; fdp: number; fit: number; auc: number; isWithin: boolean; problems: number }[] = [];

console.log(
  `churn, ${ROUNDS} rounds: release ε ${release.toFixed(4)} at δ ${subject.privacy.delta}; ${RUNS} federations, ${CANARIES} canaries each`,
);
let limit: ReturnType<typeof attackLimit> | undefined;
for (let run = 1; run <= RUNS; run++) {
  const task = canaryTask(subject, CANARIES, 'plain', random);
  const opened = await sumsOfFederation(task, backend);
  limit ??= attackLimit(opened.plan); // a function of the settings alone
  const { oneRun, fdp, fit, roc } = attack(opened, task.present, {
    delta: subject.privacy.delta,
    confidence: CONFIDENCE,
    random,
  });
  const absent = task.present.flatMap((there, canary) => (there ? [] : [canary]));
  const problems = checkNoise(opened, absent).problems.length;
  const isWithin = oneRun <= release && fdp.mu <= limit.mu;
  found.push({ oneRun, fdp: fdp.epsilon, fit: fit.epsilon, auc: roc.auc, isWithin, problems });
  if (run % 20 === 0)
    console.log(`${run} runs, largest bounds ${largest('oneRun')} (one-run), ${largest('fdp')} (f-DP)`);
}

const within = found.filter(({ isWithin }) => isWithin).length;
const clean = found.filter(({ problems }) => problems === 0).length;
console.log(`lower bound ≤ ε in ${within}/${RUNS} (both bounds, confidence ${CONFIDENCE} corrected for every guess)`);
console.log(`largest bounds: one-run ${largest('oneRun')}, f-DP ${largest('fdp')}; release ε ${release.toFixed(4)}`);
console.log(`mean AUC ${mean('auc').toFixed(4)}, mean Gaussian fit ε ${mean('fit').toFixed(3)} (an estimate)`);
console.log(`noise as promised in ${clean}/${RUNS}`);
console.log(`${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
if (within < RUNS || clean < RUNS) process.exitCode = 1;

function largest(which: 'oneRun' | 'fdp'): string {
  return Math.max(...found.map((each) => each[which])).toFixed(4);
}

function mean(which: 'auc' | 'fit'): number {
  return found.reduce((sum, each) => sum + each[which], 0) / found.length;
}
