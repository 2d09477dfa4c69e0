import { calibrateNoiseMultiplier } from '../../privacy/calibrate.ts';
import { discreteGaussian } from '../../privacy/discrete-gaussian.ts';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { epsilonBracket, epsilonPerCount } from '../../privacy/pld-accountant.ts';
import { EVERYBODY } from '../../privacy/poisson.ts';
import { secureRandom } from '../../privacy/random.ts';
import { epsilonSpent } from '../../privacy/rdp.ts';
import { vectors } from '../privacy/vectors.ts';
import { askPython } from './python.ts';

/**
 * `npm run bench:privacy`: what the accountant and the sampler cost, and how close the accountant comes.
 *
 *   low, high    our bracket; its errors are relative to exact, an independent computation recorded in test/vectors
 *   dp-acc.      PLD of Google's dp-accounting 0.6.0 on its default grid: recorded, not run here, unless
 *                PARLEY_DP_ACCOUNTING_PYTHON names a python that can import dp_accounting
 *   ms           CPU time of this process (of theirs), each configuration once, warmed up by one other
 *
 * `-- --smoke` runs three rows.
 */
interface Row {
  readonly sigma: number;
  readonly q: number;
  readonly T: number;
  readonly delta: number;
  readonly pld: number;
  readonly exact: number;
}

const smoke = process.argv.includes('--smoke');
const rows = vectors<{ rows: Row[] }>('epsilon-references').rows.slice(0, smoke ? 3 : 41);
const python = process.env['PARLEY_DP_ACCOUNTING_PYTHON'];
const google = python === undefined ? undefined : await runGoogle(python);

const round = ({ sigma, q }: Row): PrivacyEvent => ({
  type: 'PoissonSampled',
  rate: q * EVERYBODY,
  event: { type: 'Gaussian', noiseMultiplier: sigma },
});
const allRounds = (row: Row): PrivacyEvent => ({ type: 'SelfComposed', count: row.T, event: round(row) });

epsilonBracket([allRounds({ ...rows[0]!, T: 10_000 })], 1e-6); // compiled by now, and the transforms have their tables

console.log(`dp-acc.: ${google === undefined ? 'recorded, not run here' : 'run here'}`);
console.log(
  ' #      z         q        T  δ      exact      low        high       low err  high err    ms  dp-acc.    err       ms',
);
const times = rows.map((row, i) => {
  const { result, ms } = timed(() => epsilonBracket([allRounds(row)], row.delta));
  const theirs = google?.[i] ?? { epsilon: row.pld, ms: undefined };
  const error = (epsilon: number) => (epsilon / row.exact - 1).toExponential(1).padStart(8);
  console.log(
    [
      String(i + 1).padStart(2),
      row.sigma.toPrecision(4).padStart(6),
      row.q.toPrecision(4).padStart(9),
      String(row.T).padStart(8),
      row.delta.toExponential(0),
      ...[row.exact, result.low, result.high].map((epsilon) => epsilon.toFixed(6).padStart(10)),
      error(result.low),
      error(result.high),
      ms.toFixed(1).padStart(6),
      theirs.epsilon.toFixed(6).padStart(10),
      error(theirs.epsilon),
      theirs.ms === undefined ? '       –' : theirs.ms.toFixed(0).padStart(8),
    ].join(' '),
  );
  const worst = Math.max(Math.abs(result.high / row.exact - 1), Math.abs(result.low / row.exact - 1));
  return { ms, worst, theirs };
});

const ours = times.map(({ ms }) => ms);
console.log(
  `\nworst error of either bound ${Math.max(...times.map(({ worst }) => worst)).toExponential(1)} (target ≤ 1e-3)`,
);
console.log(
  `CPU ms: median ${quantile(ours, 0.5)} (target ≤ 50), p95 ${quantile(ours, 0.95)} (≤ 500), most ${quantile(ours, 1)}`,
);
if (google !== undefined) {
  const theirs = google.map(({ ms }) => ms);
  console.log(
    `dp-accounting CPU ms: median ${quantile(theirs, 0.5)}, p95 ${quantile(theirs, 0.95)}, most ${quantile(theirs, 1)}`,
  );
}

const plan = rows[0]!;
const rdp = timed(() => epsilonSpent([allRounds({ ...plan, sigma: plan.sigma * 1.001 })], plan.delta));
console.log(`RDP cross-check of row 1: ε ${rdp.result.epsilon.toFixed(4)}, ${rdp.ms.toFixed(1)} ms`);

const perRound = epsilonPerCount({ event: round(plan), delta: plan.delta });
perRound(1000);
const display = Array.from({ length: 40 }, (_, i) => timed(() => perRound(999 - i)).ms);
console.log(`ε after one more round, warm: median ${quantile(display, 0.5)} ms (target ≤ 5)`);

const calibration = timed(() =>
  calibrateNoiseMultiplier({
    epsilon: 2,
    delta: 1e-6,
    eventFor: (sigma) => allRounds({ ...plan, sigma, q: 0.01, T: 1000 }),
  }),
);
console.log(
  `z for ε = 2, q = 0.01, 1000 rounds: ${calibration.result.toFixed(4)} in ${calibration.ms.toFixed(0)} ms (target ≤ 1000)`,
);

const into = new Float64Array(smoke ? 1e5 : 1e6);
const random = secureRandom();
discreteGaussian(2 ** 20, into, random);
for (const stdDev of [16, 2 ** 20]) {
  const spent = Array.from({ length: 5 }, () => timed(() => discreteGaussian(stdDev, into, random)).ms);
  const best = (Math.min(...spent) * 1e6) / into.length;
  console.log(`discrete Gaussian, σ = ${stdDev}: ${best.toFixed(0)} ns a sample, best of 5 (target ≤ 150)`);
}

function timed<Result>(work: () => Result): { result: Result; ms: number } {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  return { result, ms: (user + system) / 1000 };
}

function quantile(values: readonly number[], part: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(part * sorted.length) - 1]!.toFixed(1);
}

/** dp-accounting on the same rows, by the python at `path`. */
async function runGoogle(path: string): Promise<{ epsilon: number; ms: number }[]> {
  const script = `
import json, sys, time
from dp_accounting import dp_event
from dp_accounting.pld import pld_privacy_accountant
out = []
for row in json.load(sys.stdin):
    start = time.process_time()
    event = dp_event.GaussianDpEvent(row['sigma'])
    if row['q'] < 1:
        event = dp_event.PoissonSampledDpEvent(row['q'], event)
    accountant = pld_privacy_accountant.PLDAccountant()
    accountant.compose(event, row['T'])
    epsilon = accountant.get_epsilon(row['delta'])
    out.append({'epsilon': epsilon, 'ms': 1000 * (time.process_time() - start)})
print(json.dumps(out))
`;
  const printed = await askPython(path, ['-c', script], { input: JSON.stringify(rows) });
  return printed as { epsilon: number; ms: number }[];
}
