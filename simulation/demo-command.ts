import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { PROTECTING_SUMS, type SecureSumName } from '../aggregation/secure-sum.ts';
import type { Settings } from '../aggregation/settings.ts';
import { inThree, type TaskResult, type TaskView, THREE } from '../coordinator/task-view.ts';
import { startBackend } from '../models/backend.ts';
import { type Processes, startProcesses } from './demo-processes.ts';
import { describeMetrics, describeSegments, describeSpending, describeUnits, type UnitRow } from './demo-report.ts';
import { type Judge, judgeOf } from './reference.ts';
import { secureSumNamed } from './secure-sum-option.ts';
import { churnSettings, evaluationSettings, segmentSettings, splitByUnit, TELCO_UNITS, telcoTable } from './telco.ts';

/**
 * `npm run demo`: a coordinator and five business units as processes of their own, real customers, two tasks and an
 * evaluation, from the first key to the verified ledger.
 *
 * The demo made the units' files, so it can do what nobody in a federation can: judge models on all held-out customers at
 * once. What it learns that way is labelled.
 */
const MARK = '.parley-demo';

export interface DemoOptions {
  readonly folder: string;
  readonly secureSum: string;
  readonly json?: boolean;
}

export async function demo(options: DemoOptions, version: string): Promise<void> {
  const startedAt = performance.now();
  const protocol = secureSumNamed(options.secureSum, PROTECTING_SUMS);
  const say = options.json ? () => {} : (text: string) => console.log(text);
  const folder = prepared(resolve(options.folder));
  const tables = splitByUnit(await telcoTable());
  say(`Parley ${version}: five business units of a telephone company train together; no row leaves its unit.\n`);
  const processes = await startProcesses(folder, tables);
  try {
    const judge = judgeOf(churnSettings, tables, await startBackend('wasm'));
    say(
      `One coordinator and ${TELCO_UNITS.length} clients are up (${processes.pids.join(', ')}), enrolled with one-time codes, peers pinned.\n`,
    );
    const outcome = await story(processes, protocol, judge, tables, say);
    const seconds = (performance.now() - startedAt) / 1000;
    if (options.json) console.log(JSON.stringify({ ...outcome, seconds }));
    else say(`\nDone in ${seconds.toFixed(1)} s.`);
  } finally {
    await processes.stop();
  }
}

/** A folder of its own, emptied when it is an earlier demo's. */
function prepared(folder: string): string {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    if (!existsSync(join(folder, MARK)))
      throw new CommandError(
        EXIT.usage,
        `${folder} is not empty and no earlier demo; choose another one with --folder`,
      );
    rmSync(folder, { recursive: true });
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, MARK), '');
  return folder;
}

type Say = (text: string) => void;

async function story(
  processes: Processes,
  protocol: SecureSumName,
  judge: Judge,
  tables: ReadonlyMap<string, { rows: readonly unknown[] }>,
  say: Say,
) {
  const { work } = churnSettings;
  const propose = (settings: Settings): Promise<string> =>
    processes.propose({ ...settings, secureSum: { ...settings.secureSum, protocol } });
  say(
    `Task "churn": ${work.kind === 'train' ? work.model.kind : ''} regression by DP-SGD, every round one sum by ${protocol}`,
  );
  const churn = await follow(processes, await propose(churnSettings), say, judge);
  const private_ = await judge.judge(await processes.parameters(churn.model));

  say('\nTask "segments": k-means on tenure and charges');
  const segments = await follow(processes, await propose(segmentSettings), say);
  say(describeSegments((await processes.result(segments.id)) as Extract<TaskResult, { kind: 'segments' }>));

  say('\nTask "churn-evaluation": one secure sum of score histograms of the customers nobody trained on');
  const evaluation = await follow(processes, await propose(evaluationSettings(churn.id, churn.model)), say);
  const metrics = ((await processes.result(evaluation.id)) as Extract<TaskResult, { kind: 'metrics' }>).metrics;

  const pooled = await judge.trained();
  const rows: UnitRow[] = [];
  for (const unit of TELCO_UNITS)
    rows.push({ unit, customers: tables.get(unit)!.rows.length, alone: await judge.trained(unit) });
  say(describeUnits(rows, private_, pooled, judge.customers));
  say(describeMetrics(metrics));
  const total = await processes.total();
  say(describeSpending(total, [churn, segments, evaluation]));

  const ledger = await processes.verifyLedger();
  const model = processes.modelFolder('fiber-monthly', churn);
  const segmentModel = processes.modelFolder('fiber-monthly', segments);
  say(`
Ledger verified: ${ledger.entries} entries, signed by ${ledger.signedBy}
Models, as every unit computed them itself (TensorFlow.js layers format):
  ${model}
  ${segmentModel}
Score a customer where its row is:
  ${processes.scoreCommand(model, segmentModel)}`);
  return {
    units: rows,
    together: private_,
    pooled,
    metrics,
    tasks: [churn, segments, evaluation],
    total,
    ledger,
    model,
  };
}

/** Shows a task as it goes; the AUC on all held-out customers is something only the demo can see. */
async function follow(processes: Processes, id: string, say: Say, judge?: Judge): Promise<TaskView> {
  let shown = -1;
  for await (const view of processes.watch(id)) {
    if (shown < 0) {
      const { delta, epsilon, neighbouring } = view.privacy;
      say(`  ${THREE} at δ ${delta}, one customer, ${neighbouring}; planned ${inThree(epsilon)}`);
      shown = 0;
    }
    const every = Math.max(1, Math.floor(view.rounds / 10));
    const isNew = view.steps >= shown + every || (view.steps === view.rounds && view.steps > shown);
    if (isNew && view.phase !== 'stopped') {
      shown = view.steps - (view.steps % every);
      say(await progress(processes, view, judge));
      if (view.steps === view.rounds) shown = view.rounds;
    }
    if (view.phase === 'stopped') throw new CommandError(EXIT.failed, `the task was stopped: ${view.reason}`);
    if (view.phase === 'finished') return view;
  }
  throw new CommandError(EXIT.failed, 'the coordinator went away');
}

async function progress(processes: Processes, view: TaskView, judge: Judge | undefined): Promise<string> {
  const auc =
    judge === undefined
      ? ''
      : `   AUC ${(await judge.judge(await processes.parameters(view.model))).rocAuc.toFixed(4)} (only the demo can see this)`;
  return `  round ${String(view.steps).padStart(3)}/${view.rounds}   ε ${inThree(view.privacy.epsilonSoFar)}   ${(view.bytesUp / 1e6).toFixed(1).padStart(5)} MB up   ${view.connected.length} units${auc}`;
}
