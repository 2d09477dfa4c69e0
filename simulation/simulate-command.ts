import { CommandError, EXIT } from '../aggregation/exit.ts';
import { roundsOf } from '../aggregation/plan.ts';
import { PlanRefused } from '../aggregation/plan-refused.ts';
import { released } from '../aggregation/progress.ts';
import { type Settings, unitOf } from '../aggregation/settings.ts';
import { RowsUnreadable, readSnapshot } from '../client/rows.ts';
import type { Conductor } from '../coordinator/conductor.ts';
import { readSettings } from '../coordinator/settings-file.ts';
import { epsilonOf, inThree, resultOf } from '../coordinator/task-view.ts';
import { type BackendName, startBackend } from '../models/backend.ts';
import type { Table } from '../models/encode.ts';
import type { Guarantees } from '../privacy/guarantee.ts';
import { createFederation } from './federation.ts';
import { progressLine } from './progress-line.ts';
import { judgeOf } from './reference.ts';
import { secureSumNamed } from './secure-sum-option.ts';
import { telcoTable } from './telco.ts';

/** `parley simulate`: the production coordinator and clients over queues instead of sockets. */
export interface SimulateOptions {
  readonly tenants: number;
  readonly data?: string;
  readonly secureSum?: string;
  readonly backend?: BackendName;
  readonly json?: boolean;
}

export async function simulate(file: string, options: SimulateOptions): Promise<void> {
  const { settings, notes } = adapted(readSettings(file), options);
  const tables = dealt(await tableOf(options.data), options.tenants);
  const backend = await startBackend(options.backend);
  const say = options.json ? () => {} : (text: string) => console.log(text);
  for (const note of notes) say(note);
  const federation = await createFederation({
    tables,
    schema: settings.features,
    backend,
    secureSum: [settings.secureSum.protocol],
    onClientEvent: (tenant, event) => {
      if (event.type === 'declined' || event.type === 'refused' || event.type === 'left')
        say(`${tenant}: ${event.type}: ${event.reason}`);
    },
    onCoordinatorEvent: (event) => {
      if (event.type === 'task-failed') console.error(event.error);
      if (event.type === 'task-changed') progress.changed(federation.coordinator.task(event.task));
    },
  });
  const progress = progressLine(options.json === true);
  const startedAt = performance.now();
  try {
    const conductor = await federation.run(settings);
    progress.done();
    const seconds = (performance.now() - startedAt) / 1000;
    const outcome = {
      ...(await summary(conductor, settings, tables, backend)),
      seconds: Number(seconds.toFixed(2)),
      protection: notes,
    };
    if (options.json) console.log(JSON.stringify(outcome));
    else console.log(describe(outcome));
    if (conductor.state.phase === 'stopped')
      throw new CommandError(EXIT.refused, `the task was stopped: ${conductor.state.reason}`);
  } catch (error) {
    if (error instanceof PlanRefused) throw new CommandError(EXIT.refused, error.message);
    throw error;
  } finally {
    federation.close();
  }
}

/** Another protocol or another number of tenants than the settings were written for. What is changed is said. */
function adapted(settings: Settings, { tenants, secureSum }: SimulateOptions): { settings: Settings; notes: string[] } {
  if (tenants < 1) throw new CommandError(EXIT.usage, '--tenants must be 1 or more');
  const protocol = secureSumNamed(secureSum ?? settings.secureSum.protocol);
  const notes =
    protocol === 'plain' ? ['secure sum "plain": the coordinator sees every contribution. A simulation only.'] : [];
  const { minCohort, colluders, keyAgreement } = settings.secureSum;
  const fits = minCohort <= tenants && Math.floor((tenants + colluders) / 2) + 1 <= minCohort;
  const cohort = fits
    ? { minCohort, colluders }
    : { minCohort: Math.ceil(0.8 * tenants), colluders: tenants < 3 ? 0 : Math.max(1, Math.ceil(0.1 * tenants)) };
  if (!fits)
    notes.push(
      `minCohort ${minCohort} does not fit ${tenants} tenants: taken as ${cohort.minCohort}, with ${cohort.colluders} colluders`,
    );
  const agreement = keyAgreement === undefined || protocol === 'plain' ? {} : { keyAgreement };
  // in one process nobody watches the clock from outside
  const timing = { ...settings.timing, uploadEveryMs: 1 };
  return { settings: { ...settings, secureSum: { protocol, ...cohort, ...agreement }, timing }, notes };
}

async function tableOf(file: string | undefined): Promise<Table> {
  if (file === undefined) return telcoTable();
  try {
    return (await readSnapshot(file)).table;
  } catch (error) {
    if (error instanceof RowsUnreadable) throw new CommandError(EXIT.input, error.message);
    throw error;
  }
}

/** Customers dealt out like cards: every tenant gets the same mix. */
function dealt(table: Table, tenants: number): Map<string, Table> {
  const names = Array.from({ length: tenants }, (_, i) => `tenant-${String(i + 1).padStart(3, '0')}`);
  return new Map(
    names.map((name, i) => [name, { ...table, file: name, rows: table.rows.filter((_, row) => row % tenants === i) }]),
  );
}

interface Outcome {
  readonly task: string;
  readonly phase: string;
  readonly tenants: number;
  readonly rounds: number;
  readonly steps: number;
  readonly charges: number;
  readonly epsilon: { release: number; coalition: number; floor: number };
  readonly epsilonCharged: Guarantees;
  readonly delta: number;
  readonly unit: string;
  readonly bytesUp: number;
  readonly heldOutAuc?: number;
  readonly result?: unknown;
  readonly seconds?: number;
  readonly protection?: readonly string[];
}

async function summary(
  conductor: Conductor,
  settings: Settings,
  tables: Map<string, Table>,
  backend: Awaited<ReturnType<typeof startBackend>>,
): Promise<Outcome> {
  const { plan, progress, state, bytesUp, id } = conductor;
  const charges = 'charges' in state ? state.charges : 0;
  const base = {
    task: id,
    phase: state.phase,
    tenants: plan.roster.length,
    rounds: roundsOf(plan),
    steps: progress.steps,
    charges,
    epsilon: plan.derived.epsilon,
    epsilonCharged: epsilonOf(plan, charges),
    delta: settings.privacy.delta,
    unit: unitOf(settings) === 'row-as-customer' ? 'one row is one customer' : 'all its rows',
    bytesUp,
  };
  if (state.phase !== 'finished') return base;
  const result = resultOf(conductor);
  if (settings.work.kind !== 'train') return result === undefined ? base : { ...base, result };
  const { rocAuc } = await judgeOf(settings, tables, backend).judge(released(plan, progress));
  return { ...base, heldOutAuc: rocAuc };
}

function describe(outcome: Outcome): string {
  const { epsilon } = outcome;
  const lines = [
    `${outcome.phase}: ${outcome.steps} of ${outcome.rounds} rounds, ${outcome.tenants} tenants, ${outcome.seconds} s`,
    `ε at δ ${outcome.delta} for one customer (${outcome.unit}), added or removed: release ${epsilon.release.toFixed(3)} · coalition ${epsilon.coalition.toFixed(3)} · floor ${epsilon.floor.toFixed(3)}; charged ${inThree(outcome.epsilonCharged)} in ${outcome.charges} openings`,
    `${(outcome.bytesUp / outcome.tenants / Math.max(1, outcome.steps) / 1000).toFixed(1)} kB up per tenant and round`,
  ];
  if (outcome.heldOutAuc !== undefined)
    lines.push(`ROC-AUC on all held-out customers ${outcome.heldOutAuc.toFixed(4)} (only a simulation can see this)`);
  if (outcome.result !== undefined) lines.push(JSON.stringify(outcome.result, null, 2));
  return lines.join('\n');
}
